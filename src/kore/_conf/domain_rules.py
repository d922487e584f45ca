"""Redirects, refusals and the access log of a domain."""

from typing import Final

from kore._conf.arguments import check_path_name, check_text
from kore._conf.diagnostics import make_absolute
from kore._conf.schema import RedirectRule
from kore._conf.server_schema import AccessLogConfig
from kore._values import accesslog_format, redirect_target
from kore.errors import ConfigError

REDIRECT_STATUSES: Final = (300, 399)
REFUSAL_STATUSES: Final = (400, 599)


def build_redirect(path: object, status: object, target: object) -> RedirectRule:
    """Return a rule that redirects requests for *path*, a regular expression, to *target*."""
    rule = RedirectRule(
        check_text(path, "path"),
        _check_status(status, "redirect", REDIRECT_STATUSES),
        check_text(target, "target"),
    )
    try:
        redirect_target.compile_target(rule.target, rule.pattern.groups)
    except ValueError as error:
        raise ConfigError(f"redirect '{rule.path}': {error}") from None
    return rule


def build_refusal(path: object, status: object) -> RedirectRule:
    """Return a rule that refuses requests for *path*, a regular expression."""
    return RedirectRule(check_text(path, "path"), _check_status(status, "return", REFUSAL_STATUSES))


def _check_status(status: object, what: str, allowed: tuple[int, int]) -> int:
    """Return *status*, or raise ConfigError if it is not an int in the *allowed* range."""
    low, high = allowed
    if type(status) is not int or not low <= status <= high:
        raise ConfigError(f"invalid status code on {what} ({status!r}): {low}..{high}")
    return status


def build_accesslog(path: object, form: object, where: str) -> AccessLogConfig:
    """Return an access log. Its path is absolute, because another process will open it."""
    path = "/dev/stdout" if path == "-" else make_absolute(check_path_name(path, "accesslog"))
    form = check_text(form, "the format of accesslog")
    try:
        accesslog_format.compile_format(form)
    except ValueError as error:
        raise ConfigError(f"accesslog: {error}") from None
    return AccessLogConfig(path, form, where)
