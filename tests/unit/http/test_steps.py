"""What runs before a handler, and in which order."""

import asyncio
from typing import Any

import pytest

from kore._conf.schema import Auth, ParameterRule, ParameterRules, Route, RouteRequirements
from kore._http.pipeline import fold_steps
from kore._http.steps import build_steps
from tests.helpers.fake_request import FakeRequest


def handler(request: FakeRequest) -> None:
    request.response(200, b"handled")


def run(
    request: FakeRequest, *prerequests: Any, requirements: RouteRequirements | None = None
) -> Any:
    route = Route("/x", handler, ("GET",), requirements or RouteRequirements())
    pending = fold_steps(route, build_steps(route, prerequests))(request)
    if pending is not None:
        asyncio.run(pending)
    return request.answer


def test_a_route_without_requirements_has_no_steps() -> None:
    route = Route("/x", handler, ("GET",))

    assert build_steps(route, ()) == []
    assert fold_steps(route, build_steps(route, ())) is handler


def test_authentication_is_first_and_validation_last() -> None:
    seen = []

    def verify(request: FakeRequest) -> bool:
        seen.append("auth")
        return True

    def validator(request: FakeRequest, value: str) -> bool:
        seen.append("parameter")
        return True

    declared = ParameterRules(query={"a": ParameterRule(verify=validator)})
    requirements = RouteRequirements({1: declared}, Auth("request", verify))
    request = FakeRequest("a=1", declared=declared)

    assert run(request, lambda _: seen.append("prerequest"), requirements=requirements) == (
        200,
        b"handled",
    )
    assert seen == ["auth", "prerequest", "parameter"]


def stops(request: FakeRequest) -> bool:
    request.response(503, b"closed")
    return False


async def stops_later(request: FakeRequest) -> bool:
    await asyncio.sleep(0)
    return stops(request)


def answers(request: FakeRequest) -> None:
    request.response(503, b"closed")


async def goes_on_later(request: FakeRequest) -> int:
    await asyncio.sleep(0)
    return 0  # falsy, but not False


@pytest.mark.parametrize("hook", [stops, stops_later, answers])
def test_a_prerequest_that_returns_false_or_responds_stops_the_request(hook: Any) -> None:
    assert run(FakeRequest(), hook, lambda request: pytest.fail("went on")) == (503, b"closed")


@pytest.mark.parametrize("hook", [goes_on_later, lambda request: None, lambda request: True])
def test_a_prerequest_that_returns_anything_else_lets_the_request_proceed(hook: Any) -> None:
    assert run(FakeRequest(), hook, hook) == (200, b"handled")


async def silent_later(request: FakeRequest) -> bool:
    return False


@pytest.mark.parametrize("hook", [lambda request: False, silent_later])
def test_a_prerequest_that_stops_without_a_response_is_an_error(
    hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(FakeRequest(), hook) == (500, None)
    assert "stopped route '/x' without calling response()" in caplog.text
