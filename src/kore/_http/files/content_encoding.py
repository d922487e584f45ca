"""The Accept-Encoding field, RFC 9110 section 12.5.3: the content codings a client accepts."""

import re
from functools import lru_cache
from typing import Final

from kore._values.grammar import TOKEN

# The suffix of compressed files by coding, the best coding first.
SUFFIXES: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
# Other names of codings: RFC 9110 section 8.4.1.3.
ALIASES: Final = {"x-gzip": "gzip"}
CODING: Final = re.compile(
    rf"(?P<coding>{TOKEN})(?:[ \t]*;[ \t]*q=(?P<q>[01](?:\.[0-9]{{0,3}})?))?"
)
# Bytes. Clients choose the text, and longer ones would only fill the cache.
FIELD_SIZE_MAX: Final = 200


def list_accepted(values: list[str]) -> tuple[str, ...]:
    """Return the codings that a client accepts, without those that it prefers plain files to."""
    text = ",".join(values)
    return _parse_accept_encoding(text.lower()) if 0 < len(text) <= FIELD_SIZE_MAX else ()


@lru_cache(256)
def _parse_accept_encoding(text: str) -> tuple[str, ...]:
    """Return the codings of a field in lower case, the one with the highest weight first."""
    weights: dict[str, float] = {}
    for one in text.split(","):
        if found := CODING.fullmatch(one.strip(" \t")):
            coding = ALIASES.get(found["coding"], found["coding"])
            weights[coding] = float(found["q"] or 1)
    others = weights.get("*", 0.0)
    plain = weights.get("identity", 0.0)
    preferences = {coding: weights.get(coding, others) for coding in SUFFIXES}
    fit = [coding for coding, weight in preferences.items() if weight > 0 and weight >= plain]
    return tuple(sorted(fit, key=lambda coding: -preferences[coding]))
