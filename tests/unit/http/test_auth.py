"""Authentication: whom it lets through, and what becomes of the others."""

import asyncio
from enum import IntEnum
from typing import Any

import pytest

import kore
from kore._conf.schema import Auth
from kore._http.auth import make_auth_step
from tests.helpers.fake_request import FakeRequest


def secret(request: FakeRequest, value: str) -> bool:
    return value == "secret"


async def secret_later(request: FakeRequest, value: str) -> bool:
    await asyncio.sleep(0)
    return value == "secret"


def verdict(auth: Auth, request: FakeRequest) -> Any:
    found = make_auth_step(auth)(request)
    return asyncio.run(found) if asyncio.iscoroutine(found) else found


@pytest.mark.parametrize("verify", [secret, secret_later])
@pytest.mark.parametrize(
    ("auth", "fields"),
    [
        (("cookie", "session"), {"cookie": "a=b; session=secret; session=x"}),
        (("header", "x-key"), {"x_key": "secret"}),
    ],
)
def test_valid_credentials_are_accepted(
    verify: Any, auth: tuple[str, str], fields: dict[str, str]
) -> None:
    kind, value = auth
    request = FakeRequest(**fields)  # type: ignore[arg-type]

    assert verdict(Auth(kind, verify, value), request) is True
    assert request.answer is None


@pytest.mark.parametrize("verify", [secret, secret_later])
@pytest.mark.parametrize(
    "cookie",
    ["", "session=", "session=wrong", "sessionX=secret", "Session=secret", "x=session=secret"],
)
def test_missing_or_invalid_credentials_are_refused(verify: Any, cookie: str) -> None:
    request = FakeRequest(cookie=cookie)

    assert verdict(Auth("cookie", verify, "session"), request) is False
    assert request.answer == (403, None)


def test_invalid_credentials_are_redirected_to_the_login_page() -> None:
    request = FakeRequest()

    assert verdict(Auth("header", secret, "x-key", "/login"), request) is False
    assert request.answer == (302, None)
    assert request.sent == {"location": "/login"}


class Flag(IntEnum):
    """Numbers as C has them, by name."""

    NO = kore.RESULT_ERROR
    YES = kore.RESULT_OK


@pytest.mark.parametrize("result", [True, kore.RESULT_OK, Flag.YES])
def test_true_and_result_ok_accept(result: object, caplog: pytest.LogCaptureFixture) -> None:
    request = FakeRequest(x_key="secret")

    assert verdict(Auth("header", lambda *_: result, "x-key"), request) is True
    assert request.answer is None
    assert not caplog.records


@pytest.mark.parametrize("result", [False, None, kore.RESULT_ERROR, Flag.NO])
def test_false_none_and_result_error_refuse_without_a_log_line(
    result: object, caplog: pytest.LogCaptureFixture
) -> None:
    request = FakeRequest(x_key="secret")

    assert verdict(Auth("header", lambda *_: result, "x-key"), request) is False
    assert request.answer == (403, None)
    assert not caplog.records


@pytest.mark.parametrize("result", ["yes", "", 2, -1, 1.0, 0.0, b"1", [True], (), object()])
def test_other_results_refuse_with_a_log_line(
    result: object, caplog: pytest.LogCaptureFixture
) -> None:
    request = FakeRequest(x_key="secret")

    assert verdict(Auth("header", lambda *_: result, "x-key"), request) is False
    assert request.answer == (403, None)
    assert "did not return True/False" in caplog.text


def test_a_request_is_authenticated_as_a_whole() -> None:
    auth = Auth("request", lambda request: request.query_string == "let=me")
    refused = FakeRequest()

    assert verdict(auth, FakeRequest("let=me")) is True
    assert verdict(auth, refused) is False
    assert refused.answer == (403, None)


@pytest.mark.parametrize("result", [True, False])
def test_a_response_of_the_validator_ends_the_request(result: bool) -> None:
    def answers(request: FakeRequest) -> bool:
        request.response(401, b"who are you?")
        return result

    request = FakeRequest()

    assert verdict(Auth("request", answers, "", "/login"), request) is False
    assert request.answer == (401, b"who are you?")
