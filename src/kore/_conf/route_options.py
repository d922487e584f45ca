"""Options of a route: its keywords for parameters, bodies and so on become values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kore._conf import arguments, websockets
from kore._conf.schema import (
    Auth,
    BodyOptions,
    Hook,
    ParameterRule,
    ParameterRules,
    RouteRequirements,
    compile_value_regex,
)
from kore._conf.settings import SETTINGS
from kore._conf.signatures import check_callable, check_verify
from kore._values.grammar import is_token, is_visible_ascii
from kore._values.methods import METHODS
from kore.errors import ConfigError

METHOD_WORDS: Final = frozenset(map(str.lower, METHODS))
# The query of one method, as files name it: `validate qs:post`.
QUERY_WORDS: Final = frozenset(f"qs:{word}" for word in METHOD_WORDS)
OTHER_KEYWORDS: Final = frozenset({"body_max", "hooks", "stream", "websocket"})
KNOWN_KEYWORDS: Final = (
    METHOD_WORDS | QUERY_WORDS | OTHER_KEYWORDS | {"auth", "qs", "required", "strict"}
)
KEYWORDS_TEXT: Final = (
    "methods, get, post and so on, qs, required, strict, auth, hooks, stream, body_max, "
    "websocket (and domain, for kore.route)"
)
HOOKS: Final = ("on_headers", "on_body_chunk", "on_free")
# Methods with their parameters in the query; the others have them in the body.
QUERY_METHODS: Final = ("GET", "HEAD", "OPTIONS")
AUTH_KINDS: Final = ("cookie", "header", "request")
AUTH_KEYWORDS: Final = ("type", "value", "verify", "redirect")

Rules = Mapping[str, ParameterRule]


def build_requirements(
    path: str, methods: Sequence[str], given: Mapping[str, Any]
) -> RouteRequirements:
    """Return the requirements that the keywords of the route *path* describe."""
    # Names of methods in any case, as in `methods`.
    keywords = {name.lower() if name in METHODS else name: value for name, value in given.items()}
    unknown = {name: value for name, value in keywords.items() if name not in KNOWN_KEYWORDS}
    arguments.reject_keywords(f"route '{path}'", unknown, KEYWORDS_TEXT, ())
    with label_errors(f"route '{path}'"):
        declared = _build_parameters(methods, keywords)
        return RouteRequirements(
            parameters=declared,
            auth=build_auth(path, keywords.get("auth")),
            strict=arguments.check_type(keywords.get("strict", False), bool, "strict"),
            body_options=_build_body_options(keywords, declared),
            websocket=_build_websocket(keywords.get("websocket")),
        )


@contextmanager
def label_errors(label: str) -> Iterator[None]:
    """Put *label* in front of the message of a ConfigError that the block raises."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


# Parameters


def _build_parameters(
    methods: Sequence[str], keywords: Mapping[str, Any]
) -> Mapping[int, ParameterRules]:
    """Return the declared parameters of each method, by the number of the method."""
    query = _build_rules("qs", keywords.get("qs"))
    asked = {
        name.removeprefix("qs:").upper(): _build_rules(name, keywords[name])
        for name in QUERY_WORDS & keywords.keys()
    }
    own = {
        name.upper(): _build_rules(name, keywords.get(name))
        for name in METHOD_WORDS & keywords.keys()
    }
    # A route for GET takes HEAD, too, with the same parameters.
    served = {*methods, "HEAD"} if "GET" in methods else set(methods)
    for name in sorted((own.keys() | asked.keys()) - served):
        raise ConfigError(f"method '{name.lower()}' not enabled, so nothing would be validated")
    if "HEAD" in served:
        for found in (own, asked):
            if "GET" in found:
                found.setdefault("HEAD", found["GET"])
    required = _check_required(keywords.get("required", ()))
    if missing := sorted(required - set().union(query, *own.values(), *asked.values())):
        raise ConfigError(f"required parameter '{missing[0]}' has no validator")
    made = {
        name: _build_method_rules(
            name, {**query, **asked.get(name, {})}, own.get(name, {}), required
        )
        for name in served
    }
    # A method without a number has the parameters of `qs`, like all others of its kind.
    declared = ((METHODS.get(name, 0), rules) for name, rules in made.items())
    return {number: rules for number, rules in declared if rules.query or rules.body}


def _build_method_rules(
    method: str, query: Rules, own: Rules, required: frozenset[str]
) -> ParameterRules:
    """Return the declared parameters of one method."""
    if method in QUERY_METHODS:
        query, own = {**query, **own}, {}
    return ParameterRules(query, own, required & (query.keys() | own.keys()))


def _build_rules(keyword: str, given: object) -> Rules:
    """Return the rules of one keyword."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{keyword} must be a dict of names and validators, not {given!r}")
    return {
        arguments.check_text(name, "parameter"): build_rule(name, value)
        for name, value in given.items()
    }


def build_rule(name: str, validator: object) -> ParameterRule:
    """Return the rule of one parameter."""
    if isinstance(validator, re.Pattern):
        return ParameterRule(search=validator.search)
    if isinstance(validator, str):
        try:
            return ParameterRule(search=compile_value_regex(validator).search, text=validator)
        except ValueError as error:
            raise ConfigError(f"parameter '{name}': Invalid regex ({validator}): {error}") from None
    if not callable(validator):
        raise ConfigError(f"validator '{name}' must be regex or function, not {validator!r}")
    check_callable(validator, "(req, value)", f"parameter '{name}': the validator")
    return ParameterRule(verify=validator)


def _check_required(given: object) -> frozenset[str]:
    """Return the names of required parameters."""
    if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
        raise ConfigError(f"required must be a list of parameters, not {given!r}")
    return frozenset(arguments.check_text(name, "a required parameter") for name in given)


# Bodies and WebSockets


def _build_body_options(
    keywords: Mapping[str, Any], declared: Mapping[int, ParameterRules]
) -> BodyOptions | None:
    """Return the options for bodies; None if the route has none."""
    wanted = BodyOptions(
        stream=arguments.check_type(keywords.get("stream", False), bool, "stream"),
        body_max=parse_body_max(keywords.get("body_max")),
        **_check_hooks(keywords.get("hooks")),
    )
    unstored = "stream" if wanted.stream else "on_body_chunk" if wanted.on_body_chunk else ""
    if wanted.stream and wanted.on_body_chunk:
        raise ConfigError("stream and on_body_chunk exclude each other: both are given the body")
    if unstored and any(rules.body for rules in declared.values()):
        raise ConfigError(f"with {unstored} no body is kept, so none can be validated")
    return None if wanted == BodyOptions() else wanted


def parse_body_max(given: object) -> int | None:
    """Return the size limit of bodies, in bytes; None for that of the setting."""
    if given is None:
        return None
    value_type = SETTINGS["http_body_max"].value_type
    try:
        number: int = value_type.parse(given)
    except ValueError:
        raise ConfigError(f"bad value '{given}' for body_max: {value_type}") from None
    return number


def _check_hooks(given: object) -> dict[str, Hook]:
    """Return the hooks by the names of BodyOptions."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"hooks must be a dict of names and functions, not {given!r}")
    for name, hook in given.items():
        if name not in HOOKS:
            raise ConfigError(f"unknown hook '{name}', there are {', '.join(HOOKS)}")
        if not callable(hook):
            raise ConfigError(f"{name} for a route not callable: {hook!r}")
        check_callable(hook, "(req, piece)" if name == "on_body_chunk" else "(req)", name)
    return dict(given)


def _build_websocket(given: object) -> Mapping[str, Any]:
    """Return the WebSocket keywords of a route with plain values."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"websocket must be a dict of keywords, not {given!r}")
    websockets.check_callbacks(given)
    return websockets.normalize_options(given)


# Authentication


@dataclass(frozen=True, slots=True)
class RegexVerify:
    """A regular expression in place of a `verify` function."""

    rule: ParameterRule

    def __call__(self, _: object, value: str) -> bool:
        return self.rule.search is not None and self.rule.search(value) is not None


def build_auth(path: str, given: object) -> Auth | None:
    """Return the authentication of a route; None if it has none."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise ConfigError(f"auth must be a dict, not {given!r}")
    if unknown := sorted(map(str, given.keys() - {*AUTH_KEYWORDS})):
        known = ", ".join(AUTH_KEYWORDS)
        raise ConfigError(f"unknown '{unknown[0]}' in auth dictionary, allowed are {known}")
    kind, verify = given.get("type"), given.get("verify")
    known = ", ".join(AUTH_KINDS)
    if not isinstance(kind, str):
        raise ConfigError(f"missing or invalid 'type' keyword in auth dictionary: one of {known}")
    if kind not in AUTH_KINDS:
        raise ConfigError(f"invalid 'type' ({kind}) in auth dictionary for '{path}', not {known}")
    if not callable(verify):
        what = "a function that returns True for those to let in"
        raise ConfigError(f"missing 'verify' in auth dictionary for '{path}': {what}")
    check_verify(kind, verify)
    return Auth(
        kind,
        verify,
        _check_credential(kind, given.get("value")),
        _check_redirect(given.get("redirect")),
    )


def _check_credential(kind: str, value: object) -> str:
    """Return the name of the cookie or header to look at."""
    if kind == "request" and value is None:
        return ""
    if not isinstance(value, str) or not is_token(value):
        raise ConfigError(
            f"missing or invalid 'value' keyword: {value!r} is not the name of a {kind}"
        )
    return value


def _check_redirect(redirect: object) -> str:
    """Return the URL to which refused clients are redirected; "" for none."""
    if redirect is None:
        return ""
    if not isinstance(redirect, str) or not is_visible_ascii(redirect):
        raise ConfigError(f"invalid 'redirect' keyword: {redirect!r} is not a URL")
    return redirect
