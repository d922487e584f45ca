"""Text becomes statements with their places; what is wrong is noted with file and line."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.diagnostics import Diagnostics
from kore._conf.file.syntax import Block, parse, quote_word

HINT = "set it in the environment, or write $$ for a dollar sign"
RING = "kore.conf is what includes this file"
NO_VARIABLES: Mapping[str, str] = {}


class Files:
    """Files in memory."""

    def __init__(self, **texts: str | bytes) -> None:
        self.texts = {name.replace("__", "/") + ".conf": text for name, text in texts.items()}

    def read(self, path: str) -> bytes:
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        text = self.texts[path]
        return text.encode() if isinstance(text, str) else text


def read(
    text: str | bytes, environment: Mapping[str, str] = NO_VARIABLES, **others: str | bytes
) -> tuple[tuple[Block, ...], list[str]]:
    """Return the statements and the problems of a file."""
    problems = Diagnostics()
    blocks = parse("kore.conf", Files(kore=text, **others).read, environment, problems)
    return blocks, problems.found


def words(text: str | bytes, environment: Mapping[str, str] = NO_VARIABLES) -> list[list[str]]:
    """Return the words of each statement of a file without problems."""
    blocks, problems = read(text, environment)
    assert problems == []
    return [list(block.words) for block in blocks]


def complaints(
    text: str | bytes, environment: Mapping[str, str] = NO_VARIABLES, **others: str | bytes
) -> list[str]:
    return read(text, environment, **others)[1]


# Words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("workers 4", ["workers", "4"]),
        ("  \t workers\t 4  ", ["workers", "4"]),
        ("workers 4 # one for each", ["workers", "4"]),
        ("workers 4\t#", ["workers", "4"]),
        ("a b#c #d", ["a", "b#c"]),
        ('a "b c" \'d "e\'', ["a", "b c", 'd "e']),
        ('a ""', ["a", ""]),
        ('a "# { }"', ["a", "# { }"]),
        (r'a "say \"b\" \\ \d"', ["a", r'say "b" \ \d']),
        (r"a '\d'", ["a", r"\d"]),
        (r"a ^/\d+$", ["a", r"^/\d+$"]),
        ("a ^[0-9]{4}$", ["a", "^[0-9]{4}$"]),
        ("a {b b} it's", ["a", "{b", "b}", "it's"]),
        ("a /b/$1?$qs ($|x)", ["a", "/b/$1?$qs", "($|x)"]),
    ],
)
def test_a_line_is_words(line: str, expected: list[str]) -> None:
    assert words(line) == [expected]


@pytest.mark.parametrize(
    "text", ["a b\nc d", "a b\r\nc d\r\n", "\n# x\n a b\n\n  c d\n", "\ufeffa b\nc d"]
)
def test_a_statement_is_a_line(text: str) -> None:
    assert words(text) == [["a", "b"], ["c", "d"]]


def test_a_line_may_be_long() -> None:
    assert words("a " + "x" * 100_000) == [["a", "x" * 100_000]]


# Variables


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("$X", ["1.2"]),
        ("${X}", ["1.2"]),
        ("a$X.b", ["a1.2.b"]),
        ("a${X}b", ["a1.2b"]),
        ('"$X $X"', ["1.2 1.2"]),
        ("'$X'", ["$X"]),
        ("$$X", ["$X"]),
        ("$$", ["$"]),
        ('"\\\\$X"', ["\\1.2"]),
        ("$ADDR", ["127.0.0.1", "8080"]),
        ('"$ADDR"', ["127.0.0.1 8080"]),
        ("$TRICKY", ['"a', "{", "#", "$X", "\\b"]),
        ("x$TRICKY", ['x"a { # $X \\b']),
        ("$EMPTY", []),
        ('"$EMPTY"', [""]),
        ("${qs}", ["q"]),
    ],
)
def test_a_variable_stands_for_its_value(line: str, expected: list[str]) -> None:
    environment = {
        "X": "1.2",
        "ADDR": "127.0.0.1 8080",
        "TRICKY": '"a { # $X \\b',
        "EMPTY": "",
        "qs": "q",
    }

    assert words(f"w {line}", environment) == [["w", *expected]]


def test_a_variable_that_does_not_exist_is_named() -> None:
    blocks, problems = read("workers $N\nbind $IP 80\n", {"IPV": "::"})

    assert problems == [
        f"kore.conf:1: variable $N does not exist: {HINT}",
        f"kore.conf:2: variable $IP does not exist: {HINT}",
    ]
    assert all(block.broken for block in blocks)


# Blocks


def test_blocks_nest_and_know_their_lines() -> None:
    (domain, other), problems = read(
        "domain * {\n  route /x {  # first\n    handler x\n  } # end\n}\nworkers 4\n"
    )

    assert problems == []
    assert domain.words == ("domain", "*")
    assert domain.body is not None
    (route,) = domain.body
    assert (route.where, route.keyword, route.arguments) == ("kore.conf:2", "route", ("/x",))
    assert route.has("methods", "handler")
    assert not route.has("methods")
    assert other == Block(("workers", "4"), "kore.conf:6")


@pytest.mark.parametrize("text", ["a {\nb\n}", "a { b }", "a {\r\n\tb\r\n\t} \r\n", "a {\n b }"])
def test_a_block_is_what_is_between_its_braces(text: str) -> None:
    (block,), problems = read(text)

    assert problems == []
    assert block.body is not None
    assert [inner.words for inner in block.body] == [("b",)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("}", "kore.conf:1: '}' closes nothing"),
        ("a {\n}\n}", "kore.conf:3: '}' closes nothing"),
        ("a 1 {\nb {\n}\n", "kore.conf:1: 'a 1 {' is not closed"),
        ("a\n{\n}", "kore.conf:2: '{' belongs on the line of the words it is for"),
        ('a\nb "c', 'kore.conf:2: a quote is not closed: "c'),
        ("b 'c'd", "kore.conf:1: a blank is missing after the closing quote: 'c'd"),
        ("a\x00b", r"kore.conf:1: control character '\x00'"),
        ("a\rb", r"kore.conf:1: control character '\r'"),
        (b"a\n\xff\n", "kore.conf:2: not UTF-8"),
        ("a ${}", f"kore.conf:1: variable $ does not exist: {HINT}"),
    ],
)
def test_a_malformed_statement_is_reported(text: str | bytes, problem: str) -> None:
    assert complaints(text) == [problem]


def test_a_broken_line_does_not_hide_its_brace() -> None:
    blocks, problems = read('route "/x {\nhandler a\n}\nworkers 1\n')

    assert problems == ['kore.conf:1: a quote is not closed: "/x {']
    assert [block.keyword for block in blocks] == ["route", "workers"]
    assert [block.broken for block in blocks] == [True, False]


# Includes


def test_an_included_file_takes_the_place_of_its_statement() -> None:
    blocks, problems = read(
        "a\nb {\ninclude conf/more.conf\n}\n", conf__more="c\ninclude ../last.conf", last="d"
    )

    assert problems == []
    assert [block.words for block in blocks] == [("a",), ("b",)]
    assert blocks[1].body == (Block(("c",), "conf/more.conf:1"), Block(("d",), "last.conf:1"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("include x", "kore.conf:1: failed to open include 'x': No such file or directory"),
        ("include", "kore.conf:1: include takes one PATH"),
        ("include a b", "kore.conf:1: include takes one PATH"),
        ("include a {\n}", "kore.conf:1: include takes no block"),
        ("\ninclude kore.conf", f"kore.conf:2: include 'kore.conf': {RING}"),
        ("include ring.conf", f"ring.conf:1: include 'kore.conf': {RING}"),
        ("include open.conf\n", "open.conf:1: 'b {' is not closed"),
    ],
)
def test_an_include_that_fails_is_reported(text: str, problem: str) -> None:
    assert complaints(text, ring="include kore.conf", open="b {") == [problem]


def test_a_recursive_include_under_changing_names_ends() -> None:
    problems = Diagnostics()
    parse("a.conf", lambda path: b"include more/a.conf", {}, problems)

    assert len(problems.found) == 1
    assert "more than 32 files deep" in problems.found[0]


def test_a_file_that_cannot_be_opened_is_named() -> None:
    problems = Diagnostics()

    assert parse("x.conf", Files().read, {}, problems) == ()
    assert problems.found == [
        "configuration given cannot be opened: x.conf: No such file or directory"
    ]


# The way back


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_a_quoted_word_is_read_as_it_was(word: str) -> None:
    assert words(f"a {quote_word(word)}") == [["a", word]]


@pytest.mark.parametrize("word", ["a", "^/[0-9]+$", "/x", "*", "a{b"])
def test_a_word_has_quotes_only_where_it_needs_them(word: str) -> None:
    assert quote_word(word) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('"a${0x0A}b"', "a\nb"),
        ('"${0xDCFF}"', "\udcff"),
        ('"\\\\${0x9}$${0x0A}"', "\\\t${0x0A}"),
        ("a${0x1F600}", "a\N{GRINNING FACE}"),
    ],
)
def test_a_character_can_be_written_by_its_code(text: str, word: str) -> None:
    (block,), problems = read(f"x {text}\n")

    assert (block.arguments, problems) == ((word,), [])


@pytest.mark.parametrize("name", ["0x", "0x0", "0x110000", "0xG", "0x0000041"])
def test_an_invalid_character_code_is_an_unknown_variable(name: str) -> None:
    (problem,) = complaints(f'x "${{{name}}}"\n')

    assert problem.startswith(f"kore.conf:1: variable ${name} does not exist")


@given(st.text())
def test_any_word_is_read_as_it_was_written(word: str) -> None:
    word = word.replace("\0", "")
    line = quote_word(word)
    (block,), problems = read(f"x {line}\n")

    assert line.isprintable()
    assert (block.arguments, problems) == ((word,), [])
