"""A copy of the tree whose core counts lines, with an environment that measures every process."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

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
)
# What coverage.py is told, in each process of a run. It measures the Python code only.
CONFIG: Final = """
[run]
branch = true
source_dirs = {source}
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
        self.objects = folder / "objects"
        self.commit = folder / "commit"
        self.counters = folder / "counters"
        self.config = folder / "coverage.ini"
        self.python = folder / ".venv" / "bin" / "python"

    def make(self) -> None:
        """Copy, build and configure, unless an earlier run has done so."""
        if self.python.exists():
            return
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT, dirs_exist_ok=True)
        for folder in (self.data, self.counters, self.counters / "others"):
            folder.mkdir()
            # Servers that have given up their user write there as well.
            folder.chmod(0o777)
        commit = ["git", "rev-parse", "--short", "HEAD"]
        self.commit.write_text(subprocess.check_output(commit, cwd=ROOT, text=True))
        self.config.write_text(CONFIG.format(source=self.source, data=self.data))
        self.build_core()
        self.make_environment()

    def get_commit(self) -> str:
        """Return the commit that was copied."""
        return self.commit.read_text().strip()

    def build_core(self) -> None:
        """Compile the core with counters (gcov): a tracer would be a hundred times slower.

        Without optimization, since the lines of the C code are to be counted as they stand.
        """
        self.objects.mkdir()
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())
        modules = project["tool"]["setuptools"]["ext-modules"]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.build_module, modules))

    def build_module(self, module: dict[str, Any]) -> None:
        """Compile one extension module, as pyproject.toml describes it."""
        path, *sources = (self.folder / name for name in module["sources"])
        code, built = path.with_suffix(".c"), self.objects / f"{path.stem}.o"
        folders = [sysconfig.get_path("include"), *module.get("include-dirs", ())]
        options = ["-fPIC", "-O0", "-w", *(f"-I{folder}" for folder in folders)]
        cython = Path(sys.executable).with_name("cython")
        self.build(cython, "-3", "-I", self.folder / "src", path, "-o", code)
        self.build("gcc", "-c", "--coverage", *options, code, "-o", built)
        flush = self.folder / "tests" / "cover" / "flush.c"
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        self.build(
            *("gcc", "-shared", *options, built, flush, *sources),
            *("-o", path.with_name(path.stem + suffix), "-lgcov"),
            *(f"-l{library}" for library in module.get("libraries", ())),
        )

    def build(self, *command: str | Path) -> None:
        """Run a compiler."""
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def make_environment(self) -> None:
        """Make an interpreter that finds the copy first, and measures from its start on."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        (site,) = venv.glob("lib/python*/site-packages")
        lines = [str(self.source.parent), sysconfig.get_path("purelib")]
        start = "import coverage, cover_flush; coverage.process_startup(); cover_flush.patch_exit()"
        shutil.copy(ROOT / "tests" / "cover" / "flush.py", site / "cover_flush.py")
        (site / "cover.pth").write_text("\n".join([*lines, start, ""]))
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
            env={
                **os.environ,
                "COVERAGE_PROCESS_START": str(self.config),
                "COVERAGE_COUNTERS": str(self.counters),
                "GCOV_PREFIX": str(self.counters / "others"),
                "GCOV_PREFIX_STRIP": str(len(self.objects.parts) - 1),
                # Standard error is the log of a server, which tests look at.
                "GCOV_ERROR_FILE": str(self.folder / "gcov.log"),
            },
            check=False,
        )
        return done.returncode
