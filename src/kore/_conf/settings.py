"""The table of global settings: name, type, default, range, and what each is for.

Adding a setting is adding a field to `Settings`; `kore.config` and the reference follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final

from kore._conf.cpus import usable_cpus
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
    choice,
    count,
    milliseconds,
    seconds,
    size,
)
from kore.errors import ConfigError

VERSION: Final = "0.1.0"
GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    kind: ValueType
    doc: str
    default: str
    name: str = ""

    def parse(self, value: object) -> Any:
        """Return the plain value."""
        try:
            return self.kind.parse(value)
        except ValueError:
            raise ConfigError(f"bad value '{value}' for {self.name}: {self.kind}") from None

    def changed(self, current: Any, value: object) -> Any:
        """Return what an assignment of *value* makes of the *current* value."""
        if isinstance(self.kind, ListOf) and not isinstance(value, (list, tuple)):
            return (*current, *self.parse(value))
        return self.parse(value)


def setting(kind: ValueType, default: Any, doc: str, *, shown: str = "") -> Any:
    """Declare a field of `Settings`; *shown* is what the reference gives as its default."""
    metadata = {"setting": Setting(kind, doc, shown or in_words(default))}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def in_words(default: Any) -> str:
    """Return a default as one would write it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "none" if default in ("", ()) else str(default)


NEVER_RUN: Final = "with 0 no request would ever be answered"
DEPLOYMENTS: Final = ("dev", "development", "docker", "production")
# What a worker full of connections still has for files, upstream servers and databases: what
# Kore's two defaults, 768 descriptors and 512 connections, leave.
SPARE_DESCRIPTORS: Final = 256
FEWEST_DESCRIPTORS: Final = 32
# A decompressor is asked for one byte more: the most that it can be asked for.
MESSAGE_MAX: Final = S32 - 1
OWN_DESCRIPTORS: Final = "a worker needs a dozen for itself"
LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
CIPHERS: Final = (
    "AEAD-AES256-GCM-SHA384:AEAD-CHACHA20-POLY1305-SHA256:AEAD-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
    "DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their values, in plain units: seconds, bytes, counts."""

    workers: int = setting(count(1, U8), usable_cpus, "Worker processes.", shown="one for each CPU")
    worker_max_connections: int = setting(
        count(1, S32 - SPARE_DESCRIPTORS),
        512,
        "Connections a worker holds at a time; full, it closes those that are idle longest.",
    )
    worker_max_connections_per_address: int = setting(
        count(0, S32),
        0,
        "Connections a worker holds of one address, of IPv6 of a network of 64 bits; 0: any.",
    )
    worker_rlimit_nofiles: int = setting(
        count(FEWEST_DESCRIPTORS, S32, OWN_DESCRIPTORS),
        768,
        "Descriptors a worker may open beside those it starts with.",
        shown=f"768, or worker_max_connections + {SPARE_DESCRIPTORS}, twice these with filemaps",
    )
    worker_accept_threshold: int = setting(
        count(1), 16, "Connections a worker accepts before it serves those it has."
    )
    worker_death_policy: str = setting(
        choice("restart", "terminate"), "restart", "What follows the death of a worker."
    )
    worker_set_affinity: bool = setting(FLAG, True, "Pin each worker to a CPU.")
    worker_no_accept: tuple[int, ...] = setting(
        ListOf(count(1, U8)), (), "Number of a worker that accepts no connections."
    )
    worker_message_max: int = setting(
        size(1024, GIB), 4194304, "Bytes of a message to other workers, as it travels."
    )
    worker_message_window: int = setting(
        size(1024, GIB),
        1048576,
        "Bytes of messages a worker may have on the way to another one before that one is busy.",
    )
    worker_message_pickle: bool = setting(
        FLAG,
        False,
        "Send objects of any class with kore.sendobj(): one worker can run code in the others.",
    )
    pidfile: str = setting(PATH, "kore.pid", "File that holds the parent's process id.")
    logfile: str = setting(PATH, "", "File the log is appended to; none: standard output.")
    log_format: str = setting(
        choice("text", "json"), "text", "A line of text for each record, or an object of JSON."
    )
    syslog_socket: str = setting(
        PATH, "/dev/log", "Where syslog is: for a server in the background without a logfile."
    )
    syslog_facility: str = setting(
        choice("daemon", "user", *(f"local{number}" for number in range(8))),
        "daemon",
        "As what syslog sorts such a server.",
    )
    socket_backlog: int = setting(
        count(0), 5000, "Connections the kernel may hold until they are accepted."
    )
    deployment: str = setting(
        choice(*DEPLOYMENTS), "dev", "dev and development: in the foreground, same user, no chroot."
    )
    accept_mode: str = setting(
        choice("spread", "shared"),
        "spread",
        "Spread: each worker has its share of clients; shared: whoever is free takes the next.",
    )
    start_timeout: int = setting(
        seconds(0),
        60,
        "Seconds loading the application may take, and the start of a worker; 0: no limit.",
    )
    drain_timeout: int = setting(
        seconds(0), 10, "Seconds a stopping worker has to answer what it accepted."
    )
    worker_stuck_timeout: int = setting(
        seconds(0),
        60,
        "Seconds a worker's event loop may be blocked before it is replaced; 0: never.",
    )
    tls_version: str = setting(choice("1.2", "1.3", "both"), "both", "TLS versions offered.")
    tls_cipher: str = setting(TEXT, CIPHERS, "OpenSSL's list of ciphers for TLS 1.2.")
    tls_dhparam: str = setting(
        PATH, "", "PEM file with Diffie-Hellman parameters; none: ffdhe4096."
    )
    rand_file: str = setting(PATH, "", "File of 1024 random bytes that seeds the key manager.")
    acme_email: str = setting(TEXT, "", "Address the certificate authority may write to.")
    acme_provider: str = setting(TEXT, LETS_ENCRYPT, "Directory URL of the certificate authority.")
    pledge: str = setting(TEXT, "", "Promises a worker makes to OpenBSD.")
    seccomp_tracing: bool = setting(
        FLAG, False, "Log forbidden system calls instead of killing the worker."
    )
    filemap_ext: str = setting(TEXT, "", "Suffix tried when a file is missing, such as .html.")
    filemap_index: str = setting(TEXT, "index.html", "File served for a directory.")
    filemap_cache_control: str = setting(
        Text("text", 1024, "ascii"), "", "Value of cache-control for files without authentication."
    )
    filemap_charset: str = setting(
        Text("text", 40, "ascii"),
        "utf-8",
        "Character set that text files are said to be in; none: not said.",
    )
    filemap_hidden: bool = setting(
        FLAG, False, "Serve what has a name that begins with a dot, too."
    )
    filemap_precompressed: bool = setting(
        FLAG, True, "Serve NAME.br, NAME.zst or NAME.gz for NAME to clients that accept it."
    )
    filemap_sendfile: bool = setting(
        FLAG, True, "Have the kernel send files; no: read them, for file systems that need it."
    )
    http_media_type: tuple[str, ...] = setting(
        ListOf(MediaType()), (), "Media type of files with these extensions."
    )
    http_header_max: int = setting(size(1, U16), 16384, "Bytes of a request line and its fields.")
    http_header_timeout: int = setting(
        seconds(1), 10, "Seconds in which a request's fields must arrive."
    )
    http_header_fields_max: int = setting(count(1, U16), 100, "Header fields of a request.")
    http_request_line_max: int = setting(
        size(1, U16), 8000, "Bytes of a request line; RFC 9112 advises 8000 or more."
    )
    http_body_max: int = setting(size(0), 1024000, "Bytes of a request's body; 0: no bodies.")
    http_body_timeout: int = setting(
        seconds(1), 60, "Seconds in which a request's body must arrive."
    )
    http_body_rate_min: int = setting(
        size(1), 16384, "Bytes a second that earn a large body more time than http_body_timeout."
    )
    http_arguments_max: int = setting(
        count(1), 1000, "Parameters of a query or a form, counted before any is decoded."
    )
    http_multipart_max: int = setting(count(1), 1000, "Parts of a multipart form.")
    http_multipart_header_max: int = setting(
        size(64, U16), 4096, "Bytes of a field line of such a part; of lines it may have 8."
    )
    http_body_disk_offload: int = setting(size(0), 0, "Larger bodies are kept in a file; 0: never.")
    http_body_disk_path: str = setting(PATH, "tmp_files", "Directory for such files.")
    http_write_timeout: int = setting(
        seconds(1), 60, "Seconds a client may take nothing of its answer."
    )
    http_half_closed_timeout: int = setting(
        seconds(1),
        3,
        "Seconds after which a client is taken for gone that ended its sending side, while its "
        "answer is not ready; unless its system acknowledges what is sent to it.",
    )
    http_hsts_enable: int = setting(
        seconds(0, S64), 31536000, "max-age of strict-transport-security; 0: no such field."
    )
    http_keepalive_time: int = setting(
        seconds(0), 20, "Seconds an idle connection is kept; 0: none is."
    )
    http_request_ms: int = setting(
        milliseconds(1, NEVER_RUN), 10, "Time one connection has before the others have their turn."
    )
    http_request_limit: int = setting(
        count(1, S32, NEVER_RUN), 1000, "Requests in progress in a worker; above: 503."
    )
    http_server_version: str = setting(
        Text("text", 53, "ascii"),
        f"kore ({VERSION})",
        "Value of the server field.",
        shown="kore (VERSION)",
    )
    http_pretty_error: bool = setting(FLAG, False, "A small HTML page for errors without a body.")
    websocket_maxframe: int = setting(size(0), 16384, "Bytes of a WebSocket frame.")
    websocket_maxmessage: int = setting(
        size(0, MESSAGE_MAX), 1 << 20, "Bytes of a WebSocket message, of one frame or several."
    )
    websocket_timeout: int = setting(
        seconds(0, U32), 120, "Seconds an idle WebSocket is kept; 0: for ever."
    )
    websocket_ping: int = setting(
        seconds(0, U32), 0, "Seconds after which a silent WebSocket client is pinged; 0: never."
    )
    websocket_close_timeout: int = setting(
        seconds(1), 5, "Seconds a WebSocket client, and callbacks at its end, have to finish."
    )
    websocket_buffer_max: int = setting(
        size(0), 4 << 20, "Bytes that may wait for a WebSocket client that does not read."
    )
    websocket_buffer_full: str = setting(
        choice("close", "raise"), "close", "What a send above that does: 1008, or a BufferError."
    )
    pgsql_conn_max: int = setting(
        count(0, U16), 2, "Connections of a worker to a database; 0: no limit."
    )
    pgsql_queue_limit: int = setting(count(0), 1000, "Queries that may wait for a connection.")
    pgsql_queue_timeout: int = setting(
        seconds(0), 30, "Seconds a query may wait for a connection; 0: no limit."
    )
    pgsql_connect_timeout: int = setting(
        seconds(1), 10, "Seconds a connection to a database may take, unless its string says."
    )
    pgsql_statement_timeout: int = setting(
        milliseconds(0, "0: no limit"), 0, "What the server gives a statement, before it ends it."
    )
    pgsql_idle_timeout: int = setting(
        seconds(0), 60, "Seconds an unused connection to a database is kept; 0: for ever."
    )
    pgsql_cancel_timeout: int = setting(
        seconds(1), 5, "Seconds to end a query that nobody waits for, before its connection is."
    )
    pgsql_prepared_max: int = setting(
        count(0), 100, "Statements a connection keeps prepared; 0: none, for some poolers."
    )
    task_threads: int = setting(
        count(0, U8), 2, "Threads for tasks written in C, of which there are none here."
    )
    curl_timeout: int = setting(
        seconds(0), 60, "Seconds an outgoing transfer may take; 0: no limit."
    )
    curl_recv_max: int = setting(
        size(0), 2097152, "Bytes accepted as the answer to an outgoing request."
    )
    file: str = setting(PATH, "", "Configuration file to read as well.")


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {row.name: replace(row.metadata["setting"], name=row.name) for row in fields(Settings)}
)
