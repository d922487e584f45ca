"""The request methods and their numbers."""

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
