"""Build request bytes. Nothing is checked: most tests want them wrong somewhere."""

HOST = "localhost"
CRLF = b"\r\n"
HOST_LINE = f"Host: {HOST}\r\n".encode()


def request(
    method: str | bytes = "GET",
    target: str | bytes = "/",
    *fields: str | bytes,
    body: bytes = b"",
    version: str = "HTTP/1.1",
    host: str | None = HOST,
) -> bytes:
    """Return a request; *host* None leaves its field out."""
    first = b" ".join((encoded(method), encoded(target), encoded(version)))
    named = [f"Host: {host}".encode()] if host is not None else []
    return CRLF.join([first, *named, *map(encoded, fields), b"", body])


def get(target: str | bytes = "/", *fields: str | bytes) -> bytes:
    """Return a GET."""
    return request("GET", target, *fields)


def post(
    body: bytes = b"",
    length: int | str | None = -1,
    *fields: str | bytes,
    target: str = "/echo",
    method: str = "POST",
    version: str = "HTTP/1.1",
) -> bytes:
    """Return a POST; *length* None announces none, -1 the right one, others are sent as is."""
    if length == -1:
        length = len(body)
    framing = () if length is None else (f"Content-Length: {length}",)
    return request(method, target, *framing, *fields, body=body, version=version)


def chunked(*pieces: bytes) -> bytes:
    """Return *pieces* as a chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def encoded(text: str | bytes) -> bytes:
    """Return latin-1 bytes: what a test writes is what goes on the wire."""
    return text if isinstance(text, bytes) else text.encode("latin-1")
