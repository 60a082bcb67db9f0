.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Trust what the machine trusts, as pip does: networks that inspect TLS bring their own root.
export UV_SYSTEM_CERTS ?= true
SUITE := tests/conformance/node_modules/.installed
PROVIDER := tests/provider/node_modules/.installed
CLIENTS := tests/clients/node_modules/.installed $(VENV)/clients/.installed
UV_PIP := $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@echo
	@echo "Options go in ARGS: make up ARGS=--detach, make test ARGS='-k digest', make bench ARGS=--json"

.PHONY: up
up: $(INSTALLED) ## Start everything and print the addresses (ARGS=--detach: in the background)
	@$(BIN)/mcpbox up $(ARGS)

.PHONY: down
down: $(INSTALLED) ## Stop what `make up` started
	@$(BIN)/mcpbox down $(ARGS)

.PHONY: demo
demo: $(INSTALLED) ## Play the story, from a first tool to its approval, against what runs
	@$(BIN)/mcpbox demo $(ARGS)

.PHONY: test
test: $(INSTALLED) $(SUITE) $(PROVIDER) $(CLIENTS) chromium ## Every test, against real Postgres, Temporal, sandbox and browser
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-again
test-again: $(INSTALLED) ## What failed in the last run, one at a time; no more than five of them
	@failed=$$(grep -c :: .pytest_cache/v/cache/lastfailed) && test "$$failed" -le 5 || \
		{ echo "Too much failed to be by chance."; exit 1; }
	@echo "Unsteady, if they pass now:" && grep :: .pytest_cache/v/cache/lastfailed
	$(BIN)/pytest --last-failed --last-failed-no-failures none

.PHONY: conformance
conformance: $(INSTALLED) $(SUITE) ## The protocol's own conformance suite, in both eras, against the gateway
	$(BIN)/pytest --quiet tests/conformance $(ARGS)

.PHONY: bench
bench: $(INSTALLED) ## Measure, beside a bare server as the floor (ARGS=--json, --gateway, --requests, --sandbox)
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: corpus
corpus: $(INSTALLED) ## Try abuse and honest tools in every mode (ABUSE=file BENIGN=file GUARD=on|off)
	@$(BIN)/python -B -m tests.corpus $(if $(ABUSE),--abuse '$(ABUSE)') \
		$(if $(BENIGN),--benign '$(BENIGN)') $(if $(GUARD),--guard $(GUARD)) $(ARGS)

.PHONY: soak
soak: $(INSTALLED) ## Load the sandbox for SECONDS (600), and show what that left behind
	@$(BIN)/python -m benchmarks --soak $(or $(SECONDS),600) $(ARGS)

.PHONY: check
check: lint types arrows spelling architecture ## Everything that needs no running service

.PHONY: lint
lint: $(INSTALLED)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

.PHONY: types
types: $(INSTALLED)
	$(BIN)/pyright

.PHONY: arrows
arrows: $(INSTALLED)
	$(BIN)/lint-imports --no-cache --no-logo

.PHONY: spelling
spelling: $(INSTALLED)
	$(BIN)/codespell

.PHONY: architecture
architecture: $(INSTALLED)
	$(BIN)/pytest --quiet tests/architecture

.PHONY: docs
docs: $(INSTALLED) ## Make the reference pages anew from the code
	$(BIN)/python -m docs.generate

.PHONY: format
format: $(INSTALLED) ## Rewrite files the way `make check` wants them
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

.PHONY: lock
lock: $(BIN)/uv ## Pin what pyproject.toml asks for (ARGS=--upgrade: everything anew)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --group dev \
		--generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file requirements.lock $(ARGS) pyproject.toml

.PHONY: chromium
chromium:
	@for name in chromium chromium-browser google-chrome; do \
		if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium for the browser tests ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "The browser tests need chromium on the PATH, and only root can install it here." >&2; \
		echo "Install it (Debian: sudo apt-get install chromium) and run make test again." >&2; \
		exit 1; \
	fi

# Without scripts of packages: what is fetched for a test runs nothing while it is installed.
$(SUITE): tests/conformance/package-lock.json
	@command -v npm >/dev/null || { \
		echo "The conformance suite comes with npm; install Node (Debian: sudo apt-get install npm)." >&2; \
		exit 1; }
	@echo "Installing the conformance suite ..."
	@cd tests/conformance && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

$(PROVIDER): tests/provider/package-lock.json
	@command -v npm >/dev/null || { \
		echo "The provider that people sign in with comes with npm; install Node (Debian: sudo apt-get install npm)." >&2; \
		exit 1; }
	@echo "Installing the OpenID provider that is tested with ..."
	@cd $(<D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# As above, and without what only other uses of these clients need: a browser, a keyring.
tests/clients/node_modules/.installed: tests/clients/package-lock.json
	@command -v npm >/dev/null || { \
		echo "Clients that are tested come with npm; install Node (Debian: sudo apt-get install npm)." >&2; \
		exit 1; }
	@echo "Installing the clients from npm that are tested ..."
	@cd tests/clients && npm ci --ignore-scripts --omit=optional --omit=peer --no-audit --no-fund \
		--loglevel error
	@touch $@

$(VENV)/clients/.installed: tests/clients/python.txt | $(INSTALLED)
	@echo "Installing the clients in Python that are tested ..."
	@rm -rf $(@D)
	@while read -r pin; do \
		$(BIN)/uv venv --quiet --python $(BIN)/python $(@D)/$$pin && \
		$(BIN)/uv pip install --quiet --only-binary :all: --python $(@D)/$$pin/bin/python $$pin \
		|| exit 1; \
	done <$<
	@touch $@

# Compiled now: where Python may not write its cache later, every command would do it anew.
$(INSTALLED): pyproject.toml requirements.lock | $(BIN)/uv
	@echo "Installing into $(VENV) ..."
	@$(UV_PIP) --compile-bytecode --require-hashes --requirement requirements.lock
	@$(UV_PIP) --no-deps --editable .
	@$(BIN)/python -m compileall -q activities api cli gateway mcpbox migrations sandbox ui workflows
	@touch $@

# uv comes from the lock as well, by way of pip, which can check its hash.
$(BIN)/uv: | $(BIN)/pip
	@awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock \
		| $(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--require-hashes --requirement /dev/stdin

$(BIN)/pip:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; \
		then exec $$python -m venv --clear $(VENV); fi; \
	done; \
	echo "MCPbox needs Python 3.11 to 3.14; $(PYTHON) is none. Try: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1
