"""The end of a process that runs application code, each in a process of its own."""

import subprocess
import sys

import pytest

EXIT_HANDLERS = """
import atexit, os
from kore._process.process_end import run_exit_handlers
atexit.register(print, "handler")
run_exit_handlers()
print("after", flush=True)
os._exit(0)
"""
# A child that ignores SIGTERM, and one that does not.
CHILDREN = """
import multiprocessing, os, signal, time
from kore._process.process_end import run_exit_handlers

def stubborn(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.set()
    time.sleep(100)

context = multiprocessing.get_context("fork")
ready = context.Event()
children = [context.Process(target=time.sleep, args=(100,)),
            context.Process(target=stubborn, args=(ready,))]
for child in children:
    child.start()
ready.wait()
run_exit_handlers()
for child in children:
    child.join(30)
print([child.exitcode for child in children], flush=True)
os._exit(0)
"""
# Another process has a copy of the list of children, which are not its own.
FORKED = """
import multiprocessing, os, time
from kore._process.process_end import run_exit_handlers
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(100,))
child.start()
pid = os.fork()
if pid == 0:
    run_exit_handlers()
    os._exit(0)
os.waitpid(pid, 0)
print(child.is_alive(), flush=True)
child.kill()
child.join()
os._exit(0)
"""
FINALIZERS = """
import os, weakref
from kore._process.process_end import disable_inherited_finalizers, run_exit_handlers
class Thing: pass
inherited, own = Thing(), Thing()
weakref.finalize(inherited, print, "inherited")
disable_inherited_finalizers()
weakref.finalize(own, print, "own")
run_exit_handlers()
print("end", flush=True)
os._exit(0)
"""
# Standard output that is closed, and standard error that there is not.
FLUSH = """
import os, sys
from kore._process.process_end import flush_output
os.write(2, b"begin\\n")
sys.stdout.write("buffered")
flush_output()
sys.stdout.close()
sys.stderr = None
flush_output()
os._exit(0)
"""


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        (EXIT_HANDLERS, "handler\nafter\n"),
        (CHILDREN, "[-15, -9]\n"),
        (FORKED, "True\n"),
        (FINALIZERS, "own\nend\n"),
        (FLUSH, "buffered"),
    ],
    ids=["handlers", "children", "forked", "finalizers", "flush"],
)
def test_a_process_ends(source: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == printed
