"""Parameters, cookies and files of a request, parsed when a handler first uses them."""

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

# More hints mean that the application takes the name from requests.
HINTS_MAX: Final = 100
FORM_TYPE: Final = "application/x-www-form-urlencoded"
MULTIPART_TYPE: Final = "multipart/form-data"
FORM_MAX: Final = 1 << 24  # bytes of a form in a file, which is read into memory
Field = tuple[str, bytes]


class RequestData:
    """Parameters, cookies and files of one request.

    The request refers to this object, so methods get the request as an argument: a reference cycle
    would delay its end until the garbage collector runs.
    """

    __slots__ = (
        *("_body", "_cookies", "_declared", "_files", "_hints", "_populated", "_query"),
        *("_settings", "_visible"),
    )

    def __init__(
        self, settings: "Settings", declared: "ParameterRules", hints: set[str] | None = None
    ) -> None:
        # Hints that were logged, each once; None to log none.
        self._hints = hints
        # Which of query and body the handler has populated.
        self._populated: set[str] = set()
        self._settings = settings
        self._declared = declared
        self._query: ValidatedParameters | None = None
        self._body: ValidatedParameters | None = None
        self._files: dict[str, list[HttpFile]] = {}
        # The parameters that populate_get() and its like have made visible to argument().
        self._visible: list[ValidatedParameters] = []
        self._cookies: dict[str, str] | None = None

    # For handlers

    def query(self, request: Any) -> dict[str, list[str]]:
        """Return the query, decoded; invalid UTF-8 is replaced."""
        return parse_qs(request.query_string, keep_blank_values=True)

    def argument(self, name: str) -> str | None:
        """Return the first accepted value."""
        for parameters in self._visible:
            if name in parameters.values:
                return parameters.values[name][0]
        if self._hints is not None:
            self._explain(name)
        return None

    def arguments(self) -> dict[str, list[str]]:
        """Return all accepted values."""
        found: dict[str, list[str]] = {}
        for parameters in self._visible:
            for name, values in parameters.values.items():
                found.setdefault(name, []).extend(values)
        declared = self._declared.query or self._declared.body
        if declared and not self._populated and self._hints is not None:
            self._hint("req.arguments() is empty: no populate_ function was called before")
        return found

    def populate_get(self, request: Any) -> bool:
        """Make the parameters of the query visible."""
        self._populated.add("query")
        return self._make_visible(run_sync(self.validate_query(request)))

    def populate_post(self, request: Any) -> bool:
        """Make the parameters of an urlencoded form visible."""
        self._populated.add("body")
        parameters = run_sync(self.validate_body(request))
        return parameters.source is not FORM or self._make_visible(parameters)

    def populate_multi(self, request: Any) -> bool:
        """Make the parameters and files of a multipart form visible."""
        self._populated.add("body")
        parameters = run_sync(self.validate_body(request))
        return parameters.source is not MULTIPART or self._make_visible(parameters)

    def file_lookup(self, name: str) -> HttpFile | None:
        """Return the first file of that name."""
        return self.all_files().get(name, [None])[0]

    def all_files(self) -> dict[str, list[HttpFile]]:
        """Return all files; none before populate_multi()."""
        return dict(self._files) if self._body is not None and self._body in self._visible else {}

    def cookies(self, request: Any) -> dict[str, str]:
        """Return the cookies."""
        if self._cookies is None:
            self._cookies = cookies.parse(request.header_values("cookie"))
        return self._cookies

    def set_cookie(
        self, request: Any, name: str, value: str, attributes: dict[str, Any]
    ) -> tuple[str, Callable[[bytes], bool] | None]:
        """Return the value of a Set-Cookie field, and a test for fields that it replaces, if any.

        By default the cookie is secure if the connection is.
        """
        if attributes.get("secure") is None:
            attributes["secure"] = request.protocol == "https"
        replace = attributes.pop("replace", True)
        if unknown := attributes.keys() - cookies.ATTRIBUTES:
            there_are = ", ".join(cookies.ATTRIBUTES)
            raise TypeError(f"cookie {name!r}: unknown attribute {min(unknown)!r}, use {there_are}")
        cookie = cookies.Cookie(name, value, **attributes)
        return cookie.format(), cookie.replaces if replace else None

    def digest(self, request: Any) -> bytes:
        """Return the body's SHA-256."""
        return get_body_storage(request.body_source).digest()

    def _explain(self, name: str) -> None:
        """Log why a parameter is missing, if the code is wrong; once for each line that asks."""
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

    # Parsing and validation

    def _make_visible(self, parameters: ValidatedParameters) -> bool:
        if parameters not in self._visible:
            self._visible.append(parameters)
        return True

    def validate_query(self, request: Any) -> Work[ValidatedParameters]:
        """Validate the query, once."""
        if self._query is None:
            rules = self._declared.query
            text = request.query_string.encode("latin-1") if rules else b""
            fields = parse_pairs(text, self._settings.http_arguments_max)
            self._query = yield from validate_fields(QUERY, fields, rules, request)
        return self._query

    def validate_body(self, request: Any, *, pauses: bool = False) -> Work[ValidatedParameters]:
        """Validate the form in the body, once. Other bodies have no parameters.

        With *pauses* other requests have their turn while a large form is read.
        """
        if self._body is None:
            kind = request.request_header("content-type") or FORM_TYPE
            if _get_media_type(kind) == MULTIPART_TYPE:
                fields = yield from self._read_multipart(request, kind, pauses=pauses)
                self._body = yield from validate_fields(
                    MULTIPART, fields, self._declared.body, request
                )
            else:
                fields_sent = self._read_form(request, _get_media_type(kind))
                self._body = yield from validate_fields(
                    FORM, fields_sent, self._declared.body, request
                )
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

    def _read_multipart(self, request: Any, kind: str, *, pauses: bool) -> Work[list[Field]]:
        body = get_body_storage(request.body_source)
        files: dict[str, list[HttpFile]] = {}
        fields: list[Field] = []
        # An empty body is no form; a malformed form is refused.
        for part in self._parts(body, kind) if len(body) else ():
            if part is None:
                if pauses:
                    yield yield_once()
            elif part.filename is None:
                fields.append((part.name, part.data))
            elif part.filename:
                files.setdefault(part.name, []).append(HttpFile(part, body))
        self._files = files
        return fields

    def _parts(self, body: BodyStorage, kind: str) -> "Iterator[multipart.FormPart | None]":
        # Loaded by the template if a route takes bodies.
        from kore._http.body import multipart

        settings = self._settings
        limits = multipart.FormLimits(
            settings.http_multipart_max, settings.http_multipart_header_max
        )
        return multipart.read(body, kind, limits, self._declared.body)

    def validate_all(self, request: Any) -> Work[None]:
        """Validate all declared parameters."""
        if self._declared.query:
            yield from self.validate_query(request)
        if self._declared.body:
            yield from self.validate_body(request, pauses=True)

    def list_problems(self, *, strict: bool) -> list[dict[str, str]]:
        """Return missing required parameters, and with *strict* all invalid ones."""
        if not strict and not self._declared.required:
            return []
        return [
            *self._list_problems(self._query, self._declared.query, strict=strict),
            *self._list_problems(self._body, self._declared.body, strict=strict),
        ]

    def _list_problems(
        self,
        parameters: ValidatedParameters | None,
        rules: "Mapping[str, ParameterRule]",
        *,
        strict: bool,
    ) -> Iterator[dict[str, str]]:
        if parameters is None:
            return
        missing = self._declared.required & rules.keys() - parameters.values.keys()
        for name in dict.fromkeys([*(parameters.rejected if strict else ()), *sorted(missing)]):
            yield _describe_problem(name, parameters)


def _describe_problem(name: str, parameters: ValidatedParameters) -> dict[str, str]:
    """Return the problem of a parameter, as a response shows it."""
    what = "invalid" if name in parameters.rejected else "missing"
    return {"name": name, "in": parameters.source.name, "problem": what}


def _get_media_type(value: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return value.partition(";")[0].strip(" \t").lower()


# The step before a handler


def make_validation_step(*, strict: bool) -> "Step":
    """Return the step that validates parameters; with *strict* it refuses invalid ones."""

    def validate(request: Any) -> Any:
        return run_maybe_async(_validate_request(request, strict=strict))

    return validate


def _validate_request(request: Any, *, strict: bool) -> Work[bool]:
    """Return whether a request may proceed; if not, it has been responded to."""
    data = request.request_data
    yield from data.validate_all(request)
    if request.answered:
        return False
    problems = data.list_problems(strict=strict)
    if not problems:
        return True
    if strict:
        request.response_header("content-type", "application/json")
        request.response(400, json.dumps(problems))
    else:
        request.refuse(400)
    return False
