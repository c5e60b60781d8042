# Two commands for a new machine: `make demo` and `make test`. Everything lands in .venv and in the user's cache folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help demo test soak lint bench deps faults plugin-tables clean

help:
	@echo "make demo    run the whole loop on the example videos"
	@echo "make test    run the tests (a real Postgres and a real Label Studio are set up for them)"
	@echo "make soak    run the long tests, for at most 90 minutes; again: go on where it stopped"
	@echo "make lint    ruff, mypy, import rules"
	@echo "make bench   measure and compare with the bars; ANNOTATE_DATA names a folder with real sets"
	@echo "make plugin-tables  write the tables of plug-ins in docs/ anew from their docstrings"
	@echo "make deps    try the newest releases of all dependencies in a scratch environment"
	@echo "make faults  kill ingest at random moments, many times"

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11; name another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "setting up $(VENV) (one to three minutes)"
	@$(PYTHON) -m venv $(VENV) || { echo "error: no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

# What running needs, then what developing needs on top.
$(VENV)/.core: $(VENV)/.made pyproject.toml constraints.txt
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@$(PIP) --editable '.[dev,pretrained]'
	@touch $@

demo: $(VENV)/.core
	@$(BIN)/annotate demo

# Tests start hundreds of processes. Each would compile our code anew where no bytecode may be written.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/pytest

# Files side by side, each worker on one thread; the longest first (tests/support/distribution.py).
test: $(VENV)/.dev
	@$(PYTEST) -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Two at a time. What passed is noted for this state of the code: running it again goes on.
soak: $(VENV)/.dev
	@$(PYTEST) --soak -n 2 --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	@$(PIP) --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

# Without constraints.txt; not part of `make test`. `.ci/deps.py` says what it runs.
deps:
	@$(PYTHON) .ci/deps.py

faults: $(VENV)/.dev
	$(BIN)/python -m benchmarks.ingest_kills --kills 20

plugin-tables: $(VENV)/.core
	@$(BIN)/python docs/plugin_tables.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
