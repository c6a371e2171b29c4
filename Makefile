# `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LITERT := $(VENV)-litert
TABLES := benchmarks/results

.DEFAULT_GOAL := help
.PHONY: help fit test test-all lint types docs docs-test docs-output bench faults soak gpu-check performance clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

$(BIN)/zarts: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zarts needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(BIN)/zarts
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

# litert-torch wants another version of torch
$(LITERT)/.done: pyproject.toml
	$(PYTHON) -m venv $(LITERT)
	$(LITERT)/bin/pip install --quiet --disable-pip-version-check -e '.[export,litert]'
	@touch $@

fit: $(BIN)/zarts ## install, fit a network to the embedded digits in two minutes, end with the verdict and the report's path
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export]'
	$(BIN)/zarts fit digits --time 2m

lint: $(VENV)/.dev ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

# tests start many processes, which compile the package once if they may keep the bytecode
test: export PYTHONDONTWRITEBYTECODE =
test: lint types ## install the development extra, check style and types, run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal -m "not long and not browser"

test-all: lint types ## the same with the tests that take long and those in a browser, if one is installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.docs ## build the site of the documentation into build/site; a broken link is an error
	$(BIN)/python -m mkdocs build --strict --quiet

docs-test: docs $(LITERT)/.done ## the site, reports in a browser, all code and commands of the pages, examples: under ten minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m browser
	LITERT_PYTHON=$(LITERT)/bin/python $(BIN)/python -m docs.tools.check
	$(BIN)/python -m docs.tools.paste --check

docs-output: $(VENV)/.docs ## paste the outputs of commands into the pages anew
	$(BIN)/python -m docs.tools.paste

bench: $(VENV)/.dev ## time the weight step beside the textbook's, about ten minutes (ARGS=--quick: five)
	$(BIN)/python -m benchmarks.supernet $(ARGS)

faults: $(VENV)/.dev ## damage inputs, kill runs, fill a disk: about 20 minutes (FULL=1: an hour; ARGS="--only inputs")
	ZARTS_EXAMPLES=500 $(BIN)/pytest tests/unit/test_readers.py -n auto --timeout 0
	$(BIN)/python -m benchmarks.faults $(ARGS)

gpu-check: $(VENV)/.dev ## check a machine with a GPU in at most five minutes: results against the CPU, a search, time and memory
	$(BIN)/python -m benchmarks.gpu $(ARGS)

soak: $(VENV)/.dev ## fit, search, retrain and test in a loop for 45 minutes (ARGS='--minutes N'): nothing may grow
	$(BIN)/python -m benchmarks.soak $(ARGS)

performance: $(VENV)/.dev ## measure all tables of docs/performance.md, methods.md and memory.md, an hour on an idle machine
	$(BIN)/python -m benchmarks.supernet --json $(TABLES)/supernet-2.json
	$(BIN)/python -m benchmarks.supernet --threads 1 --json $(TABLES)/supernet-1.json
	$(BIN)/python -m benchmarks.breakdown --threads 1 --json $(TABLES)/operations.json
	$(BIN)/python -m benchmarks.breakdown --threads 1 --by module --json $(TABLES)/modules.json
	$(BIN)/python -m benchmarks.roofline --json $(TABLES)/roofline.json
	$(BIN)/python -m benchmarks.scaling --threads 1 --json $(TABLES)/scaling.json
	$(BIN)/python -m benchmarks.ranks --json $(TABLES)/ranks.json
	$(BIN)/python -m benchmarks.overhead --threads 1 --json $(TABLES)/overhead.json
	$(BIN)/python -m benchmarks.passes --threads 1 --json $(TABLES)/passes.json
	$(BIN)/python -m benchmarks.forecast --json $(TABLES)/forecast.json
	$(BIN)/python -m benchmarks.memory --json $(TABLES)/memory.json
	$(BIN)/python -m benchmarks.beyond --json $(TABLES)/beyond.json
	$(BIN)/python -m benchmarks.methods --json $(TABLES)/methods.json
	$(BIN)/python -m benchmarks.tables

clean: ## remove the virtual environment and caches (not the runs)
	rm -rf $(VENV) $(LITERT) .pytest_cache .mypy_cache .ruff_cache .hypothesis
