# Everything sets itself up: `make demo` and `make test` work on a fresh machine with Python 3.11+, git and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Two modules of tests at a time: most of what they do is waiting for processes. More would disturb each other.
BESIDE := -n 2 --dist loadscope --no-loadscope-reorder

.PHONY: help setup demo test test-all sim check format bench clean
.DEFAULT_GOAL := help

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make the virtual environment and install everything into it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Trimtab needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## Watch five changes on their way to production (KEEP=1 leaves all running, LLM=local asks a real model)
	@$(BIN)/python -m trimtab.demo $(if $(KEEP),--keep) $(if $(LLM),--llm $(LLM))

test: $(STAMP)  ## Run the tests
	$(BIN)/python -m pytest $(BESIDE) -m 'not slow'

test-all: $(STAMP)  ## Run the tests, the long ones too
	$(BIN)/python -m pytest

sim: $(STAMP)  ## Simulate crashes, partitions and lies: make sim [SEEDS=1000] [FROM=0], or one again: SEED=1234 [TRACE=1]
	@$(BIN)/python -m trimtab.testing.sim $(if $(SEED),--seed $(SEED)) $(if $(TRACE),--trace) \
	  $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM))

check: $(STAMP)  ## Format, lint, types, architecture, long functions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.repo.long_functions

format: $(STAMP)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## Run a benchmark: make bench B=delivery [QUICK=1] [JSON=1]
	@$(BIN)/python -m benchmarks.$(B) $(if $(QUICK),--quick) $(if $(JSON),--json)

clean:  ## Remove what setup and the tests made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
