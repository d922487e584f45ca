"""A copy of the tree whose core reports lines, with an environment that measures every process."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LEFT_OUT: Final = shutil.ignore_patterns(
    ".venv",
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".ruff_cache",
    "__pycache__",
    "build",
    "*.so",
    "*.c",
)
# What each process of a run is told. Of a branch that Cython compiled only its lines are known.
CONFIG: Final = """
[run]
branch = true
source_dirs = {source}
plugins = Cython.Coverage
parallel = true
data_file = {data}/data
context = ${{COVERAGE_CONTEXT-}}
patch =
    _exit
    execv
    fork
# A server's standard error is its log, which tests look at.
disable_warnings =
    already-imported
    couldnt-parse
    dynamic-conflict
    module-not-imported
    module-not-measured
    no-data-collected
    trace-changed
[report]
exclude_also =
    if TYPE_CHECKING:
    raise NotImplementedError
    ^\\s*\\.\\.\\.$
    : \\.\\.\\.$
"""


class Copy:
    """A copy of the tree in *folder*: its sources, its core, its environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "src" / "kore"
        self.data = folder / "data"
        self.config = folder / "coverage.ini"
        self.python = folder / ".venv" / "bin" / "python"

    def make(self) -> None:
        """Copy, build and configure."""
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT, dirs_exist_ok=True)
        self.data.mkdir()
        # Servers that have given up their user write there as well.
        self.data.chmod(0o777)
        self.config.write_text(CONFIG.format(source=self.source, data=self.data))
        self.build_core()
        self.make_environment()

    def build_core(self) -> None:
        """Compile the core with calls of the line tracer, also where it holds no GIL."""
        flags = "-O1 -w -DCYTHON_TRACE=1 -DCYTHON_TRACE_NOGIL=1"
        command = [str(Path(sys.executable).with_name("cythonize")), "-q", "-i", "-3", "-j4"]
        command += ["-X", "linetrace=True"]
        command += [str(path) for path in sorted((self.source / "_core").glob("*.pyx"))]
        done = subprocess.run(
            command,
            env={**os.environ, "CFLAGS": flags},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def make_environment(self) -> None:
        """Make an interpreter that finds the copy first, and measures from its start on."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        (site,) = venv.glob("lib/python*/site-packages")
        lines = [str(self.source.parent), sysconfig.get_path("purelib")]
        (site / "cover.pth").write_text(
            "\n".join([*lines, "import coverage; coverage.process_startup()", ""])
        )
        for name in ("kore", "kodev"):
            script = Path(sys.executable).with_name(name).read_text().partition("\n")[2]
            (venv / "bin" / name).write_text(f"#!{self.python}\n{script}")
            (venv / "bin" / name).chmod(0o755)

    def run_tests(self, arguments: list[str]) -> int:
        """Run tests, and return the status of pytest."""
        command = [self.python, "-m", "pytest", "-p", "tests.cover.plugin", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "COVERAGE_PROCESS_START": str(self.config)},
            check=False,
        )
        return done.returncode
