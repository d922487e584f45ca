"""The authentication blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import check
from kore._conf.file.directives import Directive, Scope, Table
from kore._conf.file.syntax import Block
from kore._conf.route_options import AUTH_KINDS, Matching, rule
from kore._conf.signatures import verifies
from kore._values.grammar import is_token, is_visible_ascii
from kore.errors import ConfigError


@dataclass(slots=True)
class AuthenticationScope(Scope):
    """An authentication block, in the words of the `auth` of a route."""

    name: str = ""
    auth: dict[str, Any] = field(default_factory=dict)


def authentication(top: Scope, block: Block) -> AuthenticationScope:
    """Read `authentication NAME {`."""
    name = block.arguments[0]
    if name in top.reading.authentications:
        raise ConfigError(f"authentication '{name}' exists already")
    return AuthenticationScope(top.reading, label=f"authentication '{name}'", name=name)


def authenticate(scope: AuthenticationScope, block: Block) -> None:
    """See that an authentication block is complete, and keep it."""
    if not block.has("authentication_type"):
        raise ConfigError("no authentication_type: cookie, header or request")
    if not block.has("authentication_validator"):
        raise ConfigError(f"no authentication validator for {scope.name}")
    if scope.auth.get("type") != "request" and not block.has("authentication_value"):
        raise ConfigError("no authentication_value: the name of the cookie or of the header")
    if scope.auth.get("type") == "request" and isinstance(scope.auth.get("verify"), Matching):
        raise ConfigError("authentication_type request needs a function, not a regular expression")
    if scope.broken or scope.auth["verify"] is None:
        # What is wrong has been said, and is not said again of each who refers to it.
        scope.reading.broken.add(("authentication", scope.name))
    else:
        verifies(scope.auth["type"], scope.auth["verify"])
        scope.reading.authentications[scope.name] = scope.auth


def authentication_type(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_type cookie|header|request`."""
    kind = block.arguments[0]
    if kind not in AUTH_KINDS:
        raise ConfigError(
            f"unknown authentication type '{kind}', there are {', '.join(AUTH_KINDS)}"
        )
    scope.auth["type"] = kind


def authentication_value(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_value NAME`."""
    name = check.text(block.arguments[0], block.keyword)
    if not is_token(name):
        raise ConfigError(f"{block.keyword} {name!r} is no name of a cookie or a header")
    scope.auth["value"] = name


def authentication_validator(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_validator VALIDATOR|FUNCTION`."""
    (name,), reading = block.arguments, scope.reading
    if name not in reading.validators and ("validator", name) not in reading.broken:
        what = "authentication validator"
        scope.auth["verify"] = reading.callback(name, what, reading.validators)
        return
    wanted = reading.validators.get(name)
    scope.auth["verify"] = Matching(rule(name, wanted)) if isinstance(wanted, str) else wanted


def authentication_uri(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_uri URI`."""
    uri = check.text(block.arguments[0], block.keyword)
    if not is_visible_ascii(uri):
        raise ConfigError(f"{block.keyword} {uri!r} is no URL")
    scope.auth["redirect"] = uri


AUTHENTICATION: Final[Table] = MappingProxyType(
    {
        "authentication_type": Directive(
            authentication_type,
            "cookie|header|request",
            "What the validator looks at.",
            once=True,
        ),
        "authentication_value": Directive(
            authentication_value,
            "NAME",
            "The name of the cookie or the header.",
            once=True,
        ),
        "authentication_validator": Directive(
            authentication_validator,
            "VALIDATOR|FUNCTION",
            "Who says yes or no: a validator of the file, else a function.",
            once=True,
        ),
        "authentication_uri": Directive(
            authentication_uri,
            "URI",
            "Where clients are sent who are refused; none: 403.",
            once=True,
        ),
    }
)
