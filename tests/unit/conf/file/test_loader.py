"""The blocks of kore.conf: for each directive what it does, and what it refuses."""

import re

import pytest

from kore._conf.server_schema import Address, Privsep
from kore._conf.settings import SETTINGS
from tests.helpers.conf import App, built, complaints, config, domain

LATER = "is not part of this version yet"
VALID = {
    "workers": "3",
    "worker_death_policy": "terminate",
    "worker_set_affinity": "no",
    "worker_no_accept": "1",
    "deployment": "docker",
    "worker_rlimit_nofiles": "700",
    "worker_message_max": "2m",
    "worker_message_window": "64k",
    "worker_message_pickle": "yes",
    "accept_mode": "shared",
    "log_format": "json",
    "websocket_buffer_full": "raise",
    "syslog_facility": "local0",
    "tls_version": "1.2",
    "seccomp_tracing": "yes",
    "http_media_type": "text/x ext other",
    "http_multipart_header_max": "64",
    "http_hsts_subdomains": "yes",
    "http_pretty_error": "yes",
    "filemap_hidden": "yes",
    "filemap_precompressed": "no",
    "filemap_sendfile": "no",
}  # the others take 7, as a number or as text
INVALID = {
    "http_media_type": "text/x",
    **{
        name: "x" * 5000
        for name, row in SETTINGS.items()
        if str(row.value_type).startswith(("text", "a path"))
    },
}  # the others do not take a word


# Settings


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"file"}))
def test_a_setting_is_set(name: str) -> None:
    value = VALID.get(name, "7")

    builder = built(f"workers 2\n{name} {value} # with a comment\n")

    assert builder.problems.found == []
    expected = SETTINGS[name].assign(getattr(SETTINGS, name, ()), value)
    assert getattr(builder.settings, name) == expected


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"file"}))
def test_a_bad_value_is_refused_with_its_place(name: str) -> None:
    (problem,) = complaints(f"\n{name} {INVALID.get(name, 'nonsense')}\n")

    assert problem.startswith(
        f"kore.conf:2: bad value '{INVALID.get(name, 'nonsense')}' for {name}"
    )


def test_numbers_have_suffixes() -> None:
    settings = config("http_body_max 2m\nhttp_keepalive_time 1h\nhttp_request_ms 2s\n").settings

    assert settings.http_body_max == 2 << 20
    assert settings.http_keepalive_time == 3600
    assert settings.http_request_ms == 2000


def test_a_setting_takes_the_rest_of_its_line() -> None:
    assert config("http_server_version my own  server").settings.http_server_version == (
        "my own server"
    )
    assert complaints("workers 4 5") == ["kore.conf:1: bad value '4 5' for workers: 1..255"]


def test_a_setting_needs_a_value_and_takes_no_block() -> None:
    assert complaints("workers\nworkers 4 {\n}\n") == [
        "kore.conf:1: write `workers VALUE`: 1..255",
        "kore.conf:2: write `workers VALUE`: 1..255",
    ]


def test_the_last_of_two_settings_counts_and_lists_add_up() -> None:
    made = config("workers 3\nworkers 4\nworker_no_accept 1\nworker_no_accept 2\n")

    assert made.settings.workers == 4
    assert made.settings.worker_no_accept == (1, 2)


def test_a_setting_in_a_block_is_for_all_and_noticed() -> None:
    made = config("domain * {\n attach plain\n http_body_max 1\n}\n")

    assert made.settings.http_body_max == 1
    assert made.notices == (
        "kore.conf:3: http_body_max is for all servers: write it outside of any block",
    )


def test_settings_without_effect_are_noticed() -> None:
    text = "file other.conf\ntls_dhparam dh.pem\nrand_file r\nacme_email a@b.test\n"

    assert config(text).notices == (
        "kore.conf:1: file has no effect in a file: write `include PATH`",
        "kore.conf:2: tls_dhparam has no effect: key exchange is by elliptic curves only",
        "kore.conf:3: rand_file has no effect: the kernel provides random numbers",
        "kore.conf:4: acme_email has no effect in this version",
    )


def test_the_body_directory_is_checked_with_the_line_of_its_setting() -> None:
    text = "http_body_disk_offload 1\nhttp_body_disk_path /missing/bodies\n"

    (said,) = complaints(text)
    assert said.startswith("kore.conf:2: http_body_disk_path /missing/bodies: there is no ")


# Modules and validators


def test_modules_are_imported_in_the_order_of_the_file() -> None:
    app = App()

    config("python_path ./src\npython_import ./src/a.py\npython_import b loaded\n", app)

    assert app.did == [
        ("python_path", "./src"),
        ("python_import", "./src/a.py", ""),
        ("python_import", "b", "loaded"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("python_path", "write `python_path DIR`, not 0 words"),
        ("python_path a b", "write `python_path DIR`, not 2 words; quotes hold words together"),
        ("python_import", "write `python_import PATH [ONLOAD]`, not 0 words"),
        ("python_import broken.py", "broken.py: failed to import module"),
        ("validator v regex", "write `validator NAME regex|function VALUE`, not 2 words"),
        ("validator v regex (", "validator 'v': failed to compile regex for '('"),
        ("validator v word x", "validator 'v': bad type 'word', there are regex and function"),
        (
            "validator v function alowed",
            "validator 'v': function 'alowed' not found (did you mean 'allowed'?)",
        ),
    ],
)
def test_modules_and_validators_that_are_wrong_are_refused(text: str, problem: str) -> None:
    (said,) = complaints(text)

    assert said.startswith(f"kore.conf:1: {problem}")


def test_unknown_names_are_not_reported_if_a_module_could_not_be_imported() -> None:
    text = "python_import broken.py\nvalidator v function other\n"

    assert complaints(text) == ["kore.conf:1: broken.py: failed to import module"]


def test_a_validator_is_a_pattern_or_a_function() -> None:
    assert config("validator v regex ^[0-9]+$\nvalidator f function allowed\n")
    assert complaints("validator v regex a\nvalidator v regex b\n") == [
        "kore.conf:2: validator 'v' exists already"
    ]


# Servers


def test_a_server_has_any_number_of_addresses() -> None:
    made = config(
        "server a {\n tls no\n bind 127.0.0.1 8888\n bind ::1 0\n unix @abstract\n unix /run/x\n}",
        server=False,
    )

    assert [(server.name, server.address) for server in made.servers] == [
        ("a", Address("127.0.0.1", 8888)),
        ("a", Address("::1", 0)),
        ("a", Address(path="@abstract")),
        ("a", Address(path="/run/x")),
    ]


def test_tls_is_on_unless_it_is_turned_off() -> None:
    for text in ("bind ::1 443", "bind ::1 443\n tls yes"):
        (said,) = complaints(f"server a {{\n {text}\n}}", server=False)
        assert said.startswith("kore.conf:1: server 'a' has TLS, and no domain with a certificate:")


def test_a_server_without_tls_may_redirect_to_those_with() -> None:
    secure = (
        "server b {\n bind ::1 443\n}\n"
        "domain * {\n attach b\n certfile c.pem\n certkey k.pem\n}\n"
    )
    text = "server a {\n bind ::1 80\n bind ::1 81\n tls no\n redirect_https yes\n}\n"

    made = config(text + secure, server=False)

    assert [server.redirect_https for server in made.servers] == [True, True, False]
    assert complaints(text, server=False) == [
        "kore.conf:1: server 'a': redirect_https needs a server with TLS"
    ]
    (said,) = complaints(text.replace(" tls no\n", "") + secure, server=False)
    assert said == (
        "kore.conf:1: server 'a': redirect_https is for a server without TLS: "
        "pass tls=False or write `tls no`"
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "1: server 'a': no address: write `bind HOST PORT` or `unix PATH`"),
        ("bind ::1", "2: server 'a': write `bind HOST PORT [CALLBACK]`, not 1 word"),
        ("bind ::1 65536", "2: server 'a': missing or invalid 'port' keyword: '65536' is not"),
        ("bind ::1 http", "2: server 'a': missing or invalid 'port' keyword: 'http' is not"),
        ("bind ::1 1 f", "2: server 'a': bind: a callback for connections is for C Kore's modules"),
        ("unix /x f", "2: server 'a': unix: a callback for connections is for C Kore's modules"),
        ("unix " + "x" * 200, "2: server 'a': path too long for a unix socket"),
        ("bind ::1 1\n tls maybe", "3: server 'a': invalid 'maybe' for yes|no tls option"),
        ("bind ::1 1\n tls", "3: server 'a': write `tls yes|no`, not 0 words"),
        ("bind ::1 1\ntls no\nbind ::1 1", "4: server 'a': [::1]:1 is already the address of"),
        (
            "handler f\nbind ::1 1\n tls no",
            "2: server 'a': handler belongs inside of a route block",
        ),
        ("tsl no\nbind ::1 1\n tls no", "2: server 'a': unknown directive or setting 'tsl' (did"),
    ],
)
def test_a_server_that_is_wrong_is_refused(body: str, problem: str) -> None:
    (said,) = complaints(f"server a {{\n{body}\n}}\ndomain * {{ attach a }}\n", server=False)

    assert said.startswith(f"kore.conf:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server {\n}", "write `server NAME {`, not 0 words"),
        ("server a b {\n}", "write `server NAME {`, not 2 words; quotes hold words together"),
        ("server a", "write `server NAME {`, with a block"),
        ("server plain {\n bind ::1 0\n}", "server 'plain': server 'plain' already exist"),
        ("python_path x {\n}", "python_path takes no block"),
        ("bnid ::1 80", "unknown directive or setting 'bnid' (did you mean 'bind'?)"),
        ("zzzzzz", "unknown directive or setting 'zzzzzz'"),
        ("tls no", "tls belongs inside of a server block"),
        ("handler x", "handler belongs inside of a route block"),
    ],
)
def test_a_statement_that_is_wrong_is_refused(text: str, problem: str) -> None:
    (said,) = complaints(text)

    assert said.startswith(f"kore.conf:1: {problem}")


# Authentication and privileges


def test_an_unused_authentication_block_is_accepted() -> None:
    assert config(
        "authentication a {\n authentication_type cookie\n authentication_value session\n"
        " authentication_validator allowed\n authentication_uri /login\n}\n"
        "authentication b {\n authentication_type request\n authentication_validator allowed\n}\n"
    )


GOOD = ["authentication_type header", "authentication_value x", "authentication_validator allowed"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (GOOD[1:], "no authentication_type: cookie, header or request"),
        (GOOD[::2], "no authentication_value: the name of the cookie or of the header"),
        (GOOD[:2], "no authentication validator for a"),
        (["authentication_type digest", *GOOD[1:]], "unknown authentication type 'digest', there"),
        (['authentication_value ""', *GOOD[::2]], "authentication_value is empty"),
        ([*GOOD, GOOD[0]], "authentication_type is given a second time, after kore.conf:2"),
        ([*GOOD, 'authentication_uri ""'], "authentication_uri is empty"),
        (
            ["authentication_value 'x y'", *GOOD[::2]],
            "authentication_value 'x y' is not the name of",
        ),
        ([*GOOD, "authentication_uri '/x y'"], "authentication_uri '/x y' is not a URL"),
        (
            [*GOOD[:2], "authentication_validator allow"],
            "authentication validator 'allow' not found (did you mean 'allowed'?)",
        ),
        (
            [*GOOD[:2], "authentication_validator v_her"],
            "authentication validator 'v_her' not found (did you mean 'v_here'?)",
        ),
        (
            ["authentication_type request", "authentication_validator v_here"],
            "authentication_type request needs a function, not a regular expression",
        ),
    ],
)
def test_an_authentication_block_that_lacks_something_is_refused(
    lines: list[str], problem: str
) -> None:
    here = "validator v_here regex x\n"
    (said,) = complaints("authentication a {\n" + "\n".join(lines) + f"\n}}\n{here}")

    assert re.sub(r"^kore\.conf:\d: authentication 'a': ", "", said).startswith(problem)


@pytest.mark.parametrize(
    "wrong",
    ["authentication_value 'x y'", "authentication_uri '/x y'", "authentication_validator b"],
)
def test_an_error_of_an_authentication_is_not_repeated_by_routes_that_use_it(
    wrong: str,
) -> None:
    lines = [*(line for line in GOOD if line.split()[0] != wrong.split()[0]), wrong]
    users = "filemap / / a\nroute /x {\n handler index\n authenticate a\n}\n"

    (said,) = complaints("authentication a {\n" + "\n".join(lines) + "\n}\n" + domain(users))

    assert said.startswith(f"kore.conf:{len(lines) + 1}: authentication 'a': ")


def test_an_error_of_a_validator_is_not_repeated_by_an_authentication() -> None:
    block = "authentication a {\n" + "\n".join([*GOOD[:2], "authentication_validator v"]) + "\n}\n"

    (said,) = complaints(f"{block}validator v regex (\n")

    assert said.startswith("kore.conf:6: validator 'v': failed to compile regex for '('")


def test_a_validator_comes_before_a_function_of_its_name() -> None:
    block = "authentication a {\n" + "\n".join(GOOD) + "\n}\n"
    route = "route /x {\n handler index\n authenticate a\n}\n"
    made = config(f"validator allowed regex ^yes$\n{block}" + domain(route))

    auth = made.domains[0].routes[0].requirements.auth
    assert auth is not None
    assert [auth.verify(None, value) for value in ("yes", "yes!")] == [True, False]


def test_an_authentication_block_is_there_once() -> None:
    block = "authentication a {\n" + "\n".join(GOOD) + "\n}\n"

    assert complaints(block + block) == ["kore.conf:6: authentication 'a' exists already"]


def test_privileges_are_kept_for_the_parent() -> None:
    made = config(
        "privsep worker {\n root /var/www\n runas www\n}\n"
        "privsep worker {\n skip chroot\n}\nprivsep acme {\n runas acme\n}\n"
    )

    assert made.privsep == (
        Privsep("worker", "/var/www", "www", ("chroot",)),
        Privsep("acme", runas="acme"),
    )
    assert made.plain()["privsep"][0]["runas"] == "www"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "privsep parent {\n}",
            "1: unknown privsep context: parent, there are worker, keymgr, acme",
        ),
        (
            "privsep acme {\n skip runas\n}",
            "2: privsep acme: unknown skip option 'runas', there is",
        ),
        ("privsep acme {\n root\n}", "2: privsep acme: write `root PATH`, not 0 words"),
        ('privsep acme {\n runas ""\n}', "2: privsep acme: runas is empty"),
    ],
)
def test_privileges_that_are_wrong_are_refused(text: str, problem: str) -> None:
    (said,) = complaints(text)

    assert said.startswith(f"kore.conf:{problem}")


# All of it


def test_all_errors_of_a_file_are_reported_at_once_and_in_order() -> None:
    problems = complaints(
        "domain a.test {\n attach plain\n route /x {\n  handler nobody\n  method get\n }\n}\n"
        "workers many\nserver b {\n bind ::1 99999\n}\n"
        'validator v_uid regex "[0-9]\ndomain b.test {\n attach plian\n}\n}\n'
    )

    assert [problem.partition(": ")[0] for problem in problems] == [
        f"kore.conf:{line}" for line in (4, 5, 8, 10, 12, 13, 16)
    ]


def test_names_may_be_defined_below_the_line_that_uses_them() -> None:
    text = "domain * {\n attach late\n}\nserver late {\n bind ::1 0\n tls no\n}\n"

    assert config(text).domains[0].server == "late"


def test_a_domain_on_a_server_that_is_not_there_is_refused() -> None:
    assert complaints("domain * {\n attach other\n}\n") == [
        "kore.conf:1: domain '*': server 'other' does not exist, there is 'plain'"
    ]
