"""Timeouts of all operations: what numbers they may be, on both event loops."""

import socket
from collections.abc import Awaitable, Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

import kore
from tests.helpers.loops import on_both
from tests.helpers.socket_pairs import pair


class Convertible:
    """A number like those of NumPy: no subclass of any other, but it converts itself."""

    def __float__(self) -> float:
        return 2.5

    def __repr__(self) -> str:
        return "Convertible"


SHORT: Final = [
    0, 0.0, 1, 2.5, True, False, Decimal("2.5"), Decimal(0), Fraction(5, 2), Convertible(),
]
NONE: Final = [
    None, -1, -0.5, Decimal(-1), 10**30, 10**400, 1e300, float("inf"), -(10**400),
    Decimal("Infinity"), Decimal("1e999999"), Fraction(10**400), Fraction(-(10**400)),
]
WRONG: Final[list[tuple[Any, type[Exception]]]] = [
    ("5", TypeError), (b"5", TypeError), (5j, TypeError), ([5], TypeError), ({}, TypeError),
    (float("nan"), ValueError), (Decimal("NaN"), ValueError), (Decimal("sNaN"), ValueError),
]
RECEIVING: Final = ["recv", "recvfrom", "recvmsg"]


@pytest.mark.parametrize("limit", SHORT, ids=repr)
@on_both
async def test_timeout_may_be_any_real_number(limit: Any) -> None:
    async with pair(socket.AF_UNIX) as (sock, _):
        for how in RECEIVING:
            with pytest.raises(TimeoutError, match="before operation completed"):
                await getattr(sock, how)(10, limit)
        with pytest.raises(TimeoutError, match="before operation completed"):
            await sock.send(b"x" * 10_000_000, limit)
    proc = kore.proc(["sleep", "1000"])
    with pytest.raises(TimeoutError, match="before operation completed"):
        await proc.recv(10, limit)
    proc.kill()
    await proc.reap()


@pytest.mark.parametrize("limit", NONE, ids=str)
@on_both
async def test_timeout_of_none_negative_or_infinity_is_no_limit(limit: Any) -> None:
    async with pair(socket.AF_UNIX) as (sock, other):
        for how in RECEIVING:
            other.send(b"data")
            received = await getattr(sock, how)(10, limit)
            assert received == b"data" if how == "recv" else b"data" in received
        await sock.send(b"data", limit)
    proc = kore.proc(["cat"], limit)
    await proc.send(b"data", limit)
    assert await proc.recv(10, limit) == b"data"
    proc.close_stdin()
    assert await proc.reap() == 0


@pytest.mark.parametrize("limit", [Decimal("2.5"), Fraction(5, 2), 2.5, True], ids=repr)
@on_both
async def test_process_timeout_may_be_any_real_number(limit: Any) -> None:
    proc = kore.proc(["sleep", "1000"], limit)
    with pytest.raises(TimeoutError, match="before process exited"):
        await proc.reap()
    proc.kill()
    await proc.reap()


@pytest.mark.parametrize(("limit", "error"), WRONG, ids=str)
@on_both
async def test_invalid_timeout_is_refused(
    limit: Any, error: type[Exception], tmp_path: Path
) -> None:
    async with pair(socket.AF_UNIX) as (sock, other):
        waiting: list[Callable[[], Awaitable[Any]]] = [
            lambda: sock.recv(10, limit),
            lambda: sock.recvfrom(10, limit),
            lambda: sock.recvmsg(10, limit),
            lambda: sock.send(b"x" * 10_000_000, limit),
            lambda: sock.connect(str(tmp_path / "none"), limit),
        ]
        for wait in waiting:
            with pytest.raises(error, match="a timeout must be a number of milliseconds"):
                await wait()
        other.close()
    with pytest.raises(error, match="a timeout must be a number of milliseconds"):
        kore.proc(["true"], limit)
