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

# Two test processes on two cores: one thread each, or they fight for the cores.
PYTEST_OPTIONS := -n 2 --dist worksteal
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS)

# The stamps are written last: an interrupted install leaves none and is done again.
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.installed-bench
OLDER_INSTALLED := $(OLDER_OPTUNAS:%=$(OLDER)-%/.installed)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow test-oldest lint types docs docs-figures unit \
	contract-older contract-oldest bench \
	bench-quick bench-audit bench-calibration bench-constraints bench-explanation \
	bench-forecasts bench-load bench-methods bench-noise bench-objectives bench-outlook \
	bench-overhead bench-parallel bench-pruning bench-scale clean
# One step after the other, so that what a step says is read beside what it did.
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Tune five data sets, the last one with and without priors (2 to 3 minutes)
	@echo "==> Running the demo; it writes into demo-output/"
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
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.how_it_works
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

bench: $(BENCH_INSTALLED) ## Run the whole benchmark: make bench DATA=folder-of-tables (hours; resumes)
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench DATA=FOLDER" >&2; exit 2; }
	@echo "==> Running the benchmark; what is there already is kept"
	@$(BIN)/python -m benchmarks.run full --data "$(DATA)"
	@$(BIN)/python -m benchmarks.report

bench-quick: $(INSTALLED) ## Run a small benchmark that needs no data (under 3 minutes)
	@echo "==> Running the small benchmark; it writes into bench-output/"
	@$(BIN)/python -m benchmarks.run quick --out bench-output
	@$(BIN)/python -m benchmarks.report --runs bench-output/runs

bench-audit: $(BENCH_INSTALLED) ## Check the benchmark itself: make bench-audit DATA=folder-of-tables
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-audit DATA=FOLDER" >&2; exit 2; }
	@echo "==> Checking tables, peers and results"
	@$(BIN)/python -m benchmarks.audit --data "$(DATA)"

bench-calibration: $(BENCH_INSTALLED) ## Measure predictive intervals: make bench-calibration DATA=folder-of-tables
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-calibration DATA=FOLDER" >&2; exit 2; }
	@echo "==> Measuring the coverage of predictive intervals"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration --data "$(DATA)"
	@$(BIN)/python -m benchmarks.report

bench-constraints: $(INSTALLED) ## Compare samplers under constraints: make bench-constraints DATA=folder-of-tables
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-constraints DATA=FOLDER" >&2; exit 2; }
	@echo "==> Tuning under constraints; what is there already is kept"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.constraints --data "$(DATA)"
	@$(BIN)/python -m benchmarks.report

bench-explanation: $(INSTALLED) ## Measure what it costs that trials say how they were chosen
	@echo "==> Measuring trials with and without explanation"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.explanation
	@$(BIN)/python -m benchmarks.report

bench-forecasts: $(BENCH_INSTALLED) ## Compare forecasts with outcomes: make bench-forecasts DATA=folder-of-tables
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-forecasts DATA=FOLDER" >&2; exit 2; }
	@echo "==> Running studies and looking at how they came out"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.forecasts --data "$(DATA)"
	@$(BIN)/python -m benchmarks.report

bench-load: $(INSTALLED) ## Measure long studies and a hundred parameters
	@echo "==> Measuring suggestions to long studies"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.load
	@$(BIN)/python -m benchmarks.report

bench-methods: $(INSTALLED) ## Compare all methods: make bench-methods DATA=folder-of-tables (an hour)
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-methods DATA=FOLDER" >&2; exit 2; }
	@echo "==> Running all methods; what is there already is kept"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run methods --data "$(DATA)" --out benchmarks/results/methods
	@$(BIN)/python -m benchmarks.report

bench-noise: $(INSTALLED) ## Compare samplers on noisy objectives
	@echo "==> Tuning noisy objectives; what is there already is kept"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.noise
	@$(BIN)/python -m benchmarks.report

bench-objectives: $(INSTALLED) ## Compare samplers on several objectives (hours; resumes)
	@echo "==> Tuning several objectives; what is there already is kept"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.objectives
	@$(BIN)/python -m benchmarks.report

bench-outlook: $(BENCH_INSTALLED) ## Compare outlooks with what came: make bench-outlook DATA=folder-of-tables
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-outlook DATA=FOLDER" >&2; exit 2; }
	@echo "==> Asking studies what more trials will bring, and running them"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.outlook --data "$(DATA)"
	@$(BIN)/python -m benchmarks.report

bench-overhead: $(INSTALLED) ## Measure the seconds that one suggestion takes
	@echo "==> Measuring the seconds per suggestion"
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.overhead
	@$(BIN)/python -m benchmarks.report

bench-parallel: $(INSTALLED) ## Compare samplers with eight workers: make bench-parallel DATA=folder-of-tables
	@test -n "$(DATA)" || { echo "Say where the tables are: make bench-parallel DATA=FOLDER" >&2; exit 2; }
	@echo "==> Tuning with eight workers; what is there already is kept"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.parallel --data "$(DATA)"
	@$(BIN)/python -m benchmarks.report

bench-pruning: $(INSTALLED) ## Compare samplers under Optuna's pruners (an hour; resumes)
	@echo "==> Running training loops under pruners; what is there already is kept"
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.pruning
	@$(BIN)/python -m benchmarks.report

bench-scale: $(INSTALLED) ## Measure what 1,000 prior studies cost
	@echo "==> Measuring starts and suggestions with 1,000 prior studies"
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.scale
	@$(BIN)/python -m benchmarks.report

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

$(BENCH_INSTALLED): $(INSTALLED)
	@echo "==> Installing what the benchmark compares with"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]' -c constraints.txt
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
