"""Where rules of naming do not hold yet: a list that only gets shorter, and then goes.

A package is named by how its modules begin, a page by its path.
"""

from typing import Final

# Class names that several modules define.
CLASSES: Final[set[str]] = set()
# Modules with functions that are one word, or miss their underscore.
FUNCTIONS: Final = (
)  # fmt: skip
# Modules, and pages, with vague words.
PROSE: Final = (
)  # fmt: skip
PARAMETERS: Final = ()
RINGS: Final[set[str]] = set()
