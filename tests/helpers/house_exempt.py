"""Where rules of naming do not hold yet: a list that only gets shorter, and then goes.

A package is named by how its modules begin, a page by its path.
"""

from typing import Final

# Class names that several modules define.
CLASSES: Final = {
    "Fatal",
}  # fmt: skip
# Modules with functions that are one word, or miss their underscore.
FUNCTIONS: Final = (
    "_cli.create", "_cli.kodev", "_cli.main", "_cli.project", "_cli.run", "_cli.skeleton",
    "_cli.sources", "_cli.watch",
    "_core.dispatch", "_core.request", "_core.testing_protocol",
    "_process.ipc", "_process.parent", "_process.privsep", "_process.template",
)  # fmt: skip
# Modules, and pages, with vague words.
PROSE: Final = (
    "_cli.main", "_cli.run",
    "_core.listener", "_core.poller", "_core.request", "_core.websocket",
    "_process.parent",
    "docs/map.md", "docs/parity.md",
)  # fmt: skip
PARAMETERS: Final = ()
RINGS: Final = {
    "_process.parent.children",
    "_process.parent.generation", "_process.parent.message_router",
}  # fmt: skip
