"""What a route demands: its keywords for parameters, bodies and so on become values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kore._conf import check, websockets
from kore._conf.schema import (
    Auth,
    BodyOptions,
    Hook,
    ParameterRule,
    ParameterRules,
    RouteRequirements,
    value_regex,
)
from kore._conf.settings import SETTINGS
from kore._conf.signatures import takes, verifies
from kore._values.grammar import is_token, is_visible_ascii
from kore._values.methods import METHODS
from kore.errors import ConfigError

METHOD_WORDS: Final = frozenset(map(str.lower, METHODS))
# What a file calls the query of one method: `validate qs:post`.
QUERY_WORDS: Final = frozenset(f"qs:{word}" for word in METHOD_WORDS)
EXTRAS: Final = frozenset({"body_max", "hooks", "stream", "websocket"})
KNOWN: Final = METHOD_WORDS | QUERY_WORDS | EXTRAS | {"auth", "qs", "required", "strict"}
KEYWORDS: Final = (
    "methods, get, post and so on, qs, required, strict, auth, hooks, stream, body_max, "
    "websocket (and domain, for kore.route)"
)
HOOKS: Final = ("on_headers", "on_body_chunk", "on_free")
# Methods whose parameters stand in the query; those of the others come in a body.
ASKING: Final = ("GET", "HEAD", "OPTIONS")
AUTH_KINDS: Final = ("cookie", "header", "request")
AUTH_KEYWORDS: Final = ("type", "value", "verify", "redirect")

Rules = Mapping[str, ParameterRule]


def demands(path: str, methods: Sequence[str], given: Mapping[str, Any]) -> RouteRequirements:
    """Return what the keywords of the route *path* ask for."""
    # Names of methods in any case, as in `methods`.
    keywords = {name.lower() if name in METHODS else name: value for name, value in given.items()}
    unknown = {name: value for name, value in keywords.items() if name not in KNOWN}
    check.keywords(f"route '{path}'", unknown, KEYWORDS, ())
    with labelled(f"route '{path}'"):
        declared = parameters(methods, keywords)
        return RouteRequirements(
            declared=declared,
            auth=auth(path, keywords.get("auth")),
            strict=check.typed(keywords.get("strict", False), bool, "strict"),
            extras=extras(keywords, declared),
            websocket=websocket(keywords.get("websocket")),
        )


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Say of an error in the block which call it is about."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


# Parameters


def parameters(methods: Sequence[str], keywords: Mapping[str, Any]) -> Mapping[int, ParameterRules]:
    """Return what is declared for each method of a route, by the method's number."""
    query = rules("qs", keywords.get("qs"))
    asked = {
        name.removeprefix("qs:").upper(): rules(name, keywords[name])
        for name in QUERY_WORDS & keywords.keys()
    }
    own = {name.upper(): rules(name, keywords.get(name)) for name in METHOD_WORDS & keywords.keys()}
    # A GET route is asked with HEAD, too, and by the same rules.
    served = {*methods, "HEAD"} if "GET" in methods else set(methods)
    for name in sorted((own.keys() | asked.keys()) - served):
        raise ConfigError(f"method '{name.lower()}' not enabled, so nothing would be validated")
    if "HEAD" in served:
        for found in (own, asked):
            if "GET" in found:
                found.setdefault("HEAD", found["GET"])
    required = names(keywords.get("required", ()))
    if missing := sorted(required - set().union(query, *own.values(), *asked.values())):
        raise ConfigError(f"required parameter '{missing[0]}' has no validator")
    made = {
        name: declared(name, {**query, **asked.get(name, {})}, own.get(name, {}), required)
        for name in served
    }
    return {METHODS[name]: rules for name, rules in made.items() if rules.query or rules.body}


def declared(method: str, query: Rules, own: Rules, required: frozenset[str]) -> ParameterRules:
    """Return what is declared for one method."""
    if method in ASKING:
        query, own = {**query, **own}, {}
    return ParameterRules(query, own, required & (query.keys() | own.keys()))


def rules(keyword: str, given: object) -> Rules:
    """Return the rules of one keyword."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{keyword} must be a dict of names and validators, not {given!r}")
    return {check.text(name, "parameter"): rule(name, value) for name, value in given.items()}


def rule(name: str, validator: object) -> ParameterRule:
    """Return the rule of one parameter."""
    if isinstance(validator, re.Pattern):
        return ParameterRule(search=validator.search)
    if isinstance(validator, str):
        try:
            return ParameterRule(search=value_regex(validator).search, text=validator)
        except ValueError as error:
            raise ConfigError(f"parameter '{name}': Invalid regex ({validator}): {error}") from None
    if not callable(validator):
        raise ConfigError(f"validator '{name}' must be regex or function, not {validator!r}")
    takes(validator, "(req, value)", f"parameter '{name}': the validator")
    return ParameterRule(verify=validator)


def names(given: object) -> frozenset[str]:
    """Return the names of required parameters."""
    if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
        raise ConfigError(f"required must be a list of parameters, not {given!r}")
    return frozenset(check.text(name, "a required parameter") for name in given)


# How requests come and go


def extras(
    keywords: Mapping[str, Any], declared: Mapping[int, ParameterRules]
) -> BodyOptions | None:
    """Return what a route asks for beside being run; None: nothing."""
    wanted = BodyOptions(
        stream=check.typed(keywords.get("stream", False), bool, "stream"),
        body_max=body_max(keywords.get("body_max")),
        **hooks(keywords.get("hooks")),
    )
    unkept = "stream" if wanted.stream else "on_body_chunk" if wanted.on_body_chunk else ""
    if wanted.stream and wanted.on_body_chunk:
        raise ConfigError("stream and on_body_chunk exclude each other: both are given the body")
    if unkept and any(rules.body for rules in declared.values()):
        raise ConfigError(f"with {unkept} no body is kept, so none can be validated")
    return None if wanted == BodyOptions() else wanted


def body_max(given: object) -> int | None:
    """Return the most bytes of a body on one route; None: as everywhere."""
    if given is None:
        return None
    kind = SETTINGS["http_body_max"].kind
    try:
        number: int = kind.parse(given)
    except ValueError:
        raise ConfigError(f"bad value '{given}' for body_max: {kind}") from None
    return number


def hooks(given: object) -> dict[str, Hook]:
    """Return what is to be called, by the names of `Extras`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"hooks must be a dict of names and functions, not {given!r}")
    for name, hook in given.items():
        if name not in HOOKS:
            raise ConfigError(f"unknown hook '{name}', there are {', '.join(HOOKS)}")
        if not callable(hook):
            raise ConfigError(f"{name} for a route not callable: {hook!r}")
        takes(hook, "(req, piece)" if name == "on_body_chunk" else "(req)", name)
    return dict(given)


def websocket(given: object) -> Mapping[str, Any]:
    """Return what a route says of its WebSockets."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"websocket must be a dict of keywords, not {given!r}")
    websockets.check_callbacks(given)
    return websockets.terms(given)


# Authentication


@dataclass(frozen=True, slots=True)
class Matching:
    """A regular expression where a function is asked."""

    rule: ParameterRule

    def __call__(self, _: object, value: str) -> bool:
        return self.rule.search is not None and self.rule.search(value) is not None


def auth(path: str, given: object) -> Auth | None:
    """Return how a route finds out who asks; None: it does not."""
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
    verifies(kind, verify)
    return Auth(kind, verify, credential(kind, given.get("value")), target(given.get("redirect")))


def credential(kind: str, value: object) -> str:
    """Return the name of the cookie or header to look at."""
    if kind == "request" and value is None:
        return ""
    if not isinstance(value, str) or not is_token(value):
        raise ConfigError(f"missing or invalid 'value' keyword: {value!r} is no name of a {kind}")
    return value


def target(redirect: object) -> str:
    """Return where to send clients that are not let in."""
    if redirect is None:
        return ""
    if not isinstance(redirect, str) or not is_visible_ascii(redirect):
        raise ConfigError(f"invalid 'redirect' keyword: {redirect!r} is no URL")
    return redirect
