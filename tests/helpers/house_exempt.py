"""Where rules of naming do not hold yet: a list that only gets shorter, and then goes.

A package is named by how its modules begin, a page by its path.
"""

from typing import Final

# Class names that several modules define.
CLASSES: Final = {
    "Database", "Fatal",
}  # fmt: skip
# Modules with functions that are one word, or miss their underscore.
FUNCTIONS: Final = (
    "_cli.create", "_cli.kodev", "_cli.main", "_cli.project", "_cli.run", "_cli.skeleton",
    "_cli.sources", "_cli.watch", "_conf.check", "_conf.cpus", "_conf.databases",
    "_conf.domain_rules", "_conf.file", "_conf.filemaps", "_conf.notices", "_conf.pending_routes",
    "_conf.route_options", "_conf.schema", "_conf.settings", "_conf.settings_checks",
    "_conf.signatures", "_conf.source_location", "_conf.suggestions", "_conf.value_types",
    "_conf.websockets", "_core.dispatch", "_core.request", "_core.testing_protocol",
    "_http.auth", "_http.body", "_http.cookies", "_http.files", "_http.params", "_http.pipeline",
    "_http.request_data", "_http.router", "_http.steps", "_http.streaming", "_http.sync_or_async",
    "_process.ipc", "_process.parent", "_process.privsep", "_process.template",
)  # fmt: skip
# Modules, and pages, with vague words.
PROSE: Final = (
    "_cli.main", "_cli.run", "_conf.check", "_conf.file",
    "_conf.filemaps", "_conf.settings", "_conf.settings_checks", "_conf.suggestions",
    "_conf.value_types", "_core.listener", "_core.poller", "_core.request", "_core.websocket",
    "_http.body", "_http.files", "_http.params", "_http.request_data", "_http.router",
    "_http.sync_or_async", "_process.parent",
    "docs/map.md", "docs/parity.md", "docs/reference/settings.md",
)  # fmt: skip
PARAMETERS: Final = ()
RINGS: Final = {
    "_process.parent.children",
    "_process.parent.generation", "_process.parent.message_router",
}  # fmt: skip
