"""Which event loop a worker runs on."""

import asyncio
import os
from asyncio import AbstractEventLoop

try:
    import uvloop
except ImportError:  # it has no wheel for this machine, perhaps
    # To mypy the name is a module, which cannot become None.
    uvloop = None  # type: ignore[assignment]


def new_loop() -> AbstractEventLoop:
    """Return uvloop's event loop where it is installed, unless KORE_LOOP says asyncio."""
    if uvloop is None or os.environ.get("KORE_LOOP") == "asyncio":
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
