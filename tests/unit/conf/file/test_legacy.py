"""Spellings of earlier releases: what they mean today, and the notice that shows it."""

import re

import pytest

from kore._conf.schema import Config
from kore._conf.server_schema import Address, CertificateFiles, DomainTls, Privsep
from kore._values.methods import METHODS
from tests.helpers.conf import allowed, built, complaints, config, domain, index

VALIDATORS = "validator v_id regex ^[0-9]+$\n"
AUTHENTICATION = (
    "authentication auth {\n authentication_type request\n authentication_validator allowed\n}\n"
)
ALL = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def routes(made: Config) -> list[tuple[str, object, tuple[str, ...]]]:
    return [(route.path, route.handler, route.methods) for route in made.domains[0].routes]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("static /a index", "/a"),
        ("dynamic ^/a/([0-9]+)$ index", "^/a/([0-9]+)$"),
        ("route /a index", "/a"),
        ("route ^/a$ index", "^/a$"),
    ],
)
def test_a_route_of_one_line_is_a_route(line: str, path: str) -> None:
    made = config(domain(line))

    assert routes(made) == [(path, index, ALL)]
    (notice,) = made.notices
    assert notice == (
        f"kore.conf:2: {line.split()[0]} is an old spelling, "
        f"write `route {path} {{`, `handler index`, `}}`"
    )


@pytest.mark.parametrize("word", ["static", "route"])
def test_a_third_word_is_authentication(word: str) -> None:
    made = config(domain(f"{word} /a index auth") + AUTHENTICATION)

    auth = made.domains[0].routes[0].requirements.auth
    assert auth is not None
    assert (auth.kind, auth.verify) == ("request", allowed)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "static a index",
            "domain '*': static takes a path that begins with /, and 'a' is none: write `dynamic`",
        ),
        (
            "dynamic /a+ index",
            "domain '*': dynamic takes a regular expression, and '/a+' is none: write `route ^/a+",
        ),
        ("static /a", "domain '*': write `static PATH FUNCTION [AUTHENTICATION]`, not 1 word"),
        ("static /a nobody", "route '/a': handler 'nobody' not found"),
        ("static /a index nobody", "route '/a': unknown authentication 'nobody'"),
        ("restrict /a get", "domain '*': no route above has the path '/a'"),
        ("params get /a {\n}", "domain '*': no route above has the path '/a'"),
        ("restrict /a", "domain '*': write `restrict PATH METHOD…`, not 1 word"),
    ],
)
def test_an_old_directive_without_equivalent_is_refused(line: str, problem: str) -> None:
    (said,) = complaints(domain(line))

    assert said.startswith(f"kore.conf:2: {problem}")


def test_a_restriction_is_the_methods_of_the_route() -> None:
    made = config(domain("static /a index\nstatic /b index\nrestrict /b post put"))

    assert routes(made) == [("/a", index, ALL), ("/b", index, ("POST", "PUT"))]
    assert made.notices[-1] == (
        "kore.conf:4: restrict is an old spelling, write `route /b {`, `methods post put`, `}`"
    )


def test_parameters_are_validated_by_the_route() -> None:
    made = config(domain("static /a index\nparams qs:post /a {\n validate id v_id\n}") + VALIDATORS)

    declared = made.domains[0].routes[0].requirements.parameters
    assert list(declared) == [METHODS["POST"]]
    assert list(declared[METHODS["POST"]].query) == ["id"]
    assert not declared[METHODS["POST"]].body


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("params get /a {\n validate id v_i\n}", "4: params '/a': unknown validator 'v_i' (did"),
        (
            "params get /a {\n validate id\n}",
            "4: params '/a': write `validate PARAMETER VALIDATOR`",
        ),
        ("params body:get /a {\n}", "3: domain '*': unknown validate method prefix 'body'"),
        (
            "params get /b {\n}",
            "3: domain '*': no route above has the path '/b'",
        ),
    ],
)
def test_parameters_that_are_wrong_are_refused(body: str, problem: str) -> None:
    (said,) = complaints(domain(f"static /a index\n{body}") + VALIDATORS)

    assert said.startswith(f"kore.conf:{problem}")


def test_an_error_of_a_route_is_not_repeated_by_statements_that_refer_to_it() -> None:
    text = domain("static /a nobody\nrestrict /a get\nparams get /a {\n validate id v_id\n}")

    assert complaints(text + VALIDATORS) == ["kore.conf:2: route '/a': handler 'nobody' not found"]


# Outside of blocks


def test_addresses_outside_of_servers_are_one_server_with_tls() -> None:
    text = "bind ::1 443\nbind_unix /x\ndomain * {\n certfile a\n certkey b\n}\n"

    made = config(text, server=False)

    assert [(str(server.address), server.tls) for server in made.servers] == [
        ("[::1]:443", True),
        ("/x", True),
    ]
    assert made.tls == (DomainTls("*", "default", (CertificateFiles("a", "b"),)),)
    assert made.notices[0] == (
        "kore.conf:1: bind is an old spelling, write `server default {`, `bind ::1 443`, `}`, "
        "`attach default`"
    )


OLD_DOMAIN = "domain * {\n static / index\n}\n"


@pytest.mark.parametrize("more", ["", "tls no\n", "tls_version 1.2\n", "ssl_cipher x\n"])
def test_without_certificates_they_serve_plain_http(more: str) -> None:
    made = config(f"bind ::1 80\nbind_unix /x\n{more}{OLD_DOMAIN}", server=False)

    assert [(str(server.address), server.tls) for server in made.servers] == [
        ("[::1]:80", False),
        ("/x", False),
    ]
    assert made.domains[0].server == "default"
    assert made.notices[0] == (
        "kore.conf:1: bind is an old spelling; without certificates it serves plain HTTP: "
        "write `server default {`, `bind ::1 80`, `unix /x`, `tls no`, `}` once, "
        "and `attach default` in each domain"
    )


@pytest.mark.parametrize(
    "certificate",
    ["certfile a", "certkey a", "acme yes", "client_certificates a", "require_client_cert a"],
)
def test_a_certificate_anywhere_means_tls(certificate: str) -> None:
    text = f"bind ::1 80\n{OLD_DOMAIN}domain a.test {{\n {certificate}\n}}\n"

    # Both domains need certificates now.
    assert complaints(text, server=False)[0] == (
        "kore.conf:2: incomplete TLS setup for '*': write certfile and certkey"
    )


def test_tls_may_be_enabled_and_disabled_outside_of_servers() -> None:
    (problem,) = complaints("bind ::1 80\ntls yes\n", server=False)
    assert problem.startswith("kore.conf:1: server 'default' has TLS, and no domain with a cert")
    text = "bind ::1 80\ntls no\ndomain * {\n certfile a\n certkey b\n}\n"
    made = config(text, server=False)
    assert not made.servers[0].tls
    assert [notice for notice in made.notices if "certfile has no effect" in notice]


def test_tls_outside_of_servers_needs_such_an_address() -> None:
    assert complaints("tls no\n") == ["kore.conf:1: tls belongs inside of a server block"]


def test_the_spelling_that_a_message_suggests_works() -> None:
    notice = config(f"bind ::1 80\n{OLD_DOMAIN}", server=False).notices[0]
    written = "\n".join(re.findall("`([^`]*)`", notice.partition("plain HTTP: ")[2]))
    block, _, attach = written.rpartition("\n")

    made = config(f"{block}\ndomain * {{\n {attach}\n static / index\n}}\n", server=False)

    assert [(server.name, server.tls) for server in made.servers] == [("default", False)]
    assert made.domains[0].server == "default"


def test_a_domain_in_the_old_spelling_is_on_the_only_server() -> None:
    server = "server s {\n bind ::1 80\n tls no\n}\n"
    made = config(server + OLD_DOMAIN, server=False)
    assert made.domains[0].server == "s"
    said = "kore.conf:5: domain '*' is attached to the only server: write `attach s`"
    assert said in made.notices

    (problem,) = complaints(server + server.replace(" s ", " t ").replace("80", "81") + OLD_DOMAIN)
    assert "domain '*' not attached to server" in problem


def test_addresses_outside_of_servers_are_noticed() -> None:
    # A second server of the name, so that it all can be built: without TLS.
    text = "server default {\n bind ::1 0\n tls no\n}\nbind ::1 80\n"

    (problem,) = complaints(text, server=False)

    assert problem.startswith("kore.conf:5: server 'default' already exist")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bind ::1", "write `bind HOST PORT [CALLBACK]`, not 1 word"),
        ("bind ::1 80 f", "bind: a callback for connections is for C Kore's modules"),
        ("bind_unix", "write `bind_unix PATH [CALLBACK]`, not 0 words"),
    ],
)
def test_addresses_outside_of_servers_are_checked(line: str, problem: str) -> None:
    assert complaints(line) == [f"kore.conf:1: {problem}"]


@pytest.mark.parametrize(
    ("line", "wanted", "today"),
    [
        ("chroot /x", Privsep("worker", root="/x"), ("worker", "root /x")),
        ("root /x", Privsep("worker", root="/x"), ("worker", "root /x")),
        ("runas www", Privsep("worker", runas="www"), ("worker", "runas www")),
        ("keymgr_root /x", Privsep("keymgr", root="/x"), ("keymgr", "root /x")),
        ("keymgr_runas k", Privsep("keymgr", runas="k"), ("keymgr", "runas k")),
        ("acme_root /x", Privsep("acme", root="/x"), ("acme", "root /x")),
        ("acme_runas a", Privsep("acme", runas="a"), ("acme", "runas a")),
    ],
)
def test_privileges_outside_of_blocks_are_those_of_a_process(
    line: str, wanted: Privsep, today: tuple[str, str]
) -> None:
    made = config(line)

    assert made.privsep == (wanted,)
    assert made.notices[0] == (
        f"kore.conf:1: {line.split()[0]} is an old spelling, "
        f"write `privsep {today[0]} {{`, `{today[1]}`, `}}`"
    )
    assert complaints(line.split()[0])[0].startswith(f"kore.conf:1: write `{line.split()[0]} ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ssl_cipher X", "tls_cipher X"),
        ("ssl_dhparam x.pem", "tls_dhparam x.pem"),
        ("http_postbody_max 1", "http_body_max 1"),
    ],
)
def test_a_setting_that_was_renamed_is_set(old: str, new: str) -> None:
    made = config(old)

    assert made.settings == config(new).settings
    assert made.notices[0] == (f"kore.conf:1: {old.split()[0]} is an old spelling, write `{new}`")
    assert complaints(old.split()[0])[0].startswith("kore.conf:1: write ")


@pytest.mark.parametrize("old", ["client_certificates", "require_client_cert"])
def test_the_certificates_of_clients_were_called_otherwise(old: str) -> None:
    pair = "certfile c\n certkey k"
    text = f"server s {{\n bind ::1 1\n}}\ndomain a {{\n attach s\n {pair}\n {old} ca.pem\n}}"

    made = config(text)

    assert made.tls[0].client_verify == "ca.pem"
    assert made.notices == (
        f"kore.conf:8: {old} is an old spelling, write `client_verify ca.pem`",
    )
    assert complaints(text.replace(" ca.pem", ""))[-1] == (
        f"kore.conf:8: domain 'a': write `{old} CA [CRL]`, not 0 words"
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("load ./x.so", "modules in C are for C Kore, write Python and `python_import PATH`"),
        ("spdy_idle_time 120", "SPDY is gone since Kore 2.0, leave it out"),
        ("ssl_no_compression", "TLS is never compressed, leave it out"),
        ("kore_cb x", "gone since Kore 1.2, write a function kore_parent_configure or workerstart"),
    ],
)
def test_a_removed_directive_is_refused_with_a_hint(line: str, hint: str) -> None:
    assert complaints(line) == [f"kore.conf:1: {line.split()[0]}: {hint}"]


def test_addresses_without_servers_listen_together() -> None:
    builder = built("bind ::1 443\nbind_unix /x\ndomain a.test {\n acme yes\n}\n", server=False)

    assert [server.address for server in builder.list_addresses()] == [
        Address("::1", 443),
        Address(path="/x"),
    ]
    assert builder.domains[0].attach == "default"
    assert builder.notices[1] == (
        "kore.conf:2: bind_unix is an old spelling, "
        "write `server default {`, `unix /x`, `}`, `attach default`"
    )
