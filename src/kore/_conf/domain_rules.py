"""What a domain has beside its routes: redirects and refusals, and its access log."""

from typing import Final

from kore._conf import check
from kore._conf.schema import RedirectRule
from kore._conf.server_schema import AccessLogConfig
from kore._conf.source_location import absolute
from kore._values import accesslog_format, redirect_target
from kore.errors import ConfigError

REDIRECTS: Final = (300, 399)
REFUSALS: Final = (400, 599)


def redirect(path: object, status: object, target: object) -> RedirectRule:
    """Return what sends clients elsewhere."""
    answer = RedirectRule(
        check.text(path, "path"), code(status, "redirect", REDIRECTS), check.text(target, "target")
    )
    try:
        redirect_target.compile_target(answer.target, answer.pattern.groups)
    except ValueError as error:
        raise ConfigError(f"redirect '{answer.path}': {error}") from None
    return answer


def refusal(path: object, status: object) -> RedirectRule:
    """Return what refuses a path."""
    return RedirectRule(check.text(path, "path"), code(status, "return", REFUSALS))


def code(status: object, what: str, allowed: tuple[int, int]) -> int:
    """Return a status in a range."""
    low, high = allowed
    if type(status) is not int or not low <= status <= high:
        raise ConfigError(f"invalid status code on {what} ({status!r}): {low}..{high}")
    return status


def log(path: object, form: object, where: str) -> AccessLogConfig:
    """Return an access log; its path is absolute, because another process will open it."""
    path = "/dev/stdout" if path == "-" else absolute(check.path_name(path, "accesslog"))
    form = check.text(form, "the format of accesslog")
    try:
        accesslog_format.compile_format(form)
    except ValueError as error:
        raise ConfigError(f"accesslog: {error}") from None
    return AccessLogConfig(path, form, where)
