"""What comes beside a head: judged before the handler, seen when it is asked for."""

import asyncio
import hashlib
import json
import re
from typing import Any

import pytest

from kore._conf.schema import ParameterRule, ParameterRules
from kore._conf.settings import Settings
from kore._http.request_data import _get_media_type, make_validation_step
from kore.errors import KoreError, RefusedError
from tests.helpers.fake_request import FORM, FakeRequest, values

ANY = ParameterRule(search=re.compile("").search)
DIGITS = ParameterRule(search=re.compile(r"^[0-9]+\Z").search)
MULTIPART = "multipart/form-data; boundary=XX"


async def later(request: object, value: str) -> bool:
    await asyncio.sleep(0)
    return value == "yes"


LATER = ParameterRule(verify=later)
ID = ParameterRules(query={"id": DIGITS})
BOTH = ParameterRules(query={"id": DIGITS}, body={"name": ANY, "id": DIGITS})


def judged(request: FakeRequest, *, strict: bool = False) -> Any:
    """Run the step before a handler; return its verdict."""
    verdict = make_validation_step(strict=strict)(request)
    return asyncio.run(verdict) if asyncio.iscoroutine(verdict) else verdict


def form(*fields: tuple[str, str]) -> bytes:
    lines = [
        f"--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{data}\r\n"
        for disposition, data in fields
    ]
    return ("".join(lines) + "--XX--\r\n").encode()


# Arguments


def test_nothing_is_seen_before_it_is_populated() -> None:
    request = FakeRequest("id=1", declared=ID)

    assert judged(request) is True
    assert request.request_data.argument("id") is None
    assert request.request_data.populate_get(request) is True
    assert request.request_data.argument("id") == "1"
    assert request.request_data.argument("other") is None


def test_the_first_accepted_value_is_the_argument_and_all_are_there() -> None:
    request = FakeRequest("id=x&id=2&id=3", declared=ID)
    judged(request)
    request.request_data.populate_get(request)

    assert request.request_data.argument("id") == "2"
    assert values(request) == {"id": ["2", "3"]}


def test_query_and_form_are_visible_in_the_order_of_populating() -> None:
    request = FakeRequest("id=1", b"id=2&name=ada", declared=BOTH, content_type=FORM)
    judged(request)
    request.request_data.populate_post(request)
    request.request_data.populate_get(request)

    assert request.request_data.argument("id") == "2"
    assert values(request) == {"id": ["2", "1"], "name": ["ada"]}


def test_populating_twice_changes_nothing() -> None:
    request = FakeRequest("id=1", declared=ID)
    request.request_data.populate_get(request)
    request.request_data.populate_get(request)

    assert values(request) == {"id": ["1"]}


@pytest.mark.parametrize("kind", ["text/plain", "application/json", MULTIPART + "; x"])
def test_a_body_that_is_no_form_has_no_parameters(kind: str) -> None:
    content = None if kind.startswith("multi") else b"name=ada"
    request = FakeRequest("", content, declared=BOTH, content_type=kind)

    assert judged(request) is True
    assert request.request_data.populate_post(request) is True
    assert values(request) == {}


@pytest.mark.parametrize("fields", [{}, {"content_type": FORM.upper() + " ; charset=utf-8"}])
def test_a_form_is_one_by_its_type_or_without_one(fields: dict[str, str]) -> None:
    request = FakeRequest("", b"name=ada", declared=BOTH, **fields)
    request.request_data.populate_post(request)

    assert values(request) == {"name": ["ada"]}


def test_a_multipart_form_is_not_seen_as_the_other_kind_and_the_other_way_round() -> None:
    multi = FakeRequest("", form(('name="name"', "ada")), declared=BOTH, content_type=MULTIPART)
    plain = FakeRequest("", b"name=ada", declared=BOTH, content_type=FORM)
    multi.request_data.populate_post(multi)
    plain.request_data.populate_multi(plain)

    assert values(multi) == values(plain) == {}


def test_a_value_may_be_awaited_before_the_handler() -> None:
    request = FakeRequest("v=no&v=yes", declared=ParameterRules(query={"v": LATER, "id": DIGITS}))

    assert judged(request) is True
    request.request_data.populate_get(request)
    assert values(request) == {"v": ["yes"]}


def test_parameters_with_async_validators_are_for_the_handler_only() -> None:
    request = FakeRequest("v=yes", declared=ParameterRules(query={"v": LATER}))

    with pytest.raises(KoreError, match="must be awaited"):
        request.request_data.populate_get(request)
    judged(request)
    request.request_data.populate_get(request)
    assert values(request) == {"v": ["yes"]}


def test_the_query_is_there_without_validation() -> None:
    request = FakeRequest("a=1&a=2&b&c=%ff&d=%E2%82%AC")

    assert request.request_data.query(request) == {
        "a": ["1", "2"],
        "b": [""],
        "c": ["\N{REPLACEMENT CHARACTER}"],
        "d": ["€"],
    }


@pytest.mark.parametrize("source", [{"query": "a&a&a"}, {"content": b"a&a&a"}])
def test_too_many_parameters_are_refused(source: dict[str, Any]) -> None:
    request = FakeRequest(**source, declared=BOTH, settings=Settings(http_arguments_max=2))

    with pytest.raises(RefusedError, match="more than 2 parameters"):
        judged(request)


# What a handler insists on


def test_an_invalid_parameter_is_left_out() -> None:
    request = FakeRequest("id=x", declared=ID)

    assert judged(request) is True
    assert request.answer is None


@pytest.mark.parametrize("query", ["", "id=x", "other=1"])
def test_without_a_required_parameter_the_handler_is_not_run(query: str) -> None:
    request = FakeRequest(
        query, declared=ParameterRules(query={"id": DIGITS}, required=frozenset({"id"}))
    )

    assert judged(request) is False
    assert request.answer == (400, None)


def test_a_required_parameter_may_come_from_the_body() -> None:
    declared = ParameterRules(body={"name": ANY}, required=frozenset({"name"}))

    assert judged(FakeRequest("", b"name=", declared=declared)) is True
    assert judged(FakeRequest("name=x", None, declared=declared)) is False


def test_a_strict_route_responds_with_all_problems() -> None:
    declared = ParameterRules(
        query={"id": DIGITS, "page": DIGITS},
        body={"name": ANY, "age": DIGITS},
        required=frozenset({"name", "page", "id"}),
    )
    request = FakeRequest("id=x&id=y", b"age=old", declared=declared)

    assert judged(request, strict=True) is False
    assert request.answer is not None
    assert request.sent == {"content-type": "application/json"}
    assert (request.answer[0], json.loads(request.answer[1])) == (
        400,
        [
            {"name": "id", "in": "query", "problem": "invalid"},
            {"name": "page", "in": "query", "problem": "missing"},
            {"name": "age", "in": "form", "problem": "invalid"},
            {"name": "name", "in": "form", "problem": "missing"},
        ],
    )


def test_a_strict_route_accepts_valid_parameters() -> None:
    assert judged(FakeRequest("id=1&undeclared=x", declared=ID), strict=True) is True


def test_a_validator_that_responds_ends_the_request() -> None:
    def answers(request: FakeRequest, value: str) -> bool:
        request.response(418, b"")
        return True

    request = FakeRequest(
        "v=1", declared=ParameterRules(query={"v": ParameterRule(verify=answers)})
    )

    assert judged(request) is False
    assert request.answer == (418, b"")


# Files


def test_files_and_fields_of_a_form_are_separate() -> None:
    body = form(
        ('name="name"', "a%20b+c"),
        ('name="f"; filename="1.txt"', "one"),
        ('name="f"; filename="2.txt"', "two"),
        ('name="empty"; filename=""', ""),
        ('name="undeclared"', "x"),
    )
    request = FakeRequest("", body, declared=BOTH, content_type=MULTIPART)
    judged(request)
    assert request.request_data.file_lookup("f") is None  # not before it is populated
    request.request_data.populate_multi(request)

    assert values(request) == {"name": ["a%20b+c"]}
    file = request.request_data.file_lookup("f")
    assert file is not None
    assert (file.filename, file.body) == ("1.txt", b"one")
    assert [f.filename for f in request.request_data.all_files()["f"]] == ["1.txt", "2.txt"]
    assert request.request_data.file_lookup("name") is None
    assert request.request_data.file_lookup("empty") is None


def test_a_form_with_nothing_in_it_is_no_error() -> None:
    request = FakeRequest("", None, content_type=MULTIPART)

    assert request.request_data.populate_multi(request) is True
    assert request.request_data.all_files() == {}


def test_limits_of_a_form_are_settings() -> None:
    body = form(('name="a"', "1"), ('name="b"', "2"))
    for settings in (Settings(http_multipart_max=1), Settings(http_multipart_header_max=20)):
        request = FakeRequest("", body, settings=settings, content_type=MULTIPART)
        with pytest.raises(RefusedError) as refused:
            request.request_data.populate_multi(request)
        assert refused.value.status == 413


# The rest


def test_cookies_are_read_once() -> None:
    request = FakeRequest(cookie="a=1; b=2")

    assert request.request_data.cookies(request) == {"a": "1", "b": "2"}
    assert request.request_data.cookies(request) is request.request_data.cookies(request)


def test_a_cookie_is_secure_where_the_connection_is() -> None:
    request = FakeRequest()
    assert "Secure" not in request.request_data.set_cookie(request, "a", "1", {})[0]
    assert "Secure" in request.request_data.set_cookie(request, "a", "1", {"secure": True})[0]

    request.protocol = "https"
    assert "Secure" in request.request_data.set_cookie(request, "a", "1", {})[0]
    assert "Secure" not in request.request_data.set_cookie(request, "a", "1", {"secure": False})[0]


def test_an_unknown_attribute_of_a_cookie_is_a_type_error() -> None:
    request = FakeRequest()
    with pytest.raises(TypeError, match="maxage"):
        request.request_data.set_cookie(request, "a", "1", {"maxage": 1})


@pytest.mark.parametrize("content", [None, b"", b"abc"])
def test_a_digest_is_that_of_the_body(content: bytes | None) -> None:
    request = FakeRequest("", content)

    assert request.request_data.digest(request) == hashlib.sha256(content or b"").digest()


@pytest.mark.parametrize(
    ("value", "kind"),
    [("text/plain", "text/plain"), ("Text/Plain ; charset=x", "text/plain"), ("", "")],
)
def test_a_media_type_has_no_parameters(value: str, kind: str) -> None:
    assert _get_media_type(value) == kind
