# Every target sets itself up: a .venv in this folder, packages by pip. Nothing else is needed but Python 3.11+, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test coverage check lint types format docs packaging nox mutants bench bench-quick fuzz soak clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The demo needs the package and its extras; tests and checks need the dependency group dev on top.
$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[all,demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

demo: $(VENV)/.demo  ## a local issuer, the example apps behind their servers, and an agent that knocks
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev  ## all tests
	$(BIN)/python -m pytest

coverage: $(VENV)/.dev  ## all tests again, and which lines they reach: slower by half
	$(BIN)/python -m pytest --cov --cov-report=term

check: lint types test  ## lint, types and tests: what CI runs

docs: $(VENV)/.dev  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

packaging: $(VENV)/.dev  ## the wheel: what it brings along, and the quick tests against it, without src
	$(BIN)/nox -s alone installed

nox: $(VENV)/.dev  ## every Python that is here with every set of frameworks, and the lowest versions (half an hour)
	$(BIN)/nox

lint: $(VENV)/.dev  ## ruff: lint and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev  ## mypy --strict and pyright
	$(BIN)/mypy
	$(BIN)/pyright

format: $(VENV)/.dev  ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.venv-mutants/.done: pyproject.toml
	$(PYTHON) -m venv .venv-mutants
	.venv-mutants/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-mutants/bin/python -m pip install --quiet --editable '.[all,demo]' --group mutants
	@touch $@

# CI=1 and the seed: the same examples, the same order, the same score. `rm -r mutants` begins anew.
mutants: .venv-mutants/.done  ## does a test notice each broken line? make mutants ONLY=dpop,claims (minutes a module, hours for all)
	CI=1 PYTHONHASHSEED=0 .venv-mutants/bin/python -P tests/mutants.py $(ONLY)

.venv-bench/.done: pyproject.toml bench/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-bench/bin/python -m pip install --quiet --editable '.[all,demo]' --requirement bench/requirements.txt
	@touch $@

bench: .venv-bench/.done  ## all benchmarks, beside the peers: table, results, charts (5 minutes)
	.venv-bench/bin/python -m bench

bench-quick: $(VENV)/.demo  ## this library alone, in process, under a minute; writes nothing
	$(BIN)/python -m bench --quick

# Wheels only: to build atheris takes clang and twenty minutes. Where there is none for this Python, that is said, and no more.
.venv-fuzz/.done: pyproject.toml fuzz/requirements.txt
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-fuzz/bin/python -m pip install --quiet --editable .
	@.venv-fuzz/bin/python -m pip install --quiet --only-binary :all: --requirement fuzz/requirements.txt || { \
	  echo "make fuzz: pip finds no atheris for $$($(PYTHON) --version) on this machine;" \
	    "it comes as wheels for some versions of CPython on Linux: try make clean, make fuzz PYTHON=python3.12"; exit 1; }
	@touch $@

SECONDS_EACH ?= 60

fuzz: .venv-fuzz/.done  ## every fuzz target for SECONDS_EACH seconds (60)
	.venv-fuzz/bin/python -m fuzz $(SECONDS_EACH)

soak: $(VENV)/.demo  ## a million requests, most of them junk: memory stops growing and only agents get in (10 minutes)
	$(BIN)/python -m bench.soak

clean:  ## remove what make made
	rm -rf $(VENV) .venv-mutants mutants .venv-bench .venv-fuzz fuzz/found .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist site .nox
