"""The request methods: those with a number, and others."""

from collections.abc import Mapping
from typing import Final

# Kore's numbers, which applications compare with request.method. Kore skips 8.
HTTP_METHOD_GET: Final = 1
HTTP_METHOD_POST: Final = 2
HTTP_METHOD_PUT: Final = 4
HTTP_METHOD_DELETE: Final = 16
HTTP_METHOD_HEAD: Final = 32
HTTP_METHOD_OPTIONS: Final = 64
HTTP_METHOD_PATCH: Final = 128

# In the order in which an Allow field lists them.
METHODS: Final[Mapping[str, int]] = {
    "GET": HTTP_METHOD_GET,
    "HEAD": HTTP_METHOD_HEAD,
    "POST": HTTP_METHOD_POST,
    "PUT": HTTP_METHOD_PUT,
    "PATCH": HTTP_METHOD_PATCH,
    "DELETE": HTTP_METHOD_DELETE,
    "OPTIONS": HTTP_METHOD_OPTIONS,
}

# In a route's list of methods: all of them, also those that are not registered anywhere.
ANY_METHOD: Final = "*"
# Further methods of IANA's registry (RFC 9110 section 16.1). The number of a request with another
# method than those above is 0. CONNECT is for proxies, PRI for HTTP/2's preface.
REGISTERED_METHODS: Final = frozenset(
    {
        "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK",
        "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE",
        "ORDERPATCH", "PROPFIND", "PROPPATCH", "QUERY", "REBIND", "REPORT", "SEARCH", "TRACE",
        "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF",
        "VERSION-CONTROL",
    }
)  # fmt: skip
UNAVAILABLE_METHODS: Final = frozenset({"CONNECT", "PRI"})
