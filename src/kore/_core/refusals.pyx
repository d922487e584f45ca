# cython: language_level=3, boundscheck=False, wraparound=False
"""Reasons to refuse a request, each with its status, its RFC section and a text.

The parsers return minus a `RefusalReason`. This table is the only place that says what it means to
the client, in the log, and in access logs (`$refusal`). The texts are constant: nothing that a
client sent is part of them.
"""

from typing import NamedTuple


class RefusalRule(NamedTuple):
    """A rule: its number, and the status, RFC section and text of its refusal."""

    number: int
    status: int
    section: str
    text: str


REFUSALS = {
    "BLANK_LINES": RefusalRule(
        REFUSE_BLANK_LINES, 400, "RFC 9112 2.2", "more than two empty lines before a request"),
    "BARE_LF": RefusalRule(
        REFUSE_BARE_LF, 400, "RFC 9112 2.2", "a line of the head ends in LF without CR"),
    "BARE_CR": RefusalRule(
        REFUSE_BARE_CR, 400, "RFC 9112 2.2", "a CR without LF in the head"),
    "TLS": RefusalRule(
        REFUSE_TLS, 400, "RFC 8446 5.1", "TLS on a port that is for HTTP without TLS"),
    "PLAINTEXT": RefusalRule(
        REFUSE_PLAINTEXT, 400, "RFC 8446 5.1", "HTTP without TLS on a port that is for TLS"),
    "LINE_CHARACTER": RefusalRule(
        REFUSE_LINE_CHARACTER, 400, "RFC 9112 3",
        "the request line has a character that is not printable ASCII"),
    "LINE_SIZE": RefusalRule(
        REFUSE_LINE_SIZE, 414, "RFC 9110 15.5.15",
        "the request line is longer than http_request_line_max"),
    "HEAD_SIZE": RefusalRule(
        REFUSE_HEAD_SIZE, 431, "RFC 6585 5", "the head is larger than http_header_max"),
    "METHOD_NAME": RefusalRule(
        REFUSE_METHOD_NAME, 400, "RFC 9112 3.1",
        "the request line does not begin with a method and a space"),
    "VERSION_MISSING": RefusalRule(
        REFUSE_VERSION_MISSING, 400, "RFC 9112 2.3",
        "the request line does not end in a space and a version of HTTP"),
    "TARGET_MISSING": RefusalRule(
        REFUSE_TARGET_MISSING, 400, "RFC 9112 3.2", "the request line has no target"),
    "TARGET_CHARACTER": RefusalRule(
        REFUSE_TARGET_CHARACTER, 400, "RFC 9112 3.2",
        "the target has a space or a number sign"),
    "PROTOCOL": RefusalRule(
        REFUSE_PROTOCOL, 400, "RFC 9112 2.3",
        "neither method nor version is known: HTTP/2 or another protocol"),
    "MAJOR_VERSION": RefusalRule(
        REFUSE_MAJOR_VERSION, 505, "RFC 9110 15.6.6", "the version of HTTP is not 1.0 or 1.1"),
    "METHOD": RefusalRule(
        REFUSE_METHOD, 501, "RFC 9110 15.6.2", "the method is unknown"),
    "ASTERISK": RefusalRule(
        REFUSE_ASTERISK, 400, "RFC 9112 3.2.4", "a target of * is for OPTIONS, and stands alone"),
    "TARGET_FORM": RefusalRule(
        REFUSE_TARGET_FORM, 400, "RFC 9112 3.2", "the target is neither a path nor an http URL"),
    "TARGET_HOST": RefusalRule(
        REFUSE_TARGET_HOST, 400, "RFC 9112 3.2.2", "the host of the target is not valid"),
    "BACKSLASH": RefusalRule(
        REFUSE_BACKSLASH, 400, "RFC 3986 3.3", "the path has a backslash"),
    "ESCAPE": RefusalRule(
        REFUSE_ESCAPE, 400, "RFC 3986 2.1",
        "the path has a percent sign without two hexadecimal digits, or a zero byte"),
    "SCHEME": RefusalRule(
        REFUSE_SCHEME, 421, "RFC 9110 7.4", "a target of https over a connection without TLS"),
    "MISDIRECTED": RefusalRule(
        REFUSE_MISDIRECTED, 421, "RFC 9110 7.4", "the TLS handshake was not for this host"),
    "FIELD_FOLDED": RefusalRule(
        REFUSE_FIELD_FOLDED, 400, "RFC 9112 5.2", "a field line begins with white space"),
    "FIELD_NAME": RefusalRule(
        REFUSE_FIELD_NAME, 400, "RFC 9112 5.1",
        "a field line does not begin with a name and, directly behind it, a colon"),
    "FIELD_CHARACTER": RefusalRule(
        REFUSE_FIELD_CHARACTER, 400, "RFC 9110 5.5", "a field line has a control character"),
    "FIELD_COUNT": RefusalRule(
        REFUSE_FIELD_COUNT, 431, "RFC 6585 5", "more fields than http_header_fields_max"),
    "HOST_MISSING": RefusalRule(
        REFUSE_HOST_MISSING, 400, "RFC 9112 3.2", "there is no Host field"),
    "HOST_REPEATED": RefusalRule(
        REFUSE_HOST_REPEATED, 400, "RFC 9112 3.2", "there is more than one Host field"),
    "HOST_VALUE": RefusalRule(
        REFUSE_HOST_VALUE, 400, "RFC 9112 3.2", "the value of the Host field is not valid"),
    "EXPECTATION": RefusalRule(
        REFUSE_EXPECTATION, 417, "RFC 9110 10.1.1", "Expect has a value other than 100-continue"),
    "LENGTH_REPEATED": RefusalRule(
        REFUSE_LENGTH_REPEATED, 400, "RFC 9112 6.3", "there is more than one Content-Length"),
    "LENGTH_VALUE": RefusalRule(
        REFUSE_LENGTH_VALUE, 400, "RFC 9112 6.3", "Content-Length is not a number"),
    "LENGTH_AND_CODING": RefusalRule(
        REFUSE_LENGTH_AND_CODING, 400, "RFC 9112 6.1",
        "both Content-Length and Transfer-Encoding are there"),
    "CODING_LIST": RefusalRule(
        REFUSE_CODING_LIST, 400, "RFC 9112 6.1", "an element of Transfer-Encoding is empty"),
    "CHUNKED_REPEATED": RefusalRule(
        REFUSE_CHUNKED_REPEATED, 400, "RFC 9112 6.1", "chunked is not the last transfer coding"),
    "CHUNKED_MISSING": RefusalRule(
        REFUSE_CHUNKED_MISSING, 400, "RFC 9112 6.3", "Transfer-Encoding without chunked"),
    "CODING_VERSION": RefusalRule(
        REFUSE_CODING_VERSION, 400, "RFC 9112 6.1", "Transfer-Encoding in a request of HTTP/1.0"),
    "CODING": RefusalRule(
        REFUSE_CODING, 501, "RFC 9112 6.1", "a transfer coding other than chunked"),
    "CHUNK_SIZE": RefusalRule(
        REFUSE_CHUNK_SIZE, 400, "RFC 9112 7.1",
        "the size of a chunk is not hexadecimal digits, followed by a semicolon or CR LF"),
    "CHUNK_SIZE_RANGE": RefusalRule(
        REFUSE_CHUNK_SIZE_RANGE, 400, "RFC 9112 7.1", "the size of a chunk is beyond 64 bits"),
    "CHUNK_LINE_END": RefusalRule(
        REFUSE_CHUNK_LINE_END, 400, "RFC 9112 7.1", "the line of a chunk has a CR without LF"),
    "CHUNK_LINE_SIZE": RefusalRule(
        REFUSE_CHUNK_LINE_SIZE, 400, "RFC 9112 7.1.1",
        "the line of a chunk is longer than 4096 bytes"),
    "CHUNK_EXTENSION": RefusalRule(
        REFUSE_CHUNK_EXTENSION, 400, "RFC 9112 7.1.1",
        "a chunk extension has a control character, or LF without CR"),
    "CHUNK_DATA_END": RefusalRule(
        REFUSE_CHUNK_DATA_END, 400, "RFC 9112 7.1", "CR LF does not follow the data of a chunk"),
    "TRAILER_NAME": RefusalRule(
        REFUSE_TRAILER_NAME, 400, "RFC 9112 7.1.2",
        "a trailer does not begin with a name and, directly behind it, a colon"),
    "TRAILER_CHARACTER": RefusalRule(
        REFUSE_TRAILER_CHARACTER, 400, "RFC 9110 5.5",
        "a trailer has a control character, or LF without CR"),
    "TRAILER_LINE_END": RefusalRule(
        REFUSE_TRAILER_LINE_END, 400, "RFC 9112 7.1.2",
        "a line of the trailers has a CR without LF"),
    "TRAILER_SIZE": RefusalRule(
        REFUSE_TRAILER_SIZE, 431, "RFC 6585 5", "the trailers are larger than 4096 bytes"),
    "BODY_SIZE": RefusalRule(
        REFUSE_BODY_SIZE, 413, "RFC 9110 15.5.14",
        "the body is larger than http_body_max, or body_max of the route"),
    "HEAD_TIMEOUT": RefusalRule(
        REFUSE_HEAD_TIMEOUT, 408, "RFC 9110 15.5.9",
        "the head was not complete within http_header_timeout"),
    "BODY_TIMEOUT": RefusalRule(
        REFUSE_BODY_TIMEOUT, 408, "RFC 9110 15.5.9",
        "the body came slower than http_body_timeout and http_body_rate_min allow"),
    "WEBSOCKET_METHOD": RefusalRule(
        REFUSE_WEBSOCKET_METHOD, 400, "RFC 6455 4.1",
        "a handshake for a WebSocket that is not GET and HTTP/1.1"),
    "WEBSOCKET_UPGRADE": RefusalRule(
        REFUSE_WEBSOCKET_UPGRADE, 400, "RFC 6455 4.2.1",
        "a request to a WebSocket that does not ask for an upgrade to websocket"),
    "WEBSOCKET_BODY": RefusalRule(
        REFUSE_WEBSOCKET_BODY, 400, "RFC 6455 4.1", "a handshake for a WebSocket that has a body"),
    "WEBSOCKET_VERSION": RefusalRule(
        REFUSE_WEBSOCKET_VERSION, 426, "RFC 6455 4.4", "Sec-WebSocket-Version is not 13"),
    "WEBSOCKET_KEY": RefusalRule(
        REFUSE_WEBSOCKET_KEY, 400, "RFC 6455 4.2.1",
        "Sec-WebSocket-Key is not 16 bytes in base64, once"),
    "WEBSOCKET_ORIGIN": RefusalRule(
        REFUSE_WEBSOCKET_ORIGIN, 403, "RFC 6455 10.2",
        "the origin of a WebSocket is not allowed"),
}
RULES = {rule.number: rule for rule in REFUSALS.values()}


class ParseError(Exception):
    """A head or a body was refused, with *reason*, a number of `RULES`.

    `status` is that of the response.
    """

    def __init__(self, reason: int) -> None:
        self.rule = RULES[reason]
        self.status = self.rule.status
        super().__init__(f"refused with {self.status}")


cdef int STATUS[REASON_COUNT]
cdef const char *TEXT[REASON_COUNT]
cdef list encoded_texts = [b""] * <int>REASON_COUNT      # the memory that TEXT points to


cdef int fill_tables() except -1:
    cdef int reason
    for reason in range(NOT_REFUSED + 1, REASON_COUNT):
        encoded_texts[reason] = RULES[reason].text.encode("ascii")
        STATUS[reason] = RULES[reason].status
        TEXT[reason] = <bytes>encoded_texts[reason]
    return 0


fill_tables()


cdef int refusal_status(int reason) noexcept nogil:
    """Return the status of the response to a refused request."""
    return STATUS[reason]


cdef const char *refusal_text(int reason) noexcept nogil:
    """Return the text of a reason, ASCII without quotes; NULL for NOT_REFUSED."""
    return TEXT[reason]
