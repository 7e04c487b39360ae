# Each target makes .venv and installs what it needs by itself. ARGS goes to pytest, `verify`, `faults` and `bench`:
#     make test ARGS='-k tanh'        make verify ARGS='--json build/verify.json'

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin

# A stamp is written when all before it went well, so an install that was cut short is done again.
MADE := $(VENV)/made
HAS_VERIFY := $(VENV)/has-verify
HAS_DEV := $(VENV)/has-dev
HAS_COMPARE := $(VENV)/has-compare
HAS_CLUSTER := $(VENV)/has-cluster
HAS_BENCH := $(VENV)/has-bench
HAS_DOCS := $(VENV)/has-docs

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:  # two installs into one .venv would tread on each other; pytest has its own workers
.PHONY: help verify page test engine faults bench docs notebooks deep lint types imports check clean

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  ARGS='...' is handed to pytest, verify, faults and bench; PYTHON=... is what .venv is made from ($(PYTHON))."

verify: $(HAS_VERIFY)  ## every op and training run beside PyTorch's; the verdict and the page
	$(BIN)/python -m reference verify --page build/agreement.html $(ARGS)

page: $(HAS_VERIFY)  ## the page alone: build/agreement.html, after a quick verify
	$(BIN)/python -m reference page $(ARGS)

# Two workers: torch alone takes 200 MB in each, and CI machines have two cores.
test: $(HAS_DEV)  ## the tests
	$(BIN)/python -m pytest -n auto --maxprocesses=2 $(ARGS)

# In an environment of its own, one for each Python. What compares with PyTorch is skipped there, and counted.
ENGINE := build/engine-$(notdir $(PYTHON))
ENGINE_TESTS := tests/rules $(filter-out %_docs.py %_readme.py %_lean.py %_notebooks.py %_work.py,$(wildcard tests/test_*.py))

engine:  ## the engine's own tests without PyTorch, on another Python: make engine PYTHON=python3.13
	@$(PYTHON) -m venv $(ENGINE)
	@$(ENGINE)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt \
	    -e '.[viz]' 'pytest>=9' pytest-xdist hypothesis
	$(ENGINE)/bin/python -m pytest -n auto --maxprocesses=2 $(ARGS) $(ENGINE_TESTS)

# COMPARE=1: the checkers of today are given the faults, too.
faults: $(if $(COMPARE),$(HAS_COMPARE),$(HAS_VERIFY))  ## plant every known bug, one at a time, and see it caught
	$(BIN)/python -m reference faults $(if $(COMPARE),--compare --generic none) $(ARGS)

bench: $(HAS_BENCH)  ## speed and memory beside PyTorch's and others'
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(HAS_DOCS)  ## the documentation, into build/docs: a broken link is an error
	$(BIN)/zensical build --strict --clean

notebooks: $(HAS_DEV)  ## run the notebooks, and write down what they show
	$(BIN)/python notebooks/execute.py

deep: $(HAS_DEV)  ## the tests and the verdict with many more examples, all faults, and the corpus: before a release
	$(BIN)/python -m pytest -n auto --maxprocesses=2 --hypothesis-profile=deep
	$(BIN)/python -m reference verify --profile deep
	$(BIN)/python -m reference faults
	$(BIN)/python -m tests.reference.corpus

lint: $(HAS_DEV)  ## ruff: its rules, and its format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(HAS_DEV)  ## mypy
	$(BIN)/mypy

imports: $(HAS_DEV)  ## import-linter: imports point one way
	$(BIN)/lint-imports --no-logo

check: lint types imports test  ## lint, types, imports, test

clean:  ## remove what was built, and the caches; .venv stays, and so do the examples that failed
	rm -rf build dist *.egg-info .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A .venv that works is kept, whoever made it; the remains of one are replaced.
$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "error: Python 3.11 or newer is needed; '$(PYTHON) --version' says:" \
	        "$$($(PYTHON) --version 2>&1 | head -n 1)." "Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "error: '$(PYTHON)' cannot make virtual environments: its modules venv and ensurepip are missing." \
	        "Install them (Debian, Ubuntu: the package python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	    echo "making $(VENV) (once)"; $(PYTHON) -m venv --clear $(VENV); }
	@touch $@

# -qq: only errors; pip otherwise warns about each configured location that it finds nothing in.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

$(HAS_VERIFY): $(MADE) pyproject.toml constraints.txt
	@echo "installing PyTorch and what else the verdict needs (once; the first time takes minutes)"
	@$(PIP_INSTALL) -e '.[reference,viz]'
	@touch $@

$(HAS_COMPARE): $(HAS_VERIFY)
	@echo "installing JAX and autograd, whose checkers the faults are given to (once)"
	@$(PIP_INSTALL) -e '.[compare]'
	@touch $@

$(HAS_CLUSTER): $(HAS_VERIFY)
	@echo "installing Dask, for a cluster of this machine's processes (once)"
	@$(PIP_INSTALL) -e '.[cluster]'
	@touch $@

$(HAS_BENCH): $(MADE) pyproject.toml constraints.txt
	@echo "installing PyTorch, JAX and the other engines that ndgrad is timed beside (once)"
	@$(PIP_INSTALL) -e '.[bench]'
	@touch $@

$(HAS_DOCS): $(MADE) pyproject.toml constraints.txt
	@echo "installing what the documentation is built with (once)"
	@$(PIP_INSTALL) -e '.[docs]'
	@touch $@

# Who has dev has all that verify needs.
$(HAS_DEV): $(MADE) pyproject.toml constraints.txt
	@echo "installing PyTorch, pytest and the other tools (once; the first time takes minutes)"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $(HAS_VERIFY) $@
