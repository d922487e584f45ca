"""Strategies for request heads: mostly well-formed, now and then with something gone wrong."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

# In the suite over the same ground each time, so that it cannot fail by chance.
SHORT: Final = settings(max_examples=1000, deadline=None, database=None, derandomize=True)
LONG: Final = settings(max_examples=40_000, deadline=None, database=None, derandomize=False)
PATIENCE: Final = pytest.mark.timeout(1800)

# Of each kind: what is usual, and what is not.
METHODS = (
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"],
    [b"get", b"TRACE", b"X", b"G@T", b"", b"GET\t"],
)
TARGETS = (
    [b"/", b"/path", b"/a?b=c", b"/?", b"http://h/", b"http://h", b"http://h:1?x", b"/%41", b"//"],
    [
        b"*",
        b"https://h/x",
        b"/%",
        b"/%00",
        b"/#f",
        b"?",
        b"h:1",
        b"http://",
        b"/\\",
        b"/a b",
        b"/\xff",
    ],
)
VERSIONS = (
    [b"HTTP/1.1"],
    [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.", b"HTTP/11"],
)
HOSTS = (
    [b"Host: h\r\n", b"host:h:80\r\n", b"HOST: [::1]\r\n"],
    [
        b"",
        b"Host: a,b\r\n",
        b"Host:\r\n",
        b"Host: h\r\nHost: h\r\n",
        b"Hos: h\r\n",
        b"Host: u@h\r\n",
    ],
)
FIELDS = (
    [
        (b"Content-Length", [b"0", b"3", b"03", b"12"]),
        (b"Transfer-Encoding", [b"chunked", b"Chunked"]),
        (b"Connection", [b"close", b"keep-alive", b"keep-alive, Close", b"closed", b"x"]),
        (b"Expect", [b"100-continue"]),
        (b"A-b", [b"", b"caf\xe9", b"a\tb", b"a: b", b'"q, r"']),
        (b"x_y", [b"1", b" 1", b"1 \t", b"close"]),
    ],
    [
        (b"Content-Length", [b"3, 3", b"+3", b"0x3", b"9" * 20, b"-1", b"3 3", b"", b"3,"]),
        (
            b"Transfer-Encoding",
            [b"gzip", b"gzip, chunked", b"chunked, gzip", b", chunked", b"xchunked"],
        ),
        (b"Expect", [b"200-ok"]),
        (b"Content-Length ", [b"3"]),
        (b"a b", [b"1"]),
        (b"", [b"1"]),
        (b"\xe9", [b"1"]),
        (b"a", [b"\0", b"\x7f", b"a\rb", b"a\nb", b"\x0b"]),
        (b"Upgrade", [b"websocket"]),
    ],
)
COLONS = ([b": ", b":", b":\t "], [b" : ", b"", b"::", b"\r\n:"])
ENDS = ([b"\r\n"], [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\r\n\t", b" \r\n"])
SPACES = ([b" "], [b"  ", b"\t", b""])
BLANKS = ([b""], [b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b"\n"])
SOUP = [
    b"\r\n",
    b"\r\n\r\n",
    b"",
    *(bytes([c]) for c in b"\r\n \t:,;/?#%*@[]\0\x01\x7f\x80\xffaA0"),
]
RARELY = 40


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Draw a whole head."""

    def some(kind: tuple[list[Any], list[Any]]) -> Any:
        usual, odd = kind
        return draw(st.sampled_from(usual if draw(st.integers(0, RARELY)) else odd))

    out = [some(BLANKS), some(METHODS), some(SPACES), some(TARGETS), some(SPACES), some(VERSIONS)]
    out += [some(ENDS), some(HOSTS)]
    for _ in range(draw(st.integers(0, 3))):
        name, values = some(FIELDS)
        out += [name, some(COLONS), draw(st.sampled_from(values)), some(ENDS)]
    out.append(some(ENDS))
    return b"".join(out)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Draw a head in which up to two places were changed."""
    return changed(draw, draw(lines()))


def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """Return *data*, most often as it is, else with a few bytes replaced."""
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.sampled_from(SOUP)) + data[at + draw(st.integers(0, 2)) :]
    return data


def fuzzed(*strategies: st.SearchStrategy[Any]) -> Callable[..., Any]:
    """Run a check with drawn values: shortly in the suite, long under the `slow` marker."""

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        @pytest.mark.parametrize(
            "effort",
            [
                pytest.param(SHORT, id="short"),
                pytest.param(LONG, id="long", marks=[pytest.mark.slow, PATIENCE]),
            ],
        )
        def test(effort: settings) -> None:
            effort(given(*strategies)(check))()

        test.__name__ = check.__name__
        return test

    return decorate
