"""What a domain answers itself, and where it is logged."""

from pathlib import Path

import pytest

from kore._conf.builder import Builder
from kore._conf.server_schema import AccessLogConfig, Address
from kore.errors import ConfigError, KoreError


@pytest.fixture
def builder() -> Builder:
    """Return a configuration with one server named default."""
    made = Builder()
    made.server("default", Address("127.0.0.1", 0), tls=False)
    return made


def test_redirects_and_refusals_are_kept_in_order(builder: Builder) -> None:
    domain = builder.domain("*", "default")
    domain.redirect("^/old/(.*)$", 301, "/new/$1?$qs")
    domain.return_("^/secret", 403)

    (made,) = builder.build().domains
    assert [(a.path, a.status, a.target) for a in made.rules] == [
        ("^/old/(.*)$", 301, "/new/$1?$qs"),
        ("^/secret", 403, ""),
    ]


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (("(", 301, "/"), r"domain '\*': failed to compile regex for '\('"),
        (("^/", 200, "/"), r"domain '\*': invalid status code on redirect \(200\): 300..399"),
        (("^/", True, "/"), r"invalid status code on redirect \(True\)"),
        (("^/(a)", 301, "/$2"), r"redirect '\^/\(a\)': target '/\$2': there is no capture \$2"),
        (("^/", 301, "/a b"), "is not a URL"),
    ],
)
def test_an_invalid_redirect_is_refused(
    builder: Builder, rule: tuple[str, int, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        builder.domain("*", "default").redirect(*rule)


@pytest.mark.parametrize("status", [399, 600, "404", None])
def test_a_refusal_needs_the_status_of_an_error(builder: Builder, status: int) -> None:
    with pytest.raises(ConfigError, match=r"invalid status code on return \(.*\): 400..599"):
        builder.domain("*", "default").return_("^/", status)


def test_an_access_log_is_set_in_three_ways(builder: Builder) -> None:
    builder.domain("a", "default", accesslog=Path("a.log"))
    builder.domain("b", "default", accesslog="/b/../b.log", accesslog_format="json")
    builder.domain("c", "default").accesslog = "/c.log"
    builder.domain("d", "default").accesslog = ("/b.log", "$status")
    builder.domain("e", "default")

    config = builder.build()
    assert [domain.accesslog for domain in config.domains] == [
        AccessLogConfig(str(Path.cwd() / "a.log")),
        AccessLogConfig("/b.log", "json"),
        AccessLogConfig("/c.log"),
        AccessLogConfig("/b.log", "$status"),
        None,
    ]
    paths = [log.path for log in config.accesslogs]
    assert paths == [str(Path.cwd() / "a.log"), "/b.log", "/c.log"]
    assert [log["path"] for log in config.plain()["accesslogs"]] == paths


@pytest.mark.parametrize(
    ("given", "error", "complaint"),
    [
        (5, TypeError, "accesslog must be str, not int"),
        ("", ValueError, "accesslog is empty"),
        ("a\0b", ValueError, "accesslog: embedded null character"),
        ("a\ud800b", ConfigError, "accesslog cannot be the name of a file"),
        (("a", "nothing"), ConfigError, r"domain '\*': accesslog: 'nothing' is neither combined"),
        (("a", 5), TypeError, "the format of accesslog must be str"),
    ],
)
def test_an_invalid_access_log_is_refused(
    builder: Builder, given: object, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        builder.domain("*", "default").accesslog = given


def test_an_access_log_is_set_once_and_not_read(builder: Builder) -> None:
    domain = builder.domain("*", "default", accesslog="/a")
    with pytest.raises(ConfigError, match=r"domain '\*' accesslog already set: /a"):
        domain.accesslog = "/b"
    with pytest.raises(AttributeError, match="not readable"):
        domain.accesslog  # noqa: B018 - reading it is the test
    with pytest.raises(AttributeError):
        del domain.accesslog


def test_domain_rules_cannot_be_changed_after_the_build(builder: Builder) -> None:
    domain = builder.domain("*", "default")
    builder.build()
    for late in (
        lambda: domain.redirect("^/", 301, "/"),
        lambda: domain.return_("^/", 404),
        lambda: setattr(domain, "accesslog", "/a"),
    ):
        with pytest.raises(KoreError, match="configuration is final"):
            late()
