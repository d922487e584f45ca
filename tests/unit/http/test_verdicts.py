"""Asking the application: at once where it can be, later where it must be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kore._http.verdicts import Work, at_once, consented, drive
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
    one = yield from consented(first, "yes")
    other = yield from consented(second, "no")
    return [one, other]


def test_work_that_never_waits_is_done_at_once() -> None:
    assert drive(two(yes, yes)) == [True, True]


@pytest.mark.parametrize("verify", [later, Waits()])
def test_work_that_waits_is_a_coroutine(verify: Callable[..., Any]) -> None:
    pending = drive(two(verify, verify))

    assert asyncio.run(pending) == [True, False]


@pytest.mark.parametrize("verdict", [1, None, "yes", [True]])
def test_only_true_is_a_yes_and_what_is_no_bool_is_logged(
    verdict: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert drive(consented(lambda _: verdict, "x")) is False
    assert "validator did not return True/False" in caplog.text


def test_a_plain_no_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    assert drive(consented(lambda _: False, "x")) is False
    assert caplog.text == ""


def test_what_is_needed_now_cannot_wait() -> None:
    assert at_once(two(yes, yes)) == [True, True]
    with pytest.raises(KoreError, match="must be awaited"):
        at_once(two(yes, later))  # and the coroutine of `later` does not complain


def test_an_error_goes_to_who_asked() -> None:
    def fails(value: object) -> bool:
        raise LookupError(value)

    async def fails_later(value: object) -> bool:
        raise LookupError(value)

    with pytest.raises(LookupError):
        drive(consented(fails, "x"))
    with pytest.raises(LookupError):
        asyncio.run(drive(consented(fails_later, "x")))
