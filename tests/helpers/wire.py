"""A raw case: bytes in, answers out, and whether the connection may be used afterwards."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict, Unpack

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import Server
from tests.helpers.raw_client import Client, Segment
from tests.helpers.response_reader import Answer

HELLO = b"hello world"
IMF_DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" \d{4} \d\d:\d\d:\d\d GMT"
)

OPEN, CLOSED, EITHER = "open", "closed", "either"
# Closed because the client ended its direction: the answer need not announce it.
HALF_CLOSED = "half-closed"


@dataclass(frozen=True)
class Case:
    """What is sent, and what has to come back.

    Open is proved, not waited for: a last plain request on the same connection
    must get its own answer and nothing else, so that one byte of a request or of
    an answer too many shows. Closed is a FIN: a reset may destroy the answer on its way.
    """

    name: str
    segments: tuple[Segment, ...]
    statuses: tuple[tuple[int, ...], ...]  # the acceptable sequences, interim answers included
    end: str = OPEN
    body: bytes | None = None  # of the last answer; None: not looked at
    fields: dict[str, str] = field(default_factory=dict)  # of the last answer
    allow: frozenset[str] | None = None
    methods: tuple[str, ...] = ()

    def bytewise(self) -> "Case":
        """Return the same case, cut into as many segments as is reasonable."""
        pieces: list[Segment] = []
        for segment in self.segments:
            pieces.extend(cut(segment) if isinstance(segment, bytes) else [segment])
        return replace(self, segments=tuple(pieces))


def cut(data: bytes) -> list[bytes]:
    """Return *data* byte by byte, in at most some 300 pieces."""
    size = 1 + len(data) // 300
    return [data[at : at + size] for at in range(0, len(data), size)]


class More(TypedDict, total=False):
    """What a case may add to the usual."""

    fields: dict[str, str]
    allow: frozenset[str]
    methods: tuple[str, ...]


def segments_of(sent: bytes | list[Segment]) -> tuple[Segment, ...]:
    """Return the segments of a single one or several."""
    return (sent,) if isinstance(sent, bytes) else tuple(sent)


def answered(
    name: str,
    sent: bytes | list[Segment],
    body: bytes | None = HELLO,
    *,
    status: int | tuple[int, ...] = 200,
    end: str = OPEN,
    **more: Unpack[More],
) -> Case:
    """Return a case that is served; several statuses for several requests."""
    statuses = status if isinstance(status, tuple) else (status,)
    return Case(name, segments_of(sent), (statuses,), end, body, **more)


def refused(
    name: str,
    status: int | tuple[int, ...],
    sent: bytes | list[Segment],
    body: bytes | None = None,
    *,
    end: str = CLOSED,
    **more: Unpack[More],
) -> Case:
    """Return a case that is refused, most often with the end of the connection."""
    statuses = status if isinstance(status, tuple) else (status,)
    return Case(name, segments_of(sent), (statuses,), end, body, **more)


def both_ways(cases: Iterable[Case]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Parametrize a test over *cases*, each sent whole and byte by byte."""
    table = list(cases)
    names = [case.name for case in table]
    assert len(set(names)) == len(names), "a name is there twice"
    return pytest.mark.parametrize(
        "case",
        [pytest.param(case, id=case.name) for case in table]
        + [pytest.param(case.bytewise(), id=f"{case.name}-bytewise") for case in table],
    )


def check(server: Server, case: Case) -> None:
    """Send the case and compare."""
    with server.connect(*case.methods) as client:
        client.send(*case.segments)
        wanted = max(len([s for s in statuses if s >= 200]) for statuses in case.statuses)
        client.answers(wanted)
        if case.end == OPEN:
            still_in_step(client)
        elif case.end in (CLOSED, HALF_CLOSED):
            assert client.until_ended() == "closed"
        else:
            in_step_or_closed(client)
        answers = client.reader.answers
        assert tuple(answer.status for answer in answers) in case.statuses
        assert not client.reader.partial
        compare(case, answers)


def still_in_step(client: Client) -> None:
    """Require that the next request gets its own answer and nothing else; then forget it."""
    assert client.end == "open"
    seen = len(client.reader.answers)
    answer = client.ask(get())
    assert (answer.status, answer.body) == (200, HELLO)
    assert len(client.reader.answers) == seen + 1
    client.reader.answers.pop()


def in_step_or_closed(client: Client) -> None:
    """Accept the end of the connection, or a connection in step."""
    seen = len(client.reader.answers)
    client.reader.methods.append("GET")
    client.send(get("/", "Connection: close"))
    assert client.until_ended() in ("closed", "reset")
    if len(client.reader.answers) > seen:
        assert client.reader.answers.pop().body == HELLO


def compare(case: Case, answers: Sequence[Answer]) -> None:
    """Compare the answers' content."""
    final = [answer for answer in answers if answer.status >= 200]
    for answer in final:
        sound(answer)
    if not final:
        return
    last = final[-1]
    if case.body is not None:
        assert last.body == case.body
    for name, value in case.fields.items():
        assert last.get(name) == value, name
    if case.allow is not None:
        assert last.tokens - {"OPTIONS"} == case.allow
    if case.end == CLOSED:
        assert last.get("connection") == "close"
    for answer in final[: -1 if case.end != OPEN else None]:
        assert answer.get("connection") == "keep-alive"


def sound(answer: Answer) -> None:
    """Require what every final answer has."""
    assert IMF_DATE.fullmatch(answer.get("date") or "")
    assert (answer.get("server") or "").startswith("kore")
    if answer.status == 204:
        return
    assert answer.get("content-length") is not None
    if answer.status >= 400 and answer.get("content-length") != str(len(answer.body)):
        assert answer.body == b""  # to a HEAD
    elif answer.status >= 400:
        assert 0 < len(answer.body) < 100
