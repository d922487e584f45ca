# One line per job; `make help` lists them. PYTHON chooses the interpreter, VENV the environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Files of tests at a time. Many tests wait for a server: four keep two cores busy.
JOBS ?= 4
CORE := $(wildcard src/kore/_core/*.pyx src/kore/_core/*.pxd)

.DEFAULT_GOAL := help
.PHONY: help demo test fresh check types style bench bench-toolkit bench-clients bench-database bench-objects bench-start bench-tls bench-websockets soak fuzz autobahn tls-check sanitize cover dist clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) must be 3.11 or newer with venv and pip (Debian: apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Editable, so that a change of Python code needs no new build; the core is rebuilt when its files change.
$(VENV)/.built: $(BIN)/python pyproject.toml $(CORE)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[test,check,cover]'
	@touch $@

demo: $(VENV)/.built ## Build, install and serve the demo application on http://127.0.0.1:8888
	@echo "kore: serving the demo on http://127.0.0.1:$${KORE_DEMO_PORT:-8888} (ctrl-C stops it)"
	@exec $(BIN)/python examples/demo/serve.py

test: $(VENV)/.built ## Build, install and run the whole test suite.
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

fresh: ## What the README says, in a Debian with nothing else (needs root and debootstrap).
	tests/fresh.sh

check: style types ## Lint, types and the rules of the house.

style: $(VENV)/.built
	$(BIN)/ruff check src tests benchmarks examples
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint src/kore/_core
	$(BIN)/python -m pytest -q tests/test_floors.py

types: $(VENV)/.built
	$(BIN)/mypy

bench: $(VENV)/.built ## Measure ours and the peers in one run; writes benchmarks/results/DATE.md
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-websockets: $(VENV)/.built ## Measure WebSockets, ours and the peers'; ARGS=--write keeps the page.
	$(BIN)/python benchmarks/websocket_run.py $(ARGS)

bench-tls: $(VENV)/.built ## Measure TLS, ours and the peers'; ARGS=--write keeps the page.
	$(BIN)/python benchmarks/tls_run.py $(ARGS)

bench-database: $(VENV)/.built ## Measure queries of a PostgreSQL of its own; ARGS=--write keeps the page.
	$(BIN)/python benchmarks/database.py $(ARGS)

bench-toolkit: $(VENV)/.built ## Measure what can be awaited against asyncio's own.
	$(BIN)/python benchmarks/toolkit.py $(ARGS)

bench-objects: $(VENV)/.built ## Measure objects sent from worker to worker.
	$(BIN)/python benchmarks/objects.py $(ARGS)

bench-start: $(VENV)/.built ## Measure the start of a server and its memory.
	$(BIN)/python benchmarks/startup.py $(ARGS)

bench-clients: $(VENV)/.built ## Measure the HTTP client against others'.
	$(BIN)/python benchmarks/clients.py $(ARGS)

soak: $(VENV)/.built ## Slow and broken clients for two minutes; uploads of 1 GiB; 100,000 tasks.
	$(BIN)/python -m pytest -m slow tests/server tests/process tests/unit

fuzz: $(VENV)/.built ## The fuzzers, longer than in the suite.
	$(BIN)/python -m pytest -m slow tests/fuzz

autobahn: $(VENV)/.built ## The Autobahn|Testsuite (needs a Python 2.7); writes docs/autobahn.md
	$(BIN)/python -m tests.autobahn $(ARGS)

tls-check: $(VENV)/.built ## sslyze, testssl.sh, h2load and openssl on a running server; writes docs/tls-check.md
	$(BIN)/python -m tests.tls_check $(ARGS)

sanitize: ## The core's unit tests under AddressSanitizer and UndefinedBehaviorSanitizer.
	PYTHON=$(PYTHON) tests/sanitize.sh

cover: $(VENV)/.built ## How much of the code the tests run; writes docs/coverage.md. Half an hour.
	$(BIN)/python -m tests.cover $(ARGS)

dist: $(VENV)/.built ## Build sdist and wheel into dist/
	$(BIN)/python -m pip install --quiet build && $(BIN)/python -m build

clean: ## Remove what was built.
	rm -rf $(VENV) build dist src/*.egg-info
	find src -name '*.so' -delete -o -path '*/_core/*.c' -delete
