"""The options of libcurl that an application may set: their types, and checks of their values.

Nothing here needs libcurl. `curlopts.py` has the numbers.
"""

import re
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from kore._httpclient import curlopts
from kore._httpclient.fields import CONTROLS
from kore._httpclient.urls import encode_url
from kore._values.grammar import is_token
from kore.errors import ClientTypeError, KoreError

# libcurl's number of an option, and its value.
Setting: TypeAlias = tuple[int, Any]

TEXT: Final = """
    ABSTRACT_UNIX_SOCKET ACCEPT_ENCODING CAINFO CAPATH COOKIE COOKIEFILE COOKIEJAR COOKIELIST
    CRLFILE CUSTOMREQUEST DEFAULT_PROTOCOL DNS_SERVERS DOH_URL EGDSOCKET FTPPORT
    FTP_ALTERNATIVE_TO_USER INTERFACE ISSUERCERT KEYPASSWD LOGIN_OPTIONS MAIL_AUTH MAIL_FROM
    NETRC_FILE NOPROXY PASSWORD PINNEDPUBLICKEY PRE_PROXY PROXY PROXYPASSWORD PROXYUSERNAME
    PROXYUSERPWD PROXY_CAINFO PROXY_CAPATH PROXY_CRLFILE PROXY_ISSUERCERT PROXY_KEYPASSWD
    PROXY_PINNEDPUBLICKEY PROXY_SERVICE_NAME PROXY_SSLCERT PROXY_SSLCERTTYPE PROXY_SSLKEY
    PROXY_SSLKEYTYPE PROXY_SSL_CIPHER_LIST PROXY_TLS13_CIPHERS RANDOM_FILE RANGE REFERER
    REQUEST_TARGET RTSP_SESSION_ID RTSP_STREAM_URI RTSP_TRANSPORT SERVICE_NAME
    SOCKS5_GSSAPI_SERVICE SSH_HOST_PUBLIC_KEY_MD5 SSH_KNOWNHOSTS SSH_PRIVATE_KEYFILE
    SSH_PUBLIC_KEYFILE SSLCERT SSLCERTTYPE SSLENGINE SSLKEY SSLKEYTYPE SSL_CIPHER_LIST
    TLS13_CIPHERS UNIX_SOCKET_PATH URL USERAGENT USERNAME USERPWD XOAUTH2_BEARER
"""
NUMBER: Final = """
    ACCEPTTIMEOUT_MS ADDRESS_SCOPE ALTSVC_CTRL APPEND AUTOREFERER BUFFERSIZE CERTINFO
    CONNECTTIMEOUT CONNECTTIMEOUT_MS COOKIESESSION CRLF DIRLISTONLY DISALLOW_USERNAME_IN_URL
    DNS_CACHE_TIMEOUT DNS_SHUFFLE_ADDRESSES DNS_USE_GLOBAL_CACHE EXPECT_100_TIMEOUT_MS FAILONERROR
    FILETIME FOLLOWLOCATION FORBID_REUSE FRESH_CONNECT FTPSSLAUTH FTP_CREATE_MISSING_DIRS
    FTP_FILEMETHOD FTP_RESPONSE_TIMEOUT FTP_SKIP_PASV_IP FTP_SSL_CCC FTP_USE_EPRT FTP_USE_EPSV
    FTP_USE_PRET GSSAPI_DELEGATION HAPPY_EYEBALLS_TIMEOUT_MS HAPROXYPROTOCOL HEADER HEADEROPT
    HTTP09_ALLOWED HTTPAUTH HTTPGET HTTPPROXYTUNNEL HTTP_CONTENT_DECODING HTTP_TRANSFER_DECODING
    HTTP_VERSION IGNORE_CONTENT_LENGTH INFILESIZE IPRESOLVE KEEP_SENDING_ON_ERROR LOCALPORT
    LOCALPORTRANGE LOW_SPEED_LIMIT LOW_SPEED_TIME MAIL_RCPT_ALLLOWFAILS MAXAGE_CONN MAXCONNECTS
    MAXFILESIZE MAXREDIRS NETRC NEW_DIRECTORY_PERMS NEW_FILE_PERMS NOBODY NOPROGRESS OBSOLETE72
    PATH_AS_IS PIPEWAIT PORT POST POSTREDIR PROTOCOLS PROXYAUTH PROXYPORT PROXYTYPE
    PROXY_SSLVERSION PROXY_SSL_OPTIONS PROXY_SSL_VERIFYHOST PROXY_SSL_VERIFYPEER
    PROXY_TRANSFER_MODE PUT REDIR_PROTOCOLS RESUME_FROM RTSP_CLIENT_CSEQ RTSP_REQUEST
    RTSP_SERVER_CSEQ SASL_IR SOCKS5_AUTH SOCKS5_GSSAPI_NEC SSH_AUTH_TYPES SSH_COMPRESSION
    SSLENGINE_DEFAULT SSLVERSION SSL_ENABLE_ALPN SSL_ENABLE_NPN SSL_FALSESTART SSL_OPTIONS
    SSL_SESSIONID_CACHE SSL_VERIFYHOST SSL_VERIFYPEER SSL_VERIFYSTATUS STREAM_WEIGHT
    SUPPRESS_CONNECT_HEADERS TCP_FASTOPEN TCP_KEEPALIVE TCP_KEEPIDLE TCP_KEEPINTVL TCP_NODELAY
    TFTP_BLKSIZE TFTP_NO_OPTIONS TIMECONDITION TIMEOUT TIMEOUT_MS TIMEVALUE TRANSFERTEXT
    TRANSFER_ENCODING UNRESTRICTED_AUTH UPKEEP_INTERVAL_MS UPLOAD UPLOAD_BUFFERSIZE USE_SSL VERBOSE
    WILDCARDMATCH
"""
LIST: Final = """
    CONNECT_TO HTTP200ALIASES HTTPHEADER MAIL_RCPT POSTQUOTE PREQUOTE PROXYHEADER QUOTE RESOLVE
    TELNETOPTIONS
"""
# Options that would read beyond a body, block the loop or lose a connection. Options in none of
# these tables take callbacks or pointers, or are not supported by pycurl.
REFUSED: Final = MappingProxyType(
    {
        "CONNECT_ONLY": "a connection without a request is of no use here",
        "NOSIGNAL": "signals are the server's",
        "POSTFIELDSIZE": "the length is that of the body",
    }
)
# Accepted by libcurl without any effect.
IGNORED: Final = frozenset({curlopts.CURLOPT_EGDSOCKET, curlopts.CURLOPT_RANDOM_FILE})
# Deprecated options and their replacements.
RENAMED: Final = MappingProxyType(
    {curlopts.CURLOPT_SOCKS5_GSSAPI_SERVICE: curlopts.CURLOPT_PROXY_SERVICE_NAME}
)

# libcurl adds this to the number of an option that takes text or a list.
POINTER: Final = 10_000
LONG_LIMIT: Final = 2**63
# Options that take a list of header fields.
FIELD_LISTS: Final = frozenset({curlopts.CURLOPT_HTTPHEADER, curlopts.CURLOPT_PROXYHEADER})


class Option(NamedTuple):
    """An option: its name and type: `string`, `long`, `list`, or empty if it cannot be set."""

    name: str
    type: str


def _build_table() -> dict[int, Option]:
    """Return all options by number."""
    kinds = {
        name: kind
        for kind, words in (("string", TEXT), ("long", NUMBER), ("list", LIST))
        for name in words.split()
    }
    return {
        number: Option(name, kinds.get(name.removeprefix("CURLOPT_"), ""))
        for name, number in vars(curlopts).items()
        if name.startswith("CURLOPT_")
    }


OPTIONS: Final = MappingProxyType(_build_table())


def check_option(number: int, value: object) -> Setting:
    """Return libcurl's number and value of an option.

    Raises KoreError if there is no such option or it cannot be set, ClientTypeError if the value
    has the wrong type, ValueError if it is not allowed.
    """
    option = OPTIONS.get(number)
    if option is None:
        raise KoreError(f"invalid option '{number}'")
    if not option.type:
        why = REFUSED.get(option.name.removeprefix("CURLOPT_"))
        raise KoreError(
            f"option '{option.name}' refused: {why}"
            if why
            else f"option '{option.name}' not implemented"
        )
    if option.type == "long":
        return number, _check_long(option.name, value)
    number = POINTER + RENAMED.get(number, number)
    if option.type == "list":
        if not isinstance(value, (list, tuple)):
            raise ClientTypeError(f"option '{option.name}' requires a list as argument")
        lines = [_check_text(option.name, item) for item in value]
        if number - POINTER in FIELD_LISTS:
            _check_fields(option.name, lines)
        return number, lines
    if number == POINTER + curlopts.CURLOPT_URL and isinstance(value, str):
        value = encode_url(value).decode()
    return number, _check_text(option.name, value)


def _check_long(name: str, value: object) -> int:
    """Return a number. Raises ClientTypeError or ValueError if it is not a C long."""
    if type(value) is not int:
        raise ClientTypeError(f"option '{name}' requires a long as argument")
    if not -LONG_LIMIT <= value < LONG_LIMIT:
        raise ValueError(f"option '{name}': {value} does not fit a long")
    return value


def _check_text(name: str, value: object) -> bytes:
    """Return text as bytes.

    Raises ClientTypeError if it is not a str, ValueError for control characters: a line break would
    add fields to a request.
    """
    if not isinstance(value, str):
        raise ClientTypeError(f"option '{name}' requires a string as argument")
    if CONTROLS.search(value):
        raise ValueError(f"option '{name}': control characters are not allowed")
    return value.encode()


def _check_fields(name: str, lines: list[bytes]) -> None:
    """Raise ValueError if a line is no field: `Name: value`, `Name:` or `Name;`."""
    for line in lines:
        field = re.split(b"[:;]", line, maxsplit=1)[0].decode()
        if not is_token(field):
            raise ValueError(f"option '{name}': {field!r} is not the name of a header field")


def check_options(given: object) -> list[Setting]:
    """Return the settings of a `curlopt=` keyword.

    Raises ClientTypeError if it is not a dict by number, and what `check_option()` raises.
    """
    if not isinstance(given, dict):
        raise ClientTypeError("curlopt must be a dictionary")
    for key in given:
        if type(key) is not int:
            raise ClientTypeError("invalid key in curlopt keyword")
    settings = [check_option(key, value) for key, value in given.items()]
    return [setting for setting in settings if setting[0] - POINTER not in IGNORED]
