"""Response heads; see writer.pyx."""

from collections.abc import Iterable

def reason(status: int) -> str: ...
def write_head(
    status: int,
    fields: Iterable[tuple[str, str]] | None = None,
    *,
    keep: bool = True,
    length: int | None = None,
    chunked: bool = False,
    server: bytes = b"kore",
    keepalive: int = 20,
    second: int = 0,
    hsts: int | None = None,
) -> bytes: ...
def convert_body(body: object) -> object: ...
def check_body_iterable(body: object) -> None: ...
