"""Requests to reload: several during a load count as one."""

from collections.abc import Callable

import pytest

from kore._process.parent.reload_requests import QUIET_SECONDS, ReloadRequests


class FakeLoop:
    """Keeps callbacks until the test runs them."""

    def __init__(self) -> None:
        self.later: list[Callable[[], object]] = []

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        assert seconds == QUIET_SECONDS
        self.later.append(callback)

    def elapse(self) -> None:
        due, self.later = self.later, []
        for callback in due:
            callback()


class Requests:
    """Requests, and how often they have caused a reload."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.loading = False
        self.reloads = 0
        self.requests = ReloadRequests(
            self.loop,  # type: ignore[arg-type]
            lambda: self.loading,
            self.reload,
        )

    def reload(self) -> None:
        self.reloads += 1
        self.requests.clear()


@pytest.fixture
def made() -> Requests:
    return Requests()


def test_request_reloads_at_once_if_nothing_is_loading(made: Requests) -> None:
    made.requests.request()

    assert made.reloads == 1
    assert made.loop.later == []


def test_requests_during_a_load_are_one_reload(made: Requests) -> None:
    made.loading = True
    for _ in range(5):
        made.requests.request()
    assert made.reloads == 0
    made.loop.elapse()

    assert made.reloads == 1


def test_each_request_starts_the_quiet_time_again(made: Requests) -> None:
    made.loading = True
    made.requests.request()
    first = made.loop.later.pop()
    made.requests.request()
    first()
    assert made.reloads == 0
    made.loop.elapse()

    assert made.reloads == 1


def test_load_that_begins_meanwhile_answers_the_requests(made: Requests) -> None:
    made.loading = True
    made.requests.request()
    made.requests.clear()
    made.loop.elapse()

    assert made.reloads == 0
