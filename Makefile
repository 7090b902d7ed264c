# Each target makes what it needs, and nothing twice: .venv/.* are stamps of what is done.
# Only Python and make are assumed. A particular Python: make PYTHON=python3.12 test

PYTHON = python3
WORKERS = 2
ARGS =

# Two of the simulators that ours is measured beside need 3.12: such a Python, if one is here.
PEERS_PYTHON = $(shell for each in python3.13 python3.12 "$$HOME"/.pyenv/versions/3.1[23].*/bin/python; do \
	"$$each" -c 'import venv' 2>/dev/null && { echo "$$each"; break; }; done)

PIP = .venv/bin/python -m pip --disable-pip-version-check -qq
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet --upgrade --generate-hashes \
	--strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host pyproject.toml

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint types imports verify bench lock lock-peers clean

help:
	@echo "make demo     the folder watcher, live, then in the simulator"
	@echo "make test     the tests; some of them: make test ARGS='-k name'"
	@echo "make check    lint, types and imports: ruff, mypy --strict, the layers"
	@echo "make verify   the long verification; writes reports/verification.md; longer: ARGS='--executions 10000 --proof-seconds 7200 --minutes 600'"
	@echo "make bench    the benchmarks; writes reports/benchmarks.md and reports/simulator-speed.md"
	@echo "make lock     lock the newest versions of what the project is developed with"
	@echo "make clean    remove what the other targets made"

demo: .venv/.installed
	@.venv/bin/python -m scenarios.demonstration $(ARGS)

# Benchmarks are not among the tests, so their plugin stays out.
test: .venv/.installed
	@.venv/bin/pytest -q -n $(WORKERS) --dist worksteal -p no:benchmark $(ARGS)

check: lint types imports

lint: .venv/.installed
	@.venv/bin/ruff check --output-format concise

types: .venv/.installed
	@.venv/bin/mypy

imports: .venv/.installed
	@.venv/bin/lint-imports --no-logo

# In less than twenty minutes: what has not begun by then is named on the page as not run. The last of two options
# counts: ARGS may ask for more.
verify: .venv/.installed
	@.venv/bin/python -m scenarios.verify --jobs $(WORKERS) --executions 300 --proof-seconds 120 --minutes 19 $(ARGS)

# What things cost, then liveproof side by side with cocoindex, which is asked to send no statistics.
bench: export COCOINDEX_DISABLE_USAGE_TRACKING = 1
bench: .venv/.bench $(if $(PEERS_PYTHON),.venv/.peers)
	@.venv/bin/pytest -q tests/benchmarks --benchmark-only
	@.venv/bin/python tests/benchmarks/compare.py --report reports/benchmarks.md $(ARGS)
	@.venv/bin/python tests/benchmarks/simulator_speed.py --report reports/simulator-speed.md \
		$(if $(PEERS_PYTHON),--peers .venv/peers/bin/python)

# The lock is for the oldest Python; newer ones need no more than that. That of the peers is for what runs them.
lock: .venv/.made
	@.venv/bin/python -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check -qq install pip-tools
	@$(COMPILE) --extra dev --output-file requirements-dev.lock
	@$(COMPILE) --extra bench --constraint requirements-dev.lock --output-file requirements-bench.lock
	@$(if $(PEERS_PYTHON),$(MAKE) --no-print-directory lock-peers,echo "No Python 3.12: requirements-peers.lock stays")
	@echo "Locked. Next: make check test"

lock-peers:
	@"$(PEERS_PYTHON)" -m venv build/lock-peers
	@build/lock-peers/bin/python -m pip --disable-pip-version-check -qq install pip-tools
	@$(subst build/lock/,build/lock-peers/,$(COMPILE)) --extra peers --output-file requirements-peers.lock

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

# Ours is installed for its version; what is measured is the tree, by way of PYTHONPATH.
.venv/.peers: requirements-peers.lock .venv/.installed
	@"$(PEERS_PYTHON)" -m venv .venv/peers
	@.venv/peers/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r requirements-peers.lock
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir build/peers .
	@.venv/peers/bin/python -m pip --disable-pip-version-check -qq install --no-deps build/peers/*.whl
	@touch $@
