"""Names that an option of a benchmark selects."""

import argparse
from collections.abc import Collection


def select_names(
    parser: argparse.ArgumentParser, option: str, known: Collection[str], separator: str = ","
) -> tuple[str, ...]:
    """Return the names in *option*, all that are *known* if it has none.

    Ends the program with a message if one is not known.
    """
    names = tuple(name.strip() for name in option.split(separator) if name.strip())
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is none of: {f'{separator} '.join(known)}")
    return names or tuple(known)
