"""Notices of what a configuration may be allowed to say, and hardly means."""

from collections.abc import Iterator
from urllib.parse import unquote

from kore._conf.builder import Builder
from kore._conf.suggestions import foreign_captures


def notices(builder: Builder) -> Iterator[str]:
    """Yield a line for each."""
    answers = any(domain.answers for domain in builder.domains)
    if builder.servers and not builder.wanted and not answers:
        yield (
            "the application has no routes: every request will be answered with 404; write "
            '@kore.route("/") above a function that takes a request'
        )
    for one in builder.wanted:
        found = None if one.route.files else foreign_captures(one.route.path)
        if found is not None:
            part, path = found
            shown = one.route.path if one.route.pattern else unquote(one.route.path)
            yield (
                f"{one.where}: route '{shown}': {part} captures nothing here, clients "
                f"would have to send it as it is; write '{path}', and the handler gets each group"
            )
