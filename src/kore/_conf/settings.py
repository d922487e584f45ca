"""The table of global settings: name, type, default, range, and what each is for.

Adding a setting is adding a field to `Settings`; `kore.config` and the reference follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final

from kore._conf.cpus import count_usable_cpus
from kore._conf.value_types import (
    FLAG,
    PATH,
    S32,
    S64,
    TEXT,
    U8,
    U16,
    U32,
    ListOf,
    MediaType,
    Text,
    ValueType,
    make_choice,
    make_count,
    make_milliseconds,
    make_seconds,
    make_size,
)
from kore.errors import ConfigError

VERSION: Final = "0.1.0"
GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table."""

    value_type: ValueType
    doc: str
    default: str
    name: str = ""

    def parse(self, value: object) -> Any:
        """Return the plain value."""
        try:
            return self.value_type.parse(value)
        except ValueError:
            raise ConfigError(f"bad value '{value}' for {self.name}: {self.value_type}") from None

    def assign(self, current: Any, value: object) -> Any:
        """Return the new value after an assignment. A single value is appended to a list."""
        if isinstance(self.value_type, ListOf) and not isinstance(value, (list, tuple)):
            return (*current, *self.parse(value))
        return self.parse(value)


def _declare_setting(value_type: ValueType, default: Any, doc: str, *, shown: str = "") -> Any:
    """Declare a field of `Settings`. The reference shows *shown* as its default, if given."""
    metadata = {"setting": Setting(value_type, doc, shown or _format_default(default))}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _format_default(default: Any) -> str:
    """Return a default as it is written in a file."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "none" if default in ("", ()) else str(default)


NEVER_RUN_HINT: Final = "with 0 no request would ever be answered"
DEPLOYMENTS: Final = ("dev", "development", "docker", "production")
# Descriptors for files, upstream servers and databases beside those of all connections: the
# difference of Kore's two defaults, 768 descriptors and 512 connections.
SPARE_DESCRIPTORS: Final = 256
FEWEST_DESCRIPTORS: Final = 32
# zlib takes sizes up to 2**31 - 1, and is asked for one byte more than the limit.
MESSAGE_MAX: Final = S32 - 1
OWN_DESCRIPTORS_HINT: Final = "a worker needs a dozen for itself"
LETS_ENCRYPT_URL: Final = "https://acme-v02.api.letsencrypt.org/directory"
# Mozilla's intermediate configuration, version 6.0, for TLS 1.2.
CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their values, in plain units: seconds, bytes, counts."""

    workers: int = _declare_setting(
        make_count(1, U8), count_usable_cpus, "Worker processes.", shown="one for each CPU"
    )
    worker_max_connections: int = _declare_setting(
        make_count(1, S32 - SPARE_DESCRIPTORS),
        512,
        "Connections a worker holds at a time; full, it closes those that are idle longest.",
    )
    worker_max_connections_per_address: int = _declare_setting(
        make_count(0, S32),
        0,
        "Connections a worker holds of one address, of IPv6 of a network of 64 bits; 0: any.",
    )
    worker_rlimit_nofiles: int = _declare_setting(
        make_count(FEWEST_DESCRIPTORS, S32, OWN_DESCRIPTORS_HINT),
        768,
        "Descriptors a worker may open beside those it starts with.",
        shown=f"768, or worker_max_connections + {SPARE_DESCRIPTORS}, twice these with filemaps",
    )
    worker_accept_threshold: int = _declare_setting(
        make_count(1), 16, "Connections a worker accepts before it serves those it has."
    )
    worker_death_policy: str = _declare_setting(
        make_choice("restart", "terminate"), "restart", "What to do after the death of a worker."
    )
    worker_set_affinity: bool = _declare_setting(FLAG, True, "Pin each worker to a CPU.")
    worker_no_accept: tuple[int, ...] = _declare_setting(
        ListOf(make_count(1, U8)), (), "Number of a worker that accepts no connections."
    )
    worker_message_max: int = _declare_setting(
        make_size(1024, GIB), 4194304, "Bytes of a message to other workers, encoded."
    )
    worker_message_window: int = _declare_setting(
        make_size(1024, GIB),
        1048576,
        "Bytes of unacknowledged messages of a worker to another one.",
    )
    worker_message_pickle: bool = _declare_setting(
        FLAG,
        False,
        "Send objects of any class with kore.sendobj(): one worker can run code in the others.",
    )
    pidfile: str = _declare_setting(PATH, "kore.pid", "File that holds the parent's process id.")
    logfile: str = _declare_setting(PATH, "", "File the log is appended to; none: standard output.")
    log_format: str = _declare_setting(
        make_choice("text", "json"), "text", "A line of text for each record, or an object of JSON."
    )
    syslog_socket: str = _declare_setting(
        PATH, "/dev/log", "Socket of syslog, for a server in the background without a logfile."
    )
    syslog_facility: str = _declare_setting(
        make_choice("daemon", "user", *(f"local{number}" for number in range(8))),
        "daemon",
        "Facility of such a server in syslog.",
    )
    socket_backlog: int = _declare_setting(
        make_count(0), 5000, "Connections the kernel may hold until they are accepted."
    )
    deployment: str = _declare_setting(
        make_choice(*DEPLOYMENTS),
        "dev",
        "dev and development: in the foreground, same user, no chroot.",
    )
    accept_mode: str = _declare_setting(
        make_choice("spread", "shared"),
        "spread",
        "Spread: each worker has its share of clients; shared: the next client goes to a free one.",
    )
    start_timeout: int = _declare_setting(
        make_seconds(0),
        60,
        "Seconds loading the application may take, and the start of a worker; 0: no limit.",
    )
    drain_timeout: int = _declare_setting(
        make_seconds(0), 10, "Seconds a stopping worker has to finish the requests it accepted."
    )
    worker_stuck_timeout: int = _declare_setting(
        make_seconds(0),
        60,
        "Seconds a worker's event loop may be blocked before it is replaced; 0: never.",
    )
    tls_version: str = _declare_setting(
        make_choice("1.2", "1.3", "both"), "both", "TLS versions offered."
    )
    tls_cipher: str = _declare_setting(TEXT, CIPHERS, "OpenSSL's list of ciphers for TLS 1.2.")
    tls_dhparam: str = _declare_setting(
        PATH, "", "No effect: key exchange is by elliptic curves only."
    )
    rand_file: str = _declare_setting(PATH, "", "No effect: the kernel provides random numbers.")
    acme_email: str = _declare_setting(TEXT, "", "Address the certificate authority may write to.")
    acme_provider: str = _declare_setting(
        TEXT, LETS_ENCRYPT_URL, "Directory URL of the certificate authority."
    )
    pledge: str = _declare_setting(TEXT, "", "Promises a worker makes to OpenBSD.")
    seccomp_tracing: bool = _declare_setting(
        FLAG, False, "Log forbidden system calls instead of killing the worker."
    )
    filemap_ext: str = _declare_setting(
        TEXT, "", "Suffix tried when a file is missing, such as .html."
    )
    filemap_index: str = _declare_setting(TEXT, "index.html", "File served for a directory.")
    filemap_cache_control: str = _declare_setting(
        Text("text", 1024, "ascii"), "", "Value of cache-control for files without authentication."
    )
    filemap_charset: str = _declare_setting(
        Text("text", 40, "ascii"),
        "utf-8",
        "Character set in the content-type of text files; none: left out.",
    )
    filemap_hidden: bool = _declare_setting(
        FLAG, False, "Serve files whose names begin with a dot, too."
    )
    filemap_precompressed: bool = _declare_setting(
        FLAG, True, "Serve NAME.br, NAME.zst or NAME.gz for NAME to clients that accept it."
    )
    filemap_sendfile: bool = _declare_setting(
        FLAG, True, "Have the kernel send files; no: read them, for file systems that need it."
    )
    http_media_type: tuple[str, ...] = _declare_setting(
        ListOf(MediaType()), (), "Media type of files with these extensions."
    )
    http_header_max: int = _declare_setting(
        make_size(1, U16), 16384, "Bytes of a request line and its fields."
    )
    http_header_timeout: int = _declare_setting(
        make_seconds(1), 10, "Seconds in which a request's fields must arrive."
    )
    http_header_fields_max: int = _declare_setting(
        make_count(1, U16), 100, "Header fields of a request."
    )
    http_request_line_max: int = _declare_setting(
        make_size(1, U16), 8000, "Bytes of a request line; RFC 9112 advises 8000 or more."
    )
    http_body_max: int = _declare_setting(
        make_size(0), 1024000, "Bytes of a request's body; 0: no bodies."
    )
    http_body_timeout: int = _declare_setting(
        make_seconds(1), 60, "Seconds in which a request's body must arrive."
    )
    http_body_rate_min: int = _declare_setting(
        make_size(1),
        16384,
        "Bytes a second that earn a large body more time than http_body_timeout.",
    )
    http_arguments_max: int = _declare_setting(
        make_count(1), 1000, "Parameters of a query or a form, counted before any is decoded."
    )
    http_multipart_max: int = _declare_setting(make_count(1), 1000, "Parts of a multipart form.")
    http_multipart_header_max: int = _declare_setting(
        make_size(64, U16), 4096, "Bytes of a field line of such a part; of lines it may have 8."
    )
    http_body_disk_offload: int = _declare_setting(
        make_size(0), 0, "Larger bodies are kept in a file; 0: never."
    )
    http_body_disk_path: str = _declare_setting(PATH, "tmp_files", "Directory for such files.")
    http_write_timeout: int = _declare_setting(
        make_seconds(1), 60, "Seconds a client may read nothing of its response."
    )
    http_half_closed_timeout: int = _declare_setting(
        make_seconds(1),
        3,
        "Seconds after which a client that ended its sending side counts as gone, while its "
        "response is not ready; unless its system acknowledges data sent to it.",
    )
    http_hsts_enable: int = _declare_setting(
        make_seconds(0, S64),
        31536000,
        "Seconds browsers shall use TLS only, sent over TLS to hosts with names; 0: not sent.",
        shown="31536000, with deployment dev 0",
    )
    http_hsts_subdomains: bool = _declare_setting(
        FLAG, False, "Browsers shall use TLS only for subdomains of the host, too."
    )
    http_keepalive_time: int = _declare_setting(
        make_seconds(0), 20, "Seconds an idle connection is kept; 0: none is."
    )
    http_request_ms: int = _declare_setting(
        make_milliseconds(1, NEVER_RUN_HINT),
        10,
        "Time one connection has before the others have their turn.",
    )
    http_request_limit: int = _declare_setting(
        make_count(1, S32, NEVER_RUN_HINT), 1000, "Requests in progress in a worker; above: 503."
    )
    http_server_version: str = _declare_setting(
        Text("text", 53, "ascii"),
        f"kore ({VERSION})",
        "Value of the server field.",
        shown="kore (VERSION)",
    )
    http_pretty_error: bool = _declare_setting(
        FLAG, False, "A small HTML page for errors without a body."
    )
    websocket_maxframe: int = _declare_setting(make_size(0), 16384, "Bytes of a WebSocket frame.")
    websocket_maxmessage: int = _declare_setting(
        make_size(0, MESSAGE_MAX), 1 << 20, "Bytes of a WebSocket message, of one frame or several."
    )
    websocket_timeout: int = _declare_setting(
        make_seconds(0, U32), 120, "Seconds an idle WebSocket is kept; 0: for ever."
    )
    websocket_ping: int = _declare_setting(
        make_seconds(0, U32),
        0,
        "Seconds after which a silent WebSocket client is pinged; 0: never.",
    )
    websocket_close_timeout: int = _declare_setting(
        make_seconds(1), 5, "Seconds a WebSocket client, and callbacks at its end, have to finish."
    )
    websocket_buffer_max: int = _declare_setting(
        make_size(0), 4 << 20, "Bytes that may wait for a WebSocket client that does not read."
    )
    websocket_buffer_full: str = _declare_setting(
        make_choice("close", "raise"),
        "close",
        "What a send above that limit does: close with 1008, or raise BufferError.",
    )
    pgsql_conn_max: int = _declare_setting(
        make_count(0, U16), 2, "Connections of a worker to a database; 0: no limit."
    )
    pgsql_queue_limit: int = _declare_setting(
        make_count(0), 1000, "Queries that may wait for a connection."
    )
    pgsql_queue_timeout: int = _declare_setting(
        make_seconds(0), 30, "Seconds a query may wait for a connection; 0: no limit."
    )
    pgsql_connect_timeout: int = _declare_setting(
        make_seconds(1), 10, "Seconds a connection to a database may take, unless its string says."
    )
    pgsql_statement_timeout: int = _declare_setting(
        make_milliseconds(0, "0: no limit"),
        0,
        "Time a statement may take before the server cancels it.",
    )
    pgsql_idle_timeout: int = _declare_setting(
        make_seconds(0), 60, "Seconds an unused connection to a database is kept; 0: for ever."
    )
    pgsql_cancel_timeout: int = _declare_setting(
        make_seconds(1),
        5,
        "Seconds a cancelled query may take to end before its connection is closed.",
    )
    pgsql_prepared_max: int = _declare_setting(
        make_count(0), 100, "Statements a connection keeps prepared; 0: none, for some poolers."
    )
    task_threads: int = _declare_setting(
        make_count(0, U8), 2, "Threads for tasks written in C, of which there are none here."
    )
    curl_timeout: int = _declare_setting(
        make_seconds(0), 60, "Seconds an outgoing transfer may take; 0: no limit."
    )
    curl_recv_max: int = _declare_setting(
        make_size(0), 2097152, "Bytes accepted as the response to an outgoing request."
    )
    file: str = _declare_setting(PATH, "", "Configuration file to read as well.")


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {row.name: replace(row.metadata["setting"], name=row.name) for row in fields(Settings)}
)
