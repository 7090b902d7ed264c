# Each target makes what it needs, and nothing twice: .venv/.* are stamps of what is done.
# Only Python and make are assumed. A particular Python: make PYTHON=python3.12 test

PYTHON = python3
WORKERS = 2
ARGS =

PIP = .venv/bin/python -m pip --disable-pip-version-check -qq
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet --upgrade --generate-hashes \
	--strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host pyproject.toml

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint types imports bench lock clean

help:
	@echo "make demo     the folder watcher, live"
	@echo "make test     the tests; some of them: make test ARGS='-k name'"
	@echo "make check    lint, types and imports: ruff, mypy --strict, the layers"
	@echo "make bench    the benchmarks; writes reports/benchmarks.md"
	@echo "make lock     lock the newest versions of what the project is developed with"
	@echo "make clean    remove what the other targets made"

demo: .venv/.installed
	@.venv/bin/python scenarios/folder_watcher.py $(ARGS)

# Benchmarks are not among the tests, so their plugin stays out.
test: .venv/.installed
	@.venv/bin/pytest -q -n $(WORKERS) -p no:benchmark $(ARGS)

check: lint types imports

lint: .venv/.installed
	@.venv/bin/ruff check --output-format concise

types: .venv/.installed
	@.venv/bin/mypy

imports: .venv/.installed
	@.venv/bin/lint-imports --no-logo

# What things cost, then liveproof side by side with cocoindex, which is asked to send no statistics.
bench: export COCOINDEX_DISABLE_USAGE_TRACKING = 1
bench: .venv/.bench
	@.venv/bin/pytest -q tests/benchmarks --benchmark-only
	@.venv/bin/python tests/benchmarks/compare.py --report reports/benchmarks.md $(ARGS)

# The lock is for the oldest Python; newer ones need no more than that.
lock: .venv/.made
	@.venv/bin/python -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check -qq install pip-tools
	@$(COMPILE) --extra dev --output-file requirements-dev.lock
	@$(COMPILE) --extra bench --constraint requirements-dev.lock --output-file requirements-bench.lock
	@echo "Locked. Next: make check test"

clean:
	@rm -rf .venv build dist .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

.venv/.made:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "liveproof needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=/path/to/python" >&2; \
		exit 1; }
	@echo "Making .venv, once: this takes a minute"
	@"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.locked: requirements-dev.lock .venv/.made
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.installed: pyproject.toml .venv/.locked
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.bench: requirements-bench.lock .venv/.installed
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@
