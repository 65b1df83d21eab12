# Everything a newcomer or CI needs. `make run` and `make test` install what is missing themselves.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

CARGO ?= cargo
DATA ?= gantry-data
PYTHON ?= python3
VENV := .venv
# Kept outside the tree, so that a clean checkout finds them again.
TOOLS ?= $(HOME)/.cache/gantry-tools
FUZZ_SECONDS ?= 120
ROUNDS ?= 200
# The pages, which become part of the program.
APP := web/app
APP_SOURCES = $(shell find $(APP) -path $(APP)/node_modules -prune -o -path $(APP)/dist -prune -o -type f -print)
# More arguments for pytest, e.g. `make interop PYTEST="-k find -x"`.
PYTEST ?=

PYDICOM_FILES = $$($(VENV)/bin/python -c 'import pathlib, pydicom.data; print(pathlib.Path(pydicom.data.__file__).parent)')

.PHONY: help run app build demo test lint unit interop browser bench torture fuzz testssl deny docs clean-data

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build (release) and start the server on ./gantry-data
	@exec target/release/gantry serve --data $(DATA)

app: $(APP)/dist/index.html.br ## build the pages, which become part of the program

$(APP)/dist/index.html.br: $(APP)/node_modules/.package-lock.json $(APP_SOURCES)
	cd $(APP) && npm run --silent build

$(APP)/node_modules/.package-lock.json: $(APP)/package-lock.json
	@tests/prerequisites.sh node
	cd $(APP) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

build: app
	@tests/prerequisites.sh build
	$(CARGO) build --release -p gantry

demo: build $(VENV)/installed ## fill ./gantry-data, or the server running on it, with sample studies
	target/release/gantry demo --data $(DATA) "$(PYDICOM_FILES)"

test: ## all checks: format, lints, unit tests, other people's software, the page in a browser
	@tests/prerequisites.sh build test
	@$(MAKE) --no-print-directory app lint unit interop browser

lint: $(APP)/node_modules/.package-lock.json
	cd $(APP) && npm run --silent check && npm run --silent lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

unit:
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  echo "$(CARGO) nextest run --workspace"; $(CARGO) nextest run --workspace --no-fail-fast; \
	else \
	  echo "$(CARGO) test --workspace"; $(CARGO) test --workspace --no-fail-fast --quiet --lib --bins --tests --examples; \
	fi

# The same profile as the unit tests, so that everything is compiled once.
interop: $(VENV)/installed
	$(CARGO) build -p gantry
	$(CARGO) build -p gantry-phantom --example write_phantoms
	$(VENV)/bin/python -m pytest tests/interop -n 2 --dist loadfile $(PYTEST)

browser: app $(VENV)/installed
	$(CARGO) build -p gantry
	$(VENV)/bin/python -m pytest tests/browser $(PYTEST)

$(VENV)/installed: tests/requirements.txt
	@tests/prerequisites.sh python
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

bench: ## compare with Orthanc and dcmqrscp on this machine; BENCH="--quick" for a short run
	@tests/prerequisites.sh build bench
	@case "$(BENCH)" in *dicom-storescp*) TOOLS=$(TOOLS) tests/prerequisites.sh storescp ;; esac
	$(CARGO) build --release -p gantry -p gantry-bench-client
	GANTRY_TOOLS=$(TOOLS) $(PYTHON) benches/run.py $(BENCH)

torture: $(VENV)/installed ## kill -9 under load, ROUNDS=200 times
	$(CARGO) build -p gantry
	GANTRY_TORTURE_ROUNDS=$(ROUNDS) $(VENV)/bin/python -m pytest tests/interop/test_durability.py -v --timeout 14400 $(PYTEST)

fuzz: ## each fuzz target for FUZZ_SECONDS=120
	@tests/prerequisites.sh build fuzz
	@for target in $$($(CARGO) +nightly fuzz list); do \
	  echo "== $$target"; \
	  ASAN_OPTIONS=detect_odr_violation=0 $(CARGO) +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048; \
	done

testssl: ## both doors with TLS, looked at by testssl.sh: nothing above LOW
	@tests/prerequisites.sh build testssl
	$(CARGO) build -p gantry
	tests/testssl.sh target/debug/gantry

deny: ## licences, advisories and sources of dependencies
	@TOOLS=$(TOOLS) tests/prerequisites.sh deny
	$(TOOLS)/bin/cargo-deny --workspace check
	cd $(APP) && npm audit

docs: ## the code's documentation, private items included
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items
