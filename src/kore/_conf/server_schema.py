"""What the parent uses of a configuration: addresses, users, files; values only, frozen."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: an IP address or host name with a port, or a unix socket.

    A *path* that begins with `@` is an abstract unix socket.
    """

    ip: str = ""
    port: int = 0
    path: str = ""
    # The IP address that *ip* stood for when the application was loaded, if that is a name.
    numeric: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a server; one that listens on several is several of these, of one name."""

    name: str
    address: Address
    tls: bool


@dataclass(frozen=True, slots=True)
class Privsep:
    """What one kind of process gives up: its view of the file system, its user."""

    process: str
    root: str = ""
    runas: str = ""
    skip: tuple[str, ...] = ()
    # Where it was asked for. A line more above it does not make it another one.
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class AccessLogConfig:
    """The file that requests are logged to, and how."""

    path: str
    format: str = "combined"
    where: str = field(default="", compare=False)
