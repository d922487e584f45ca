"""The filemaps of a worker: their directories and open files. Not loaded where there are none."""

from collections.abc import Callable, Sequence
from typing import Any

from kore._conf.schema import Route
from kore._conf.settings import Settings
from kore._core.file import open_beneath
from kore._http.files.file_cache import OpenFileCache
from kore._http.files.filemap import Directory, Filemap, build_policy


class Filemaps:
    """Makes handlers of filemaps, which share open files and directories."""

    def __init__(self, settings: Settings, routes: Sequence[Route]) -> None:
        self.cache = OpenFileCache(open_beneath)
        self.policy = build_policy(settings, self.cache.open)
        self.directories = {
            route.files: Directory(route.files, self.cache.clear) for route in routes
        }

    def make_handler(self, route: Route) -> Callable[[Any], Any]:
        """Return the function that responds to requests for the files of a filemap."""
        return Filemap(route, self.directories[route.files], self.policy).serve

    def expire(self) -> None:
        """Close files that have not been asked for lately."""
        self.cache.turn()
