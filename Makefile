# The one place of commands. `make help` lists them.
.DEFAULT_GOAL := help
UV_RUN := uv run --frozen --all-extras
SEEDS ?= 1000

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: check
check: ## lint, format, types, import rules
	$(UV_RUN) ruff check .
	$(UV_RUN) ruff format --check .
	$(UV_RUN) mypy
	$(UV_RUN) lint-imports

.PHONY: fix
fix: ## let ruff repair and format
	$(UV_RUN) ruff check --fix .
	$(UV_RUN) ruff format .

.PHONY: unit
unit: ## fast tests, nothing outside Python
	$(UV_RUN) pytest tests/unit -q

.PHONY: docs
docs: ## write what is generated in docs/
	$(UV_RUN) python -m feed.config docs/configuration.md
	$(UV_RUN) python docs/pictures/draw.py
