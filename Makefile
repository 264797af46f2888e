# The one place of commands. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# uv as it is installed, else one of our own in .feed/uv, made from Python alone
UV := $(or $(shell command -v uv),.feed/uv/bin/uv)
UV_RUN := $(UV) run --frozen --all-extras
PYTEST := $(UV_RUN) pytest -q
# two files at a time, each with parts of its own: most of a test with real parts is waiting
SHARED := -n 2 --dist loadfile --durations=12
SEEDS ?= 1000
DEMO ?=

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(UV) ## the whole feed on this machine under a workload, and a verdict; DEMO="--seconds 20 --kill" for options
	$(UV_RUN) feed demo $(DEMO)

.PHONY: test
test: check unit integration faults ## lint, types and every test

.PHONY: check
check: $(UV) ## lint, format, types, import rules, the schemas' compatibility
	$(UV_RUN) ruff check .
	$(UV_RUN) ruff format --check .
	$(UV_RUN) mypy
	$(UV_RUN) lint-imports
	$(UV_RUN) feed schemas check

.PHONY: unit
unit: $(UV) ## fast tests, nothing outside Python
	$(PYTEST) tests/unit -n 2

.PHONY: simulate
simulate: $(UV) ## simulated histories of the producer, SEEDS=20000 for more; a seed repeats what it found
	$(UV_RUN) python -m tests.unit.producers.producer_simulation 1-$(SEEDS)
	$(UV_RUN) python -m tests.unit.producers.snapshot_simulation 1-$(SEEDS)

.PHONY: integration
integration: $(UV) ## tests with real parts, as processes or, with PYTEST_ADDOPTS="--regions containers", in containers
	$(PYTEST) tests/integration $(SHARED)

.PHONY: faults
faults: $(UV) ## tests that kill, freeze and cut real parts
	$(PYTEST) tests/faults $(SHARED)

.PHONY: fix
fix: $(UV) ## let ruff repair and format
	$(UV_RUN) ruff check --fix .
	$(UV_RUN) ruff format .

.PHONY: docs
docs: $(UV) ## write what is generated in docs/
	$(UV_RUN) python -m feed.config docs/configuration.md
	$(UV_RUN) python -m schemas.reference docs/events.md
	$(UV_RUN) python docs/pictures/draw.py

.feed/uv/bin/uv:
	python3 -m venv .feed/uv || { [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get -qq update && \
	  apt-get -qq -y install python3-venv && python3 -m venv .feed/uv; } || \
	  { echo "error uv is missing and a virtual environment cannot be made"; \
	    echo "hint  install uv (docs.astral.sh/uv), or python3-venv with your package manager"; exit 2; }
	.feed/uv/bin/pip -q install uv
