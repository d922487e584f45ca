"""What is wrong with a configuration, collected, so that it is said all at once."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from kore._conf.source_location import escaped, escaped_lines
from kore.errors import ConfigError, KoreError

PLACE: Final = re.compile(r"(?P<file>[^\n]*?):(?P<line>\d+): ")


class Diagnostics:
    """Sentences about what is wrong, most of them with file and line in front."""

    def __init__(self) -> None:
        self.found: list[str] = []
        # What else to say if a server wants TLS, by its name.
        self.tls_hints: dict[str, str] = {}

    def add(self, where: str, text: str) -> None:
        """Take note of something; the same is said once only."""
        line = escaped_lines(f"{where}: {text}" if where else text)
        if line not in self.found:
            self.found.append(line)

    @contextmanager
    def noted(self, where: str = "", label: str = "", words: Iterable[str] = ()) -> Iterator[None]:
        """Take note of what the block raises, and go on. *words* are what the file says there."""
        try:
            yield
        except (KoreError, ValueError) as error:
            text = f"{label}: {error}" if label else str(error)
            for word in filter(None, words):
                text = text.replace(word, escaped(word))
            self.add(where, text)

    def tell(self) -> None:
        """Raise all of it as one error, in the order of the files and lines."""
        if not self.found:
            return
        lines = in_order(self.found)
        count = f"{len(lines)} errors in the configuration:\n" if len(lines) > 1 else ""
        raise ConfigError(count + "\n".join(lines))


def in_order(lines: list[str]) -> list[str]:
    """Return *lines* by place: files as they first turn up, what has no place at the end."""
    places = [PLACE.match(line) for line in lines]
    files = list(dict.fromkeys(place["file"] for place in places if place))
    keys = [
        (files.index(place["file"]), int(place["line"])) if place else (len(files), 0)
        for place in places
    ]
    return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda pair: pair[0])]
