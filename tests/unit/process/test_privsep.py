import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kore._process import privsep
from kore._process.privsep import RESTRICTION_STEPS, ProcessRestrictions, RestrictionStep

# What a fresh process reports after it has given up what is not its own.
REPORT = """
import json, os, resource, signal, sys
from kore._process import privsep
from kore._process.privsep import ProcessRestrictions
{before}
restrictions = ProcessRestrictions("shop [wrk 1]", os.getppid(), frozenset({keep}), **{more})
warning = privsep.apply_restrictions(restrictions)
print(json.dumps({{
    "warning": warning,
    "open": sorted(privsep.open_descriptors()),
    "cpus": sorted(os.sched_getaffinity(0)),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "prof": signal.getsignal(signal.SIGPROF) == signal.SIG_DFL,
    "pipe": signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "name": open("/proc/self/comm").read().strip(),
    "title": open("/proc/self/cmdline").read().strip("\\0"),
}}))
{after}
"""


def settled(
    before: str = "", after: str = "", keep: str = "{}", **more: object
) -> dict[str, object]:
    script = REPORT.format(before=before, after=after, keep=keep, more=more)
    # A child of this process: not of the shell that a launcher may put between.
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    found: dict[str, object] = json.loads(run.stdout.splitlines()[0])
    return {**found, "rest": run.stdout.splitlines()[1:]}


@pytest.fixture
def inheritable() -> Iterator[int]:
    fd = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(fd, True)
    yield fd
    os.close(fd)


def test_other_descriptors_are_closed() -> None:
    opened = "fds = [os.dup(0) for _ in range(5)]"

    assert settled(opened)["open"] == [0, 1, 2]
    assert settled(opened + "; os.dup2(0, 9)", keep="{9}")["open"] == [0, 1, 2, 9]


def test_signal_handlers_and_mask_are_reset() -> None:
    found = settled(
        "signal.signal(signal.SIGPROF, print); "
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])"
    )

    assert found["prof"]
    assert found["pipe"]
    assert found["mask"] == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT", "SIGHUP"])
def test_terminal_signals_end_only_programs_that_the_process_starts(name: str) -> None:
    # First this process itself, which lives on, then a shell it starts, which does not.
    found = settled(
        after=f"import subprocess; os.kill(os.getpid(), signal.{name}); "
        f"run = subprocess.run(['sh', '-c', 'kill -{name[3:]} $$; exit 0']); print(run.returncode)"
    )

    assert found["rest"] == [str(-signal.Signals[name])]


def test_restrictions_are_applied_in_this_order() -> None:
    assert [step.name for step in RESTRICTION_STEPS] == [
        "reset signals",
        "close other descriptors",
        "pin to a processor",
        "set resource limits",
        "set the parent-death signal",
        "set the title",
        "hide the memory",
    ]


def test_each_step_is_applied_once_and_warnings_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def record(name: str) -> RestrictionStep:
        return RestrictionStep(name, lambda r: calls.append(name) or f"{r.title}: {name}")

    monkeypatch.setattr(privsep, "RESTRICTION_STEPS", (record("first"), record("second")))
    restrictions = ProcessRestrictions("worker", os.getppid(), frozenset())

    assert privsep.apply_restrictions(restrictions) == "worker: first\nworker: second"
    assert calls == ["first", "second"]


def test_limit_counts_beside_open_descriptors() -> None:
    found = settled(files=100)

    assert found["files"] == [103, resource.getrlimit(resource.RLIMIT_NOFILE)[1]]
    assert found["core"] == [0, 0]
    assert found["warning"] == ""


def test_limit_beyond_that_of_the_system_is_a_warning() -> None:
    hard = "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))"
    # Whoever may raise the limit gives that up first.
    drop = "os.getuid() or os.setresuid(65534, 65534, 65534)"
    found = settled(f"{hard}; {drop}", files=100)

    assert found["warning"] == (
        "worker_rlimit_nofiles: 103 descriptors wanted, the system allows 50"
    )
    assert found["files"] == [50, 50]


def test_workers_are_pinned_in_turn() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    for number in range(1, 4):
        assert settled(processor=number)["cpus"] == [allowed[number % len(allowed)]]


def test_process_without_a_processor_may_use_all() -> None:
    assert settled()["cpus"] == sorted(os.sched_getaffinity(0))


def test_process_is_pinned_to_allowed_processors_only() -> None:
    first = min(os.sched_getaffinity(0))
    found = settled(f"os.sched_setaffinity(0, {{{first}}})", processor=5)

    assert found["cpus"] == [first]


def test_the_title_is_what_ps_shows() -> None:
    found = settled()

    assert found["title"] == "shop [wrk 1]"
    assert found["name"] == "shop [wrk 1]"


def test_busy_process_ends_with_its_parent() -> None:
    script = (
        "import os, signal, time\nfrom kore._process import privsep\n"
        "parent = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    privsep.set_parent_death_signal(parent); os.write(1, b'x'); time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read(1) == b"x"
        parent.kill()
        # The pipe ends when its last holder does.
        assert parent.stdout.read() == b""


def test_process_without_its_parent_exits() -> None:
    script = (
        "from kore._process import privsep; privsep.set_parent_death_signal(1); print('survived')"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)

    assert (run.returncode, run.stdout) == (1, "")
