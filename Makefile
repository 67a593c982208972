# Everything runs in .venv, made by the pinned uv from uv.lock. Nothing else on the machine is needed but
# Python 3.11+, make and a package index.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
export UV_PYTHON_DOWNLOADS := never
RUN := $(UV) run --locked --no-sync
# Files side by side, the tests of a file in order and in one process.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-ceph lint format proto schema golden bench docker clean sync

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Penstock needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools uv==$(UV_VERSION)

.venv/.dev: $(UV) uv.lock pyproject.toml client/pyproject.toml server/pyproject.toml
	@$(UV) sync --locked --quiet
	@touch $@

sync: .venv/.dev ## Set up the development environment

.demo/.ready: $(UV) uv.lock pyproject.toml client/pyproject.toml server/pyproject.toml
	@echo 'Setting up the demo in .demo (once)'
	@UV_PROJECT_ENVIRONMENT=.demo/venv $(UV) sync --locked --quiet --no-dev --package penstock-server --extra dev
	@touch $@

demo: .demo/.ready ## Show what two people see; sets up all it needs
	@.demo/venv/bin/python examples/two_people .demo/run

test: .venv/.dev ## Set up and run the whole suite but the slow part
	$(RUN) pytest -m "not slow and not ceph" $(PARALLEL)

test-all: .venv/.dev ## Run everything, slow tests too
	$(RUN) pytest -m "not ceph" $(PARALLEL)

test-ceph: .venv/.dev ## Try AWS sessions at a real S3; fetches Ceph once
	$(RUN) pytest tests/ceph -m ceph -s

lint: .venv/.dev ## Check format, style, types, layers, proto and generated code
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy client/src server/src tests bench examples/two_people
	$(RUN) lint-imports
	$(RUN) buf format -d --exit-code
	$(RUN) buf lint
	@if [ -e proto/released/penstock.binpb ]; then $(RUN) buf breaking --against proto/released/penstock.binpb; \
	else echo 'buf breaking: not run, nothing has been released yet'; fi
	@$(MAKE) --no-print-directory proto && git diff --exit-code --stat -- client/src/penstock/v1

format: .venv/.dev ## Format and mend what can be mended
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

proto: .venv/.dev ## Generate the Python code of the contract into the client
	rm -rf client/src/penstock/v1 && mkdir -p client/src/penstock/v1
	$(RUN) python -m grpc_tools.protoc -Iproto --python_out=client/src --grpc_python_out=client/src \
		--mypy_out=quiet:client/src --mypy_grpc_out=quiet:client/src $$(find proto/penstock -name '*.proto' | sort)
	printf '"""Generated from proto/penstock/v1 by `make proto`; never edited by hand."""\n' > client/src/penstock/v1/__init__.py

schema: .venv/.dev ## Generate the JSON Schemas for editors into docs
	PYTHONPATH=tests $(RUN) python -m support.editor_schemas

bench: .venv/.dev ## Measure ratios: decisions, small queries, streams (some minutes)
	PYTHONPATH=tests $(RUN) python -m bench.decision_rpc
	PYTHONPATH=tests $(RUN) python -m bench.policy
	PYTHONPATH=tests $(RUN) python -m bench.policy_plan
	PYTHONPATH=tests $(RUN) python -m bench.query
	PYTHONPATH=tests $(RUN) python -m bench.credential_proof
	PYTHONPATH=tests $(RUN) python -m bench.revocation

docker: ## Build the image and ask it for its version
	docker build --tag penstock:dev .
	docker run --rm --read-only penstock:dev version

clean: ## Remove what was made here (not the lock file)
	rm -rf .venv .tools .demo dist node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
