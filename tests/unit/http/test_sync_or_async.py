"""Asking the application: at once where it can be, later where it must be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any

import pytest

import kore
from kore._http.sync_or_async import Work, call_validator, run_maybe_async, run_sync
from kore.errors import KoreError


def yes(value: object) -> bool:
    return True


async def later(value: object) -> bool:
    await asyncio.sleep(0)
    return value == "yes"


class Waits:
    def __call__(self, value: object) -> Awaitable[bool]:
        return later(value)


def two(first: Callable[..., Any], second: Callable[..., Any]) -> Work[list[bool]]:
    one = yield from call_validator(first, "yes")
    other = yield from call_validator(second, "no")
    return [one, other]


def test_work_that_never_waits_is_done_at_once() -> None:
    assert run_maybe_async(two(yes, yes)) == [True, True]


@pytest.mark.parametrize("verify", [later, Waits()])
def test_work_that_waits_is_a_coroutine(verify: Callable[..., Any]) -> None:
    pending = run_maybe_async(two(verify, verify))

    assert asyncio.run(pending) == [True, False]


class Result(IntEnum):
    """An application's own names for what functions of C Kore return."""

    NO = 0
    YES = 1


async def awaited(verdict: object) -> object:
    await asyncio.sleep(0)
    return verdict


def ask(verdict: object) -> list[bool]:
    """Return what is made of a verdict that is there at once, and of one that is awaited."""
    later = run_maybe_async(call_validator(lambda _: awaited(verdict), "x"))
    return [run_maybe_async(call_validator(lambda _: verdict, "x")), asyncio.run(later)]


@pytest.mark.parametrize("verdict", [True, 1, kore.RESULT_OK, Result.YES])
def test_true_and_result_ok_accept(verdict: object, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(verdict) == [True, True]
    assert [record for record in caplog.records if record.name == "kore"] == []


@pytest.mark.parametrize("verdict", [False, None, 0, kore.RESULT_ERROR, Result.NO])
def test_a_plain_rejection_is_not_logged(verdict: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kore")

    assert ask(verdict) == [False, False]
    assert [record for record in caplog.records if record.name == "kore"] == []


@pytest.mark.parametrize(
    "verdict", [2, -1, kore.RESULT_RETRY, 1.0, "yes", "", [True], {}, object()]
)
def test_other_values_reject_and_are_logged(
    verdict: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(verdict) == [False, False]
    assert caplog.text.count("validator did not return True/False") == 2


def test_work_that_must_be_awaited_cannot_be_run_sync() -> None:
    assert run_sync(two(yes, yes)) == [True, True]
    with pytest.raises(KoreError, match="must be awaited"):
        run_sync(two(yes, later))  # and the coroutine of `later` does not complain


def test_an_error_is_raised_to_the_caller() -> None:
    def fails(value: object) -> bool:
        raise LookupError(value)

    async def fails_later(value: object) -> bool:
        raise LookupError(value)

    with pytest.raises(LookupError):
        run_maybe_async(call_validator(fails, "x"))
    with pytest.raises(LookupError):
        asyncio.run(run_maybe_async(call_validator(fails_later, "x")))
