# Everything a new machine needs is done by the targets themselves: `make gate`, `make test`.
.DEFAULT_GOAL := help
.PHONY: help gate canary test check format lock clean

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(name))))
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
TESTS ?= tests
# More than cores: most tests wait for traffic rather than compute.
JOBS ?= 4

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

gate: .venv/.run ## The main job: load the embedded sandbox, verify its traces, decide
	@$(BIN)/tfy-last9 gate scenarios/smoke.yaml --sandbox

canary: .venv/.run ## Baseline against canary in the sandbox; FAULT=provider_latency:openai-canary=150ms
	@$(BIN)/tfy-last9 gate scenarios/canary.yaml --sandbox $(if $(FAULT),--fault $(FAULT))

test: .venv/.dev ## All tests; TESTS=path for some of them
	@sh scripts/install-chromium
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(TESTS)

check: .venv/.dev ## Format, lint, types, walls between packages
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

format: .venv/.dev ## Rewrite the code in the house format
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

lock: .venv/.dev ## Pin and hash the requirements anew
	@for set in run s3 dev; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-annotate --no-header requirements/$$set.in -o requirements/$$set.txt; done

clean: ## Remove the virtual environment and all caches
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@sh scripts/make-venv "$(PYTHON)"

.venv/.run: .venv/bin/python requirements/run.txt pyproject.toml
	@echo "setting up: Python packages, pinned and hashed (once)"
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@echo "setting up: test and lint tools, pinned and hashed (once)"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
