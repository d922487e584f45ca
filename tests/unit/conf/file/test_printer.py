"""What is printed, read again, is the same configuration."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.builder import Builder
from kore._conf.file.printer import Printer
from kore._conf.schema import Config, RouteRequirements
from kore._conf.server_schema import Address
from tests.helpers.conf import App, config

NAMES = {name: (lambda req, *_: None) for name in ("index", "koreapp.page", "hello.allowed", "no")}
METHODS = ["get", "head", "post", "put", "delete", "options", "patch"]
# Line breaks, control characters and bytes that are not UTF-8 (surrogates), too.
letters = st.characters(exclude_characters="\0") | st.characters(categories=["Cc", "Cs", "Z"])
letters = letters.filter(lambda letter: letter != "\0") | st.sampled_from(" $\"\\{}#'\n\udcff")
word = st.text(letters, min_size=1)
names = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)
patterns = ["^[0-9]+$", "[[:alpha:]]", "", "a b", "$$", "#", '"']
regex = word.map(re.escape) | st.sampled_from(patterns)
functions = st.sampled_from(sorted(NAMES)).map(NAMES.__getitem__)
rules = st.dictionaries(word, regex | functions, max_size=3)
auths = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["cookie", "header"]),
        "value": st.sampled_from(["session", "x-key", "auth"]),
        "verify": functions,
    },
    optional={"redirect": st.sampled_from(["/login", "https://x/?a=$b#c"])},
)


@st.composite
def routes(draw: st.DrawFn) -> dict[str, Any]:
    methods = draw(st.lists(st.sampled_from(METHODS), min_size=1, unique=True))
    keywords: dict[str, Any] = {name: draw(rules) for name in methods if name != "head"}
    keywords["qs"] = draw(rules)
    declared = sorted({name for given in keywords.values() for name in given})
    if declared:
        keywords["required"] = draw(st.lists(st.sampled_from(declared), unique=True))
    if draw(st.booleans()):
        keywords["auth"] = draw(auths)
    strict, handler = draw(st.booleans()), draw(functions)
    return {"methods": methods, "strict": strict, "handler": handler, **keywords}


def printed(made: Config) -> str:
    names = {function: name for name, function in NAMES.items()}
    return Printer(lambda function: names.get(function, "")).print_config(made, [])


def demanded(requirements: RouteRequirements) -> object:
    """Return demands without what two equal regular expressions differ in."""
    return (
        requirements.strict,
        requirements.auth,
        {
            method: (
                {name: (rule.text, rule.verify) for name, rule in declared.query.items()},
                {name: (rule.text, rule.verify) for name, rule in declared.body.items()},
                declared.required,
            )
            for method, declared in requirements.parameters.items()
            if declared.query or declared.body
        },
    )


@given(st.lists(routes(), max_size=4), st.lists(names, min_size=1, max_size=2, unique=True))
def test_a_printed_configuration_loads_as_the_same(
    wanted: list[dict[str, Any]], names: list[str]
) -> None:
    builder = Builder()
    for number, name in enumerate(names, 1):
        builder.server(name, Address(ip="127.0.0.1", port=number), tls=False)
    domain = builder.domain("*", names[0])
    for number, one in enumerate(wanted):
        path = f"/{number}" if number % 2 else f"^/{number}/([0-9]+)[ ]?$"
        domain.route(path, one["handler"], **{k: v for k, v in one.items() if k != "handler"})
    made = builder.build()
    # As it goes through a file.
    text = printed(made).encode().decode()

    again = config(text, App(NAMES), server=False)

    assert printed(again) == text
    assert again.settings == made.settings
    assert again.servers == made.servers
    for first, other in zip(made.domains[0].routes, again.domains[0].routes, strict=True):
        assert first.path == other.path
        assert (first.handler, first.methods) == (other.handler, other.methods)
        assert demanded(first.requirements) == demanded(other.requirements)


def test_certificates_and_redirects_to_https_are_printed() -> None:
    builder = Builder()
    builder.server("http", Address(ip="::1", port=80), tls=False, redirect_https=True)
    builder.server("https", Address(ip="::1", port=443), tls=True)
    pairs = {"cert": ["/e c.pem", "/rsa.pem"], "key": ["/e c.key", "/rsa.key"]}
    builder.domain("a.test", "https", **pairs, client_verify="/ca", verify_depth=3, crl="/r")
    builder.domain("b.test", "https", cert="/b.pem", key="/b.key", client_verify="/ca")
    builder.domain("b.test", "http")
    made = builder.build()

    again = config(printed(made), App(NAMES), server=False)

    assert again.tls == made.tls
    assert again.servers == made.servers
    assert printed(again) == printed(made)


def test_a_route_without_options_is_printed_without_statements() -> None:
    builder = Builder()
    builder.server("http", Address(path="@x"), tls=False)
    builder.domain("*", "http").route("/x", NAMES["index"])

    assert "    route /x {\n        handler index\n    }\n" in printed(builder.build())


@pytest.mark.parametrize(
    ("methods", "statement"),
    [
        (["lock", "get"], "methods get head lock"),
        (["*"], "methods *"),
        (["*", "lock"], "methods lock *"),
    ],
)
def test_methods_without_a_number_are_printed(methods: list[str], statement: str) -> None:
    builder = Builder()
    builder.server("http", Address(path="@x"), tls=False)
    builder.domain("*", "http").route("/x", NAMES["index"], methods=methods)
    made = builder.build()

    assert f"        {statement}\n" in printed(made)
    assert config(printed(made), App(NAMES), server=False).domains == made.domains


def test_parameters_of_methods_without_a_number_are_noticed() -> None:
    builder = Builder()
    builder.server("s", Address(path="@x"), tls=False)
    builder.domain("*", "s").route("/x", NAMES["index"], methods=["lock"], qs={"a": "."})
    printer = Printer(lambda function: "index")
    printer.print_config(builder.build(), [])

    (notice,) = printer.notices
    assert "parameters of methods beside GET" in notice


def test_a_part_that_a_file_cannot_express_is_noticed_once() -> None:
    builder = Builder()
    builder.server("s", Address(ip="127.0.0.1", port=1), tls=False)
    verify = [lambda req, value: True, lambda req, value: False]
    domain = builder.domain("*", "s")
    domain.route("/a", NAMES["index"], methods=["get"], get=dict(zip("vw", verify, strict=True)))
    names = {function: name for name, function in NAMES.items()}
    printer = Printer(lambda function: names.get(function, ""))
    printer.print_config(builder.build(), [])

    (notice,) = printer.notices
    assert notice.startswith("route '/a': not expressible in a file: <lambda> at ")
