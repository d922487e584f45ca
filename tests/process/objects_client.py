"""What the tests of objects between workers share: who does what, told from outside."""

import itertools
from pathlib import Path

from tests.helpers import procs
from tests.helpers.fix_serve import Server
from tests.process.process_helpers import get, serving

APP = Path(__file__).with_name("objects_app.py")
NUMBERS = itertools.count()


def tell(
    server: Server, worker: int, what: str, argument: object = "", *, wait: bool = True
) -> int:
    """Have a worker do something; return where in the log that began."""
    start, number = server.log.size(), next(NUMBERS)
    get(server, f"/{worker}/{what}", number=str(number), argument=str(argument))
    if wait:
        server.log.wait(f"proc=[wrk {worker}] log=[did {number}]", start)
    return start


def pid_of(server: Server, worker: int) -> int:
    """Return the process that a number stands for."""
    found: list[int] = []

    def there() -> bool:
        found[:] = [p for p in serving(server) if f"[wrk {worker}]" in procs.title(p)]
        return len(found) == 1

    procs.until(there, what=f"worker {worker}")
    return found[0]
