"""The part of the configuration that the parent uses, checked again since a child has sent it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from kore._conf.server_schema import (
    AccessLogConfig,
    Address,
    CertificateFiles,
    DomainTls,
    Privsep,
    Server,
)
from kore._conf.settings import SETTINGS, VERSION, Settings
from kore._conf.value_types import PATH
from kore._process.ipc.channel import DESCRIPTORS_MAX
from kore._process.ipc.descriptors import KEYS
from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.tls_messages import CERTIFICATES_MAX
from kore._process.roles import WORKER
from kore._values.grammar import PORT_MAX
from kore.errors import ConfigError, KoreError

FOREGROUND: Final = ("dev", "development")
DEFAULT_PIDFILE: Final = Settings().pidfile
NAME_MAX: Final = 64
# Longer chains of client certificates are refused.
VERIFY_DEPTH_MAX: Final = 100
# Listening sockets and access logs of a worker.
# The channel to the key process is in the list only if there is one.
HANDED_MAX: Final = DESCRIPTORS_MAX - len((*WORKER.descriptors, KEYS))


@dataclass(frozen=True, slots=True)
class ParentConfig:
    """The plain part of a configuration."""

    name: str
    settings: Settings
    servers: tuple[Server, ...]
    privsep: tuple[Privsep, ...] = ()
    accesslogs: tuple[AccessLogConfig, ...] = ()
    tls: tuple[DomainTls, ...] = ()

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "ParentConfig":
        """Return the configuration that a template sent. Raises ProtocolError if it is invalid."""
        try:
            return cls(
                name=_check_text(plain["name"])[:NAME_MAX],
                settings=Settings(
                    **{
                        f.name: SETTINGS[f.name].parse(plain["settings"][f.name])
                        for f in fields(Settings)
                    }
                ),
                servers=tuple(_read_server(entry) for entry in plain["servers"]),
                privsep=tuple(_read_privsep(entry) for entry in plain["privsep"]),
                accesslogs=tuple(_read_accesslog(entry) for entry in plain["accesslogs"]),
                tls=tuple(_read_domain_tls(entry) for entry in plain["tls"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, KoreError):
            raise ProtocolError("invalid configuration message") from None

    @property
    def numbers(self) -> range:
        """The numbers of the workers."""
        return range(1, self.settings.workers + 1)

    @property
    def accepting(self) -> list[int]:
        """The numbers of the workers that accept connections."""
        return [number for number in self.numbers if number not in self.settings.worker_no_accept]

    @property
    def background(self) -> bool:
        """Whether the server runs in the background if the command line has neither -d nor -f."""
        return self.settings.deployment == "production"

    def choose_pidfile(self, *, background: bool = False) -> str:
        """Return where to write the parent's pid, or nothing."""
        # The default is made for a daemon. A server that is tried out in a terminal leaves no file
        # unless one is configured.
        default = self.settings.pidfile == DEFAULT_PIDFILE
        tried_out = self.settings.deployment in FOREGROUND and not background
        return "" if default and tried_out else self.settings.pidfile

    def refuse_too_many(self) -> None:
        """Raise ConfigError if a worker needs more descriptors than one message can transfer."""
        count = len(self.servers) + len(self.accesslogs)
        if count > HANDED_MAX:
            raise ConfigError(
                f"{count} servers and access logs are more than a worker can be handed: "
                f"{HANDED_MAX} at most; domains may share an access log"
            )

    def refuse_unsupported(self, *, same_user: bool) -> None:
        """Raise ConfigError for configured features that do not exist yet.

        To run as root where a switch of user is expected would be dangerous.
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


def format_version_mismatch(version: str) -> str:
    """Return the message for an installed kore of another version than the running one."""
    return (
        f"kore {version} is installed by now, and this server runs {VERSION}: restart the server, "
        "a reload is not enough"
    )


def _read_server(entry: Mapping[str, Any]) -> Server:
    """Return a server of a configuration message."""
    address = entry["address"]
    port = address["port"]
    if type(port) is not int or not 0 <= port <= PORT_MAX:
        raise ValueError
    numeric = _check_text(address.get("numeric", ""))
    ip, path = _check_text(address["ip"]), _check_path(address["path"])
    return Server(
        _check_text(entry["name"]),
        Address(ip, port, path, numeric),
        tls=_check_flag(entry["tls"]),
        redirect_https=_check_flag(entry["redirect_https"]),
    )


def _read_domain_tls(entry: Mapping[str, Any]) -> DomainTls:
    """Return the TLS part of a domain in a configuration message."""
    depth = entry["verify_depth"]
    if type(depth) is not int or not 0 <= depth <= VERIFY_DEPTH_MAX:
        raise ValueError
    texts = {name: _check_text(entry[name]) for name in ("domain", "server", "where")}
    files = tuple(
        CertificateFiles(_check_path(pair["certificate"]), _check_path(pair["key"]))
        for pair in entry["certificates"]
    )
    if not 0 < len(files) <= CERTIFICATES_MAX:
        raise ValueError
    return DomainTls(
        certificates=files,
        client_verify=_check_path(entry["client_verify"]),
        verify_depth=depth,
        crl=_check_path(entry["crl"]),
        acme=_check_flag(entry["acme"]),
        **texts,
    )


def _read_privsep(entry: Mapping[str, Any]) -> Privsep:
    """Return the restrictions of one kind of process in a configuration message."""
    skip = tuple(map(_check_text, entry["skip"]))
    texts = {name: _check_text(entry[name]) for name in ("process", "runas", "where")}
    return Privsep(skip=skip, root=_check_path(entry["root"]), **texts)


def _read_accesslog(entry: Mapping[str, Any]) -> AccessLogConfig:
    """Return what the parent needs of an access log in a configuration message."""
    return AccessLogConfig(_check_path(entry["path"]), where=_check_text(entry["where"]))


def _check_text(value: object) -> str:
    """Return *value* if it is printable text. Raises ValueError if not."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value


def _check_flag(value: object) -> bool:
    """Return *value* if it is a bool. Raises ValueError if not."""
    if type(value) is not bool:
        raise ValueError
    return value


def _check_path(value: object) -> str:
    """Return *value* if it can be the name of a file, or is empty. Raises ConfigError if not."""
    path: str = PATH.parse(value)
    return path
