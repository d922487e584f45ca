"""A request without a connection: what steps read of one, and what they do to it."""

from collections.abc import Mapping
from typing import Any

from kore._conf.schema import ParameterRules
from kore._conf.settings import Settings
from kore._http.request_data import RequestData

FORM = "application/x-www-form-urlencoded"


class FakeRequest:
    """What was asked, and in `answer` what came of it."""

    protocol = "http"

    def __init__(
        self,
        query: str = "",
        content: bytes | None = None,
        *,
        declared: ParameterRules | None = None,
        settings: Settings | None = None,
        **fields: str,
    ) -> None:
        self.query_string = query
        self.body_source = content
        self.fields = {name.replace("_", "-"): value for name, value in fields.items()}
        self.request_data = RequestData(settings or Settings(), declared or ParameterRules())
        self.sent: dict[str, str] = {}
        self.answer: tuple[int, Any] | None = None

    @property
    def answered(self) -> bool:
        return self.answer is not None

    def request_header(self, name: str) -> str | None:
        return self.fields.get(name)

    def header_values(self, name: str) -> list[str]:
        return [self.fields[name]] if name in self.fields else []

    def cookie(self, name: str) -> str | None:
        return self.request_data.cookies(self).get(name)

    def response_header(self, name: str, value: str) -> None:
        self.sent[name] = value

    def response(self, status: int, body: Any) -> None:
        assert self.answer is None, "a second answer"
        self.answer = (status, body)

    def refuse(self, status: int) -> None:
        self.answer = self.answer or (status, None)

    def fail(self) -> None:
        self.refuse(500)

    def get_route_label(self) -> str:
        return "/x"


def values(request: FakeRequest) -> Mapping[str, list[str]]:
    """Return what argument() would see."""
    return request.request_data.arguments()
