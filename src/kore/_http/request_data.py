"""What came beside a request's head: parameters, cookies, files. Made when first asked for."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from kore._conf.diagnostics import find_caller
from kore._http import cookies
from kore._http.body.body_storage import BodyStorage, get_body_storage
from kore._http.body.uploaded_file import HttpFile
from kore._http.params import (
    FORM,
    MULTIPART,
    QUERY,
    ValidatedParameters,
    parse_pairs,
    validate_fields,
)
from kore._http.streaming import yield_once
from kore._http.sync_or_async import Work, run_maybe_async, run_sync
from kore.errors import RefusedError

if TYPE_CHECKING:
    from kore._conf.schema import ParameterRule, ParameterRules
    from kore._conf.settings import Settings
    from kore._http.body import multipart
    from kore._http.pipeline import Step

log = logging.getLogger("kore")

# More hints than this are a name that comes from requests.
HINTS_MAX: Final = 100
FORM_TYPE: Final = "application/x-www-form-urlencoded"
MULTIPART_TYPE: Final = "multipart/form-data"
FORM_MAX: Final = 1 << 24  # bytes of a form that is in a file and is read into memory
Field = tuple[str, bytes]


class RequestData:
    """What came beside the head of one request.

    It does not keep the request, which keeps it: a ring would wait for the garbage collector.
    """

    __slots__ = (
        *("_body", "_cookies", "_declared", "_files", "_hints", "_populated", "_query"),
        *("_settings", "_shown"),
    )

    def __init__(
        self, settings: "Settings", declared: "ParameterRules", hints: set[str] | None = None
    ) -> None:
        # What was said about calls that find nothing: each is said once.
        self._hints = hints
        # Which of query and body the handler has had populated, whatever was there.
        self._populated: set[str] = set()
        self._settings = settings
        self._declared = declared
        self._query: ValidatedParameters | None = None
        self._body: ValidatedParameters | None = None
        self._files: dict[str, list[HttpFile]] = {}
        # What populate_get() and its like have let argument() see.
        self._shown: list[ValidatedParameters] = []
        self._cookies: dict[str, str] | None = None
        # The fields of those that the answer sets.

    # What a handler asks for

    def query(self, request: Any) -> dict[str, list[str]]:
        """Return the query, decoded; what is not UTF-8 is replaced."""
        return parse_qs(request.query_string, keep_blank_values=True)

    def argument(self, name: str) -> str | None:
        """Return the first accepted value."""
        for judged in self._shown:
            if name in judged.values:
                return judged.values[name][0]
        if self._hints is not None:
            self._explain(name)
        return None

    def arguments(self) -> dict[str, list[str]]:
        """Return all accepted values."""
        found: dict[str, list[str]] = {}
        for judged in self._shown:
            for name, values in judged.values.items():
                found.setdefault(name, []).extend(values)
        declared = self._declared.query or self._declared.body
        if declared and not self._populated and self._hints is not None:
            self._hint("req.arguments() is empty: no populate_ function was called before")
        return found

    def populate_get(self, request: Any) -> bool:
        """Show what the query holds."""
        self._populated.add("query")
        return self._show(run_sync(self.judge_query(request)))

    def populate_post(self, request: Any) -> bool:
        """Show what an urlencoded form holds."""
        self._populated.add("body")
        judged = run_sync(self.judge_body(request))
        return judged.source is not FORM or self._show(judged)

    def populate_multi(self, request: Any) -> bool:
        """Show what a multipart form holds, its files too."""
        self._populated.add("body")
        judged = run_sync(self.judge_body(request))
        return judged.source is not MULTIPART or self._show(judged)

    def file_lookup(self, name: str) -> HttpFile | None:
        """Return the first file of that name."""
        return self.all_files().get(name, [None])[0]

    def all_files(self) -> dict[str, list[HttpFile]]:
        """Return all files, once populate_multi() was called."""
        return dict(self._files) if self._body is not None and self._body in self._shown else {}

    def cookies(self, request: Any) -> dict[str, str]:
        """Return the cookies."""
        if self._cookies is None:
            self._cookies = cookies.parse(request.header_values("cookie"))
        return self._cookies

    def set_cookie(
        self, request: Any, name: str, value: str, attributes: dict[str, Any]
    ) -> tuple[str, Callable[[bytes], bool] | None]:
        """Return the value of the field that sets a cookie, and what tells which ones it replaces.

        By default it is secure where the connection is.
        """
        if attributes.get("secure") is None:
            attributes["secure"] = request.protocol == "https"
        replace = attributes.pop("replace", True)
        if unknown := attributes.keys() - cookies.ATTRIBUTES:
            there_are = ", ".join(cookies.ATTRIBUTES)
            raise TypeError(f"cookie {name!r}: unknown attribute {min(unknown)!r}, use {there_are}")
        cookie = cookies.Cookie(name, value, **attributes)
        return cookie.text(), cookie.replaces if replace else None

    def digest(self, request: Any) -> bytes:
        """Return the body's SHA-256."""
        return get_body_storage(request.body_source).digest()

    def _explain(self, name: str) -> None:
        """Log why a parameter cannot be there, if that is so; once for each line that asks."""
        declared, populated = self._declared, self._populated
        if name in declared.query:
            reason = "" if "query" in populated else "req.populate_get() was not called before"
        elif name in declared.body:
            calls = "req.populate_post() or req.populate_multi()"
            reason = "" if "body" in populated else f"{calls} was not called before"
        else:
            reason = (
                "the route does not declare it for this method: write get={"
                f"'{name}': '^.*$'" + "}, or post= for a form, in its keywords"
            )
        if reason:
            self._hint(f"req.argument({name!r}) finds nothing: {reason}")

    def _hint(self, text: str) -> None:
        line = f"{find_caller()}: {text}"
        if self._hints is not None and line not in self._hints and len(self._hints) < HINTS_MAX:
            self._hints.add(line)
            log.warning("%s", line)

    # How it comes about

    def _show(self, judged: ValidatedParameters) -> bool:
        if judged not in self._shown:
            self._shown.append(judged)
        return True

    def judge_query(self, request: Any) -> Work[ValidatedParameters]:
        """Judge the query, once."""
        if self._query is None:
            rules = self._declared.query
            text = request.query_string.encode("latin-1") if rules else b""
            fields = parse_pairs(text, self._settings.http_arguments_max)
            self._query = yield from validate_fields(QUERY, fields, rules, request)
        return self._query

    def judge_body(self, request: Any, *, patient: bool = False) -> Work[ValidatedParameters]:
        """Judge the form in the body, once; what is no form has no parameters.

        *patient*: give others their turn while a large form is read.
        """
        if self._body is None:
            kind = request.request_header("content-type") or FORM_TYPE
            if _get_media_type(kind) == MULTIPART_TYPE:
                fields = yield from self._read_multipart(request, kind, patient=patient)
                self._body = yield from validate_fields(
                    MULTIPART, fields, self._declared.body, request
                )
            else:
                sent = self._read_form(request, _get_media_type(kind))
                self._body = yield from validate_fields(FORM, sent, self._declared.body, request)
        return self._body

    def _read_form(self, request: Any, kind: str) -> Iterator[Field]:
        data = b""
        if self._declared.body and kind == FORM_TYPE:
            body = request.body_source
            if isinstance(body, bytes):
                data = body
            elif body is not None:
                if len(body) > FORM_MAX:
                    raise RefusedError(413, f"a form of more than {FORM_MAX} bytes")
                data = body.read(0, FORM_MAX)
        return parse_pairs(data, self._settings.http_arguments_max)

    def _read_multipart(self, request: Any, kind: str, *, patient: bool) -> Work[list[Field]]:
        body = get_body_storage(request.body_source)
        files: dict[str, list[HttpFile]] = {}
        fields: list[Field] = []
        # Nothing at all is no form, and a broken one is refused.
        for part in self._parts(body, kind) if len(body) else ():
            if part is None:
                if patient:
                    yield yield_once()
            elif part.filename is None:
                fields.append((part.name, part.data))
            elif part.filename:
                files.setdefault(part.name, []).append(HttpFile(part, body))
        self._files = files
        return fields

    def _parts(self, body: BodyStorage, kind: str) -> "Iterator[multipart.FormPart | None]":
        # The template loads it where a route takes bodies.
        from kore._http.body import multipart

        settings = self._settings
        limits = multipart.FormLimits(
            settings.http_multipart_max, settings.http_multipart_header_max
        )
        return multipart.read(body, kind, limits, self._declared.body)

    def judge_all(self, request: Any) -> Work[None]:
        """Judge whatever is declared."""
        if self._declared.query:
            yield from self.judge_query(request)
        if self._declared.body:
            yield from self.judge_body(request, patient=True)

    def problems(self, *, strict: bool) -> list[dict[str, str]]:
        """Return what keeps the handler from being run; *strict* takes offence at all there is."""
        if not strict and not self._declared.required:
            return []
        return [
            *self._problems(self._query, self._declared.query, strict=strict),
            *self._problems(self._body, self._declared.body, strict=strict),
        ]

    def _problems(
        self,
        judged: ValidatedParameters | None,
        rules: "Mapping[str, ParameterRule]",
        *,
        strict: bool,
    ) -> Iterator[dict[str, str]]:
        if judged is None:
            return
        missing = self._declared.required & rules.keys() - judged.values.keys()
        for name in dict.fromkeys([*(judged.rejected if strict else ()), *sorted(missing)]):
            yield _describe_problem(name, judged)


def _describe_problem(name: str, judged: ValidatedParameters) -> dict[str, str]:
    """Return what is wrong with a parameter."""
    what = "invalid" if name in judged.rejected else "missing"
    return {"name": name, "in": judged.source.name, "problem": what}


def _get_media_type(value: str) -> str:
    """Return a content type without its parameters."""
    return value.partition(";")[0].strip(" \t").lower()


# The step before a handler


def make_validation_step(*, strict: bool) -> "Step":
    """Return the step that judges parameters; *strict* refuses what it does not accept."""

    def validate(request: Any) -> Any:
        return run_maybe_async(_validate_request(request, strict=strict))

    return validate


def _validate_request(request: Any, *, strict: bool) -> Work[bool]:
    """Return whether to go on; if not, the request has been answered."""
    parts = request.beside
    yield from parts.judge_all(request)
    if request.answered:
        return False
    problems = parts.problems(strict=strict)
    if not problems:
        return True
    if strict:
        request.response_header("content-type", "application/json")
        request.response(400, json.dumps(problems))
    else:
        request.refuse(400)
    return False
