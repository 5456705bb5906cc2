# On a fresh machine with Python 3.11+ and make, every target sets up what it needs, in .venv and var/.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup lint test demo run bench faults soak contract clean

PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && command -v $$p; done))
BIN := .venv/bin
SYNCED := .venv/.synced
CONFIG ?= deploy/demo/application.yml
JOBS ?= 3
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(SYNCED) ## .venv with all that is needed to run, test and change it

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "no Python from 3.11 to 3.14 on PATH; or give one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

$(SYNCED): uv.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv sync --locked --no-progress
	@touch $@

lint: setup ## style, types, layers, dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .

test: lint ## all tests, on a real Kafka for each of three processes (IOPT_KAFKA=host:port: on yours) [JOBS=n]
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

demo: setup ## the order saga on a real Kafka, from nothing [KILL=3] [ORDERS=n]; BREAKERS=1: one breaker over three callers
	$(BIN)/iopt demo $(if $(BREAKERS),breakers $(if $(KILL),--kill),$(if $(KILL),--kill $(KILL)) $(if $(ORDERS),--orders $(ORDERS)))

run: setup ## a local Kafka on port 9092 and the service on 8104, until Ctrl-C [CONFIG=application.yml]
	@$(BIN)/python -m deploy.run --config $(CONFIG)

faults: setup ## break the engine on purpose and compare; writes docs/faults.md [FAULTS="--only kills"]
	$(BIN)/python -m tests.faults $(FAULTS)

soak: setup ## half the maximum load and a kill every five minutes; writes docs/soak.md [SOAK=minutes, 120]
	$(BIN)/python -m tests.faults.soak $(SOAK)

bench: setup ## measure beside Kafka Streams, Quix and Faust; needs a JDK 17 and Maven [BENCH=--quick]
	$(BIN)/python -m tests.bench $(BENCH)

contract: setup ## write deploy/contract from the code
	$(BIN)/python -m deploy.contract

clean: ## forget .venv and var/
	rm -rf .venv var
