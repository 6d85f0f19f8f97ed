# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint format clean lock conformance simulate chaos fuzz fuzz-http chaos-localbus chaos-redrive bench-localbus \
	image-check ledger-conformance ledger-golden bench-blob bench bench-data soak

demo: $(VENV)/ready ## run the main job on embedded defaults
	$(BIN)/fleet demo

# Most tests wait for a socket or a process, so that two cores carry four of them: 6 min, not 9.
JOBS ?= 4
test: $(VENV)/ready ## run every test and print the counts
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/ready ## format check, lint, strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The environment is complete when `ready` exists; an interrupted install is begun again.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

conformance: $(VENV)/ready ## localbus's feature table held by tests, here or against LOCALBUS_CONFORMANCE_CONNECTION
	$(BIN)/python -m pytest -q -p tests.localbus.conformance.table tests/localbus

URL ?=
ledger-conformance: $(VENV)/ready ## the ledger's tests on the empty database of URL=..., or on SQLite and PostgreSQL
	LEDGER_CONFORMANCE_URL='$(URL)' $(BIN)/python -m pytest -q tests/fleet/ledger

bench-blob: $(VENV)/ready ## 1 GiB to Azurite and back, and the memory that it takes
	$(BIN)/python -m bench.blob

ledger-golden: $(VENV)/ready ## write down anew what the ledger tells SQL Server
	$(BIN)/python -m tests.fleet.ledger.tsql

chaos-localbus: $(VENV)/ready ## kill -9 localbus under load, 20 times, and check what clients were promised
	$(BIN)/python -m tests.localbus.chaos --rounds 20

chaos-redrive: $(VENV)/ready ## redrive 10,000 dead letters of 3 causes while the dispatcher is killed; each once
	$(BIN)/python -m tests.dispatcher.redrive_storm --tasks 10000

bench-localbus: $(VENV)/ready ## what localbus costs and carries, measured from outside
	$(BIN)/python -m bench.localbus

# The peers live in an environment of their own; servers come from Debian: BENCH=--install fetches them.
BENCH ?=
bench: $(VENV)/ready .bench/ready ## Leaf Fleet beside its peers: table, targets, docs/benchmarks.md; BENCH="--rounds 3 --only saq"
	$(BIN)/python -m bench.peers $(BENCH)

bench-data: $(VENV)/ready ## 10 million claim lines through the data stages, beside plain DuckDB
	$(BIN)/python -m bench.data --write $(BENCH)

.bench/ready: bench/peers/requirements.txt bench/peers/npm/package-lock.json
	$(PYTHON) -m venv .bench
	.bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r bench/peers/requirements.txt
	cp bench/peers/npm/package*.json .bench/
	cd .bench && npm ci --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --silent
	touch $@

FUZZ ?= connection
fuzz: $(VENV)/ready ## ten minutes of hostile bytes against localbus, guided by coverage; FUZZ=codec for that target
	test -x .fuzz/bin/python || $(PYTHON) -m venv .fuzz
	.fuzz/bin/python -m pip install --quiet atheris==3.0.0
	mkdir -p .fuzz/corpus/$(FUZZ) && cp tests/localbus/corpus/$(FUZZ)/* .fuzz/corpus/$(FUZZ)/
	.fuzz/bin/python -m tests.localbus.fuzz $(FUZZ) .fuzz/corpus/$(FUZZ) -max_total_time=600 -rss_limit_mb=1024 -timeout=10

fuzz-http: $(VENV)/ready ## many requests that schemathesis makes from the HTTP API's document; no 5xx
	FUZZ_HTTP_EXAMPLES=$${FUZZ_HTTP_EXAMPLES:-300} FUZZ_HTTP_SEED=$${FUZZ_HTTP_SEED:-1} \
		FUZZ_HTTP_PHASES=examples,coverage,fuzzing,stateful $(BIN)/python -m pytest -q -rP --timeout 3600 tests/dispatcher/test_http_fuzz.py

simulate: $(VENV)/ready ## 10,000 seeded stories in virtual time: lost locks, crashes, failed commits, clock jumps
	$(BIN)/python -m tests.simulation --planted
	$(BIN)/python -m tests.simulation --seeds 10000

chaos: $(VENV)/ready ## 50 rounds of faults against real processes under load; prints the table
	$(BIN)/python -m tests.chaos --rounds 50

soak: $(VENV)/ready ## 30 minutes of mixed load and faults; whether memory, files or threads grow
	$(BIN)/python -m bench.soak --minutes 30 --plot docs/pictures/soak.svg

image-check: $(VENV)/ready ## the Dockerfile linted, its commands from a fresh install, the image built where it can be
	$(BIN)/hadolint Dockerfile
	$(BIN)/python -m tests.image

LOCK := uv pip compile --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header
lock: ## pin every dependency by hash (needs uv): for development, and for the image
	$(LOCK) pyproject.toml --extra dev --extra aks --extra azure --extra postgresql -o requirements.lock
	$(LOCK) pyproject.toml --extra aks --extra azure --extra postgresql -o requirements-image.lock
	echo hatchling | $(LOCK) - -o requirements-build.lock

clean: ## remove the environment, the demo's state and caches
	rm -rf $(VENV) .bench .fleet .mypy_cache .ruff_cache .pytest_cache .hypothesis
