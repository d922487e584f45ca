"""The authentication blocks of kore.conf."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import arguments
from kore._conf.file.directives import Directive, Scope, Table
from kore._conf.file.syntax import Block
from kore._conf.route_options import AUTH_KINDS, RegexVerify, build_rule
from kore._conf.signatures import check_verify
from kore._values.grammar import is_token, is_visible_ascii
from kore.errors import ConfigError


@dataclass(slots=True)
class AuthenticationScope(Scope):
    """An authentication block; *auth* is that of `route()` in Python."""

    name: str = ""
    auth: dict[str, Any] = field(default_factory=dict)


def open_authentication(top: Scope, block: Block) -> AuthenticationScope:
    """Read `authentication NAME {`."""
    name = block.arguments[0]
    if name in top.context.authentications:
        raise ConfigError(f"authentication '{name}' exists already")
    return AuthenticationScope(top.context, label=f"authentication '{name}'", name=name)


def finish_authentication(scope: AuthenticationScope, block: Block) -> None:
    """Check that an authentication block is complete, and keep it."""
    if not block.has("authentication_type"):
        raise ConfigError("no authentication_type: cookie, header or request")
    if not block.has("authentication_validator"):
        raise ConfigError(f"no authentication validator for {scope.name}")
    if scope.auth.get("type") != "request" and not block.has("authentication_value"):
        raise ConfigError("no authentication_value: the name of the cookie or of the header")
    if scope.auth.get("type") == "request" and isinstance(scope.auth.get("verify"), RegexVerify):
        raise ConfigError("authentication_type request needs a function, not a regular expression")
    if scope.broken or scope.auth["verify"] is None:
        # The error was reported, and is not repeated for each statement that refers to it.
        scope.context.broken.add(("authentication", scope.name))
    else:
        check_verify(scope.auth["type"], scope.auth["verify"])
        scope.context.authentications[scope.name] = scope.auth


def _read_authentication_type(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_type cookie|header|request`."""
    kind = block.arguments[0]
    if kind not in AUTH_KINDS:
        raise ConfigError(
            f"unknown authentication type '{kind}', there are {', '.join(AUTH_KINDS)}"
        )
    scope.auth["type"] = kind


def _read_authentication_value(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_value NAME`."""
    name = arguments.check_text(block.arguments[0], block.keyword)
    if not is_token(name):
        raise ConfigError(f"{block.keyword} {name!r} is not the name of a cookie or a header")
    scope.auth["value"] = name


def _read_authentication_validator(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_validator VALIDATOR|FUNCTION`."""
    (name,), context = block.arguments, scope.context
    if name not in context.validators and ("validator", name) not in context.broken:
        what = "authentication validator"
        scope.auth["verify"] = context.find_callback(name, what, context.validators)
        return
    wanted = context.validators.get(name)
    scope.auth["verify"] = (
        RegexVerify(build_rule(name, wanted)) if isinstance(wanted, str) else wanted
    )


def _read_authentication_uri(scope: AuthenticationScope, block: Block) -> None:
    """Read `authentication_uri URI`."""
    uri = arguments.check_text(block.arguments[0], block.keyword)
    if not is_visible_ascii(uri):
        raise ConfigError(f"{block.keyword} {uri!r} is not a URL")
    scope.auth["redirect"] = uri


AUTHENTICATION: Final[Table] = MappingProxyType(
    {
        "authentication_type": Directive(
            _read_authentication_type,
            "cookie|header|request",
            "What the validator checks.",
            once=True,
        ),
        "authentication_value": Directive(
            _read_authentication_value,
            "NAME",
            "The name of the cookie or the header.",
            once=True,
        ),
        "authentication_validator": Directive(
            _read_authentication_validator,
            "VALIDATOR|FUNCTION",
            "A validator of the file, or else a function, that accepts or rejects.",
            once=True,
        ),
        "authentication_uri": Directive(
            _read_authentication_uri,
            "URI",
            "Where rejected clients are redirected; none: 403.",
            once=True,
        ),
    }
)
