"""Where rules of naming do not hold yet: a list that only gets shorter, and then goes.

A package is named by how its modules begin, a page by its path.
"""

from typing import Final

# Class names that several modules define.
CLASSES: Final = {
    "Child", "Connection", "Database", "Exchange", "Fatal", "File", "Form", "Kind", "Limits",
    "Listener", "Mark", "Plan", "Reader", "Reading", "Request", "Route", "Sink", "Source", "Stream",
    "Target",
}  # fmt: skip
# Modules with functions that are one word, or miss their underscore.
FUNCTIONS: Final = (
    "_api", "_app", "_cli", "_conf", "_context", "_core", "_http", "_httpclient",
    "_process", "_symbols", "_websocket",
)  # fmt: skip
# Modules, and pages, with vague words.
PROSE: Final = (
    "_api", "_app", "_cli", "_conf", "_core", "_http", "_httpclient",
    "_process", "_symbols", "_websocket", "docs/", "errors",
)  # fmt: skip
PARAMETERS: Final = ()
RINGS: Final = {
    "_conf.builder", "_conf.databases",
    "_conf.file.directives", "_conf.pending_routes", "_httpclient.transfer",
    "_httpclient.stream", "_process.parent.children", "_process.parent.generation",
    "_process.parent.message_router",
}  # fmt: skip
MAP: Final = True
