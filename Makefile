.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

##@ Start here

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/ready ## Open a pull request on a real cluster and watch it go live (ARGS=--once: unattended)
	@$(BIN)/python -m tests.demo $(ARGS)

.PHONY: tour
tour: $(VENV)/ready ## The same without root or cluster: the commits and manifests that a pull request makes
	@$(BIN)/python -m tests.tour $(ARGS)

.PHONY: test
test: $(VENV)/ready ## Run every test that this machine can run
	@$(BIN)/python -m tests.prepare
	@$(BIN)/pytest -n auto $(ARGS)

##@ Development

.PHONY: check
check: $(VENV)/ready ## Linters, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/ready ## Format the code, and mend what the linter can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: $(VENV)/ready ## Measure the whole path and write build/bench.json
	@$(BIN)/python -m tests.bench $(ARGS)

.PHONY: sweep
sweep: $(VENV)/ready ## Kill the manager at each of its effects (ARGS=--real: on the cluster), write build/sweep.json
	@$(BIN)/python -m tests.sweep $(ARGS)

.PHONY: soak
soak: $(VENV)/ready ## 1,000 lives of pull requests with faults on the cluster, write build/soak.json (ARGS="--lives 50")
	@$(BIN)/python -m tests.soak $(ARGS)

.PHONY: isolation
isolation: $(VENV)/ready ## Try on the isolated cluster what previews reach, and who reaches them
	@$(BIN)/pytest tests/isolation $(ARGS)

.PHONY: lock
lock: $(VENV)/ready ## Pin every dependency anew, by hash
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --group dev --python-version 3.11 pyproject.toml -o requirements.lock

##@ Local cluster

.PHONY: cluster-up
cluster-up: $(VENV)/ready ## Start Kubernetes, Argo CD, Traefik, a registry and Gitea on this machine (ARGS=--isolated: with Calico)
	@$(BIN)/python -m tests.cluster up $(ARGS)

.PHONY: cluster-down
cluster-down: $(VENV)/ready ## Stop it and leave nothing behind
	@$(BIN)/python -m tests.cluster down

$(VENV)/ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "previews needs $(PYTHON) 3.11 or newer (Debian packages: python3 python3-venv)"; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "previews needs Python 3.11 or newer; $(PYTHON) is older: make PYTHON=/path/to/python3.11"; exit 3; }
	@echo "installing the locked dependencies into $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "no virtual environment could be made (Debian package: python3-venv)"; exit 3; }
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
