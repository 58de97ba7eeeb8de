# Everything that a bare machine with Python >= 3.11, Go, Maven and a JDK >= 21 needs. `make demo` and `make test` build what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each worker has a control plane of its own, about 550 MB; most of the time they wait.
WORKERS ?= 3
RUN := PYTHONPATH=tests $(BIN)/python

.PHONY: help demo test crashes lint types cluster crds schemas tampering servers elasticsearch benchmarks clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready servers ## The whole path on a real API server: incidents in, decisions out, people approve
	@$(RUN) -m demo $(ARGS)

test: lint types servers elasticsearch ## Everything, the real API server included
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

crashes: $(VENV)/ready servers elasticsearch ## What takes minutes: the operator killed at every instant, outages, a storm; prints the table
	$(BIN)/python -m pytest -n $(WORKERS) --thorough -m "(crash or thorough) and not registry" $(ARGS)

lint: $(VENV)/ready ## Style and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/ready ## mypy --strict
	$(BIN)/mypy operator/safety_governor mcp_server/safety_governor_mcp tests

cluster: $(VENV)/ready servers ## A real control plane to play with, ARGS=--elasticsearch adds a store; Ctrl-C ends it
	@$(RUN) -m testbed.play $(ARGS)

crds: $(VENV)/ready ## Write the manifests in crds/ from the types
	$(RUN) tests/tools/write_crds.py

schemas: $(VENV)/ready ## Write the schemas of the audit trail in schemas/audit from the types
	$(RUN) tests/tools/write_schemas.py

tampering: $(VENV)/ready ## Tamper with an audit trail in every way we know, and print what is found
	@$(RUN) tests/tools/tamper.py

servers: $(VENV)/ready ## Build etcd, kube-apiserver and the others once, into the user cache
	@$(RUN) -m testbed.binaries > /dev/null

elasticsearch: $(VENV)/ready ## Fetch Elasticsearch once, into the user cache
	@$(RUN) -m testbed.elasticsearch > /dev/null

benchmarks: $(VENV)/ready ## Figures as ratios within one run
	@for file in tests/benchmarks/*.py; do $(RUN) $$file || exit 1; done

clean: ## Remove the virtual environment and caches of this folder
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Safety Governor needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
