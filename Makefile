# Everything a contributor runs. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BOOTSTRAP ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
# One more than the cores of a small machine: many tests wait for a process, a lease or a disk.
WORKERS ?= 3
ARGS ?=

members := $(patsubst %/pyproject.toml,%,$(sort $(wildcard adapters/*/pyproject.toml plugins/*/pyproject.toml)))
adapters := $(notdir $(filter adapters/%,$(members)))
sources := $(wildcard hub conformance adapters plugins tests examples)
stamp := $(VENV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start the hub some hundred times: without bytecode each start compiles all of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup requirements lint format test certify certify-wallets trial demo chaos failovers mutants bench bench-long clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(stamp) ## Create .venv with the pinned requirements and this workspace in place

$(stamp): requirements.txt pyproject.toml $(members:%=%/pyproject.toml)
	@echo "setup: pinned requirements into $(VENV)"
	@test -x $(PYTHON) || $(BOOTSTRAP) -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --require-hashes -r requirements.txt
	@echo "setup: croupier $(members)"
	@$(PYTHON) -m pip install --quiet --no-deps --no-build-isolation -e . $(members:%=-e ./%)
	@$(PYTHON) -m pip check
	@touch $@

requirements: ## Pin the newest releases in requirements.txt (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements.txt

lint: $(stamp) ## Check style, types and the direction of imports
	@echo "lint: ruff"; $(BIN)/ruff check --quiet $(sources)
	@echo "lint: format"; $(BIN)/ruff format --check --quiet $(sources) \
	  || { $(BIN)/ruff format --check $(sources); exit 1; }
	@echo "lint: mypy"; $(BIN)/mypy --no-error-summary $(sources)
	@echo "lint: imports"; out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }

format: $(stamp) ## Rewrite the sources in the house format
	@$(BIN)/ruff check --quiet --fix-only $(sources)
	@$(BIN)/ruff format $(sources)

test: $(stamp) ## Run the tests; ARGS="-k name -x" is handed to pytest
	@$(PYTHON) -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

certify: $(stamp) ## Certify every adapter as what it claims, and every wallet; reports in build/certify; ARGS is handed on
	@$(MAKE) --jobs 2 --keep-going --output-sync=target \
	  $(adapters:%=certify-adapter-%) certify-wallets

certify-adapter-%: $(stamp)
	@echo "certify: $*"; $(BIN)/croupier certify adapter $* --out build/certify $(ARGS)

certify-wallets: $(stamp)
	@for script in $(wildcard examples/*/certify.py plugins/*/certify_*.py); do echo "certify: $$script"; $(PYTHON) $$script; done

trial: $(stamp) ## Try every broken adapter with the whole book of rules; ARGS is handed on
	@$(PYTHON) -m tests.certification.whole_book $(ARGS)

demo: $(stamp) ## Run the demonstration in examples/demo; ARGS is handed to it
	@$(PYTHON) examples/demo $(ARGS)

chaos: $(stamp) ## Crash real processes for some minutes, then compare three books; ARGS is handed to it
	@$(PYTHON) -m tests.chaos.run $(ARGS)

failovers: $(stamp) ## Lose PostgreSQL to its standby two hundred times while bets are played; ARGS is handed to it
	@$(PYTHON) -m tests.chaos.failovers $(ARGS)

mutants: $(stamp) ## Plant the defects of real integrations and see the kit catch each; ARGS is handed to it
	@$(PYTHON) -m tests.mutants.run $(ARGS)

bench: $(stamp) ## Measure the hub beside proxies and a naive ledger; results in build/bench
	@$(PYTHON) -m tests.benchmarks.bench $(ARGS)

bench-long: $(stamp) ## The same at length: the whole matrix, 10^7 rows, 100 000 sessions; an hour or two and 60 GiB
	@$(PYTHON) -m tests.benchmarks.bench --long $(ARGS)

clean: ## Remove .venv, caches and build results
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(sources) -name __pycache__ -type d -prune -exec rm -rf {} +
