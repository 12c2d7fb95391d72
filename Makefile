# Everything Postroom needs lies in .venv. The stamps say what is in it: .run to serve, .dev to test as well.
.DEFAULT_GOAL := help
.PHONY: help run test check bench vendor lock screenshots clean

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
HTMX := 4.0.1

OLD_PYTHON = Postroom needs Python 3.11 or newer: install it, or name one, as in "make run PYTHON=python3.12"
NO_VENV = $(PYTHON) cannot make virtual environments: install its venv module, on Debian and Ubuntu with "apt install python3-venv"
can = $(shell $(PYTHON) -c '$(1)' >/dev/null 2>&1 && echo yes)

help: ## say what each target does
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14

run: .venv/.run ## serve on http://127.0.0.1:8300 (ARGS="--port 9000")
	@$(BIN)/postroom serve $(ARGS)

test: .venv/.dev ## run the tests (ARGS="tests/core -k retry")
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/.dev ## formatting, lint, types, layers, templates, dead code, vendored files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/vulture
	cd static/vendor && sha256sum --check --quiet SHA256SUMS

bench: .venv/.dev ## measure what docs/performance.md publishes (ARGS="P1 P4")
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: .venv/.dev ## renew the images of the documents from demo data
	$(BIN)/python -m benchmarks.screenshots

vendor: ## fetch the vendored browser files again, and compare them
	@set -e; new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	npm pack --silent --pack-destination "$$new" htmx.org@$(HTMX) >/dev/null; \
	tar -xzf "$$new"/htmx.org-$(HTMX).tgz -C "$$new" --strip-components 1; \
	mv "$$new"/dist/htmx.min.js "$$new"/dist/ext/hx-csp.min.js "$$new"; cp static/vendor/SHA256SUMS "$$new"; \
	(cd "$$new" && sha256sum --check SHA256SUMS); \
	cp "$$new"/htmx.min.js "$$new"/hx-csp.min.js "$$new"/LICENSE static/vendor

lock: .venv/.dev ## pin every dependency anew (ARGS=--upgrade)
	$(BIN)/uv pip compile pyproject.toml --extra postgres --group build --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet $(ARGS) -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev -c requirements.lock --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" --quiet $(ARGS) -o requirements-dev.lock

clean: ## remove .venv, builds and caches; instance/ stays
	rm -rf .venv build dist *.egg-info .coverage htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find app tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	$(if $(call can,import sys; sys.exit(sys.version_info < (3, 11))),,$(error $(OLD_PYTHON)))
	$(if $(call can,import ensurepip, venv),,$(error $(NO_VENV)))
	@$(PYTHON) -m venv --clear .venv

.venv/.run: requirements.lock pyproject.toml .venv/bin/python
	@echo "Installing Postroom into .venv ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@echo "Installing what tests and checks need ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
