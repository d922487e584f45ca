"""What the parent takes from a configuration: checked once more, for a child has sent it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from kore._conf.server_schema import AccessLogConfig, Address, Privsep, Server
from kore._conf.settings import SETTINGS, VERSION, Settings
from kore._conf.value_types import PATH
from kore._process.ipc.channel import DESCRIPTORS_MAX
from kore._process.ipc.messages import ProtocolError
from kore.errors import ConfigError, KoreError

FOREGROUND: Final = ("dev", "development")
DEFAULT_PIDFILE: Final = Settings().pidfile
PORT_MAX: Final = 65535
NAME_MAX: Final = 64
# Beside its channel, the scoreboard and what ends its processes.
HANDED_MAX: Final = DESCRIPTORS_MAX - 3


@dataclass(frozen=True, slots=True)
class ParentConfig:
    """The plain part of a configuration."""

    name: str
    settings: Settings
    servers: tuple[Server, ...]
    privsep: tuple[Privsep, ...] = ()
    accesslogs: tuple[AccessLogConfig, ...] = ()

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "ParentConfig":
        """Return the plan in what a template sent, or raise ProtocolError."""
        try:
            return cls(
                name=text(plain["name"])[:NAME_MAX],
                settings=Settings(
                    **{
                        f.name: SETTINGS[f.name].parse(plain["settings"][f.name])
                        for f in fields(Settings)
                    }
                ),
                servers=tuple(server(entry) for entry in plain["servers"]),
                privsep=tuple(privsep(entry) for entry in plain["privsep"]),
                accesslogs=tuple(accesslog(entry) for entry in plain["accesslogs"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, KoreError):
            raise ProtocolError("a configuration that makes no sense") from None

    @property
    def numbers(self) -> range:
        """The numbers of the workers."""
        return range(1, self.settings.workers + 1)

    @property
    def accepting(self) -> list[int]:
        """The numbers of those that accept connections."""
        return [number for number in self.numbers if number not in self.settings.worker_no_accept]

    @property
    def background(self) -> bool:
        """Whether it is meant to run in the background, as far as the command does not say."""
        return self.settings.deployment == "production"

    def pidfile(self, *, background: bool = False) -> str:
        """Where to write the parent's pid, or nothing."""
        # A default fit for a daemon. What runs in a terminal should not leave files where it is
        # tried out, so there the file is written for those only who name one.
        default = self.settings.pidfile == DEFAULT_PIDFILE
        tried_out = self.settings.deployment in FOREGROUND and not background
        return "" if default and tried_out else self.settings.pidfile

    def refuse_too_many(self) -> None:
        """Raise ConfigError for more files than one message can hand to a worker."""
        count = len(self.servers) + len(self.accesslogs)
        if count > HANDED_MAX:
            raise ConfigError(
                f"{count} servers and access logs are more than a worker can be handed: "
                f"{HANDED_MAX} at most; domains may share an access log"
            )

    def refuse_what_is_missing(self, *, same_user: bool) -> None:
        """Raise ConfigError for what was asked for and cannot be had yet.

        Going on as root where a switch of user is expected would be the worst answer.
        """
        if self.settings.deployment not in FOREGROUND and not same_user:
            raise ConfigError(
                f"deployment '{self.settings.deployment}' needs chroot and a switch of user, which "
                "are not part of this version yet: use 'dev', or -n and -r to go without them"
            )
        wanted = [process for process in self.privsep if process.root or process.runas]
        if wanted and not same_user:
            what = "root" if wanted[0].root else "runas"
            raise ConfigError(
                f"{wanted[0].where}: privsep {wanted[0].process}: {what} is not part of this "
                "version yet: use -n and -r to go without"
            )
        tls = [server.name for server in self.servers if server.tls]
        if tls:
            raise ConfigError(
                f"server '{tls[0]}' wants TLS, which is not part of this version yet: use tls=False"
            )


def other_version(version: str) -> str:
    """Say that the installed kore is not the one that runs."""
    return (
        f"kore {version} is installed by now, and this server runs {VERSION}: restart the server, "
        "a reload is not enough"
    )


def server(entry: Mapping[str, Any]) -> Server:
    """Return one server of a plan."""
    address = entry["address"]
    port = address["port"]
    if type(port) is not int or not 0 <= port <= PORT_MAX or type(entry["tls"]) is not bool:
        raise ValueError
    numeric = text(address.get("numeric", ""))
    where = Address(text(address["ip"]), port, path_name(address["path"]), numeric)
    return Server(name=text(entry["name"]), address=where, tls=entry["tls"])


def privsep(entry: Mapping[str, Any]) -> Privsep:
    """Return what one kind of process of a plan is to give up."""
    skip = tuple(map(text, entry["skip"]))
    words = {name: text(entry[name]) for name in ("process", "runas", "where")}
    return Privsep(skip=skip, root=path_name(entry["root"]), **words)


def accesslog(entry: Mapping[str, Any]) -> AccessLogConfig:
    """Return one access log of a plan, as far as the parent is concerned."""
    return AccessLogConfig(path_name(entry["path"]), where=text(entry["where"]))


def text(value: object) -> str:
    """Accept text."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value


def path_name(value: object) -> str:
    """Accept what can be the name of a file; nothing is one, too."""
    path: str = PATH.parse(value)
    return path
