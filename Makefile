# Every developer command in one place; `.ci/run` calls only these.
PYTHON  ?= python3
VENV    ?= .venv$(if $(filter gpu,$(RUNTIME)),-gpu)
RUNTIME ?= $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
HOST    ?= 127.0.0.1
PORT    ?= 8000
DATA    ?= fashion-mnist
TARGET  ?=
SOURCE_URL ?=
OUT     ?=
TRIALS  ?=
ARGS    ?=
NAME    =
TAG     ?= mlp-serving:$(VERSION)$(if $(filter gpu,$(RUNTIME)),-gpu)
CONTAINER  ?= docker
BASE_IMAGE ?= $(shell sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)
RELEASE    ?=
OFFLINE    ?=
ROOT       ?=
BUILD_ARGS ?=
EXTRAS  ?=
MODEL_TAG ?=
OVERLAY ?= $(notdir $(wildcard deploy/overlays/*))

# Users' values reach the shell unchanged, through the environment: make must not expand spaces, quotes or dollars in them.
unexport HOST PORT DATA TARGET TRIALS OUT ARGS NAME MODEL_TAG
export GIVEN_HOST = $(value HOST)
export GIVEN_PORT = $(value PORT)
export GIVEN_DATA = $(value DATA)
export GIVEN_TARGET = $(value TARGET)
export GIVEN_OUT = $(value OUT)
export GIVEN_TRIALS = $(value TRIALS)
export GIVEN_NAME = $(value NAME)
export GIVEN_MODEL_TAG = $(value MODEL_TAG)
WORDS    = $(value ARGS)

# After those: make 4.4 exports all variables to each $(shell …), too.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

BIN     := $(VENV)/bin
SERVER  := $(VENV)/.installed-server-$(RUNTIME)
TRAIN   := $(VENV)/.installed-train-$(RUNTIME)
DEV     := $(VENV)/.installed-dev-$(RUNTIME)
LIBRARY := service/http/codecs/libregular_json.so
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One set of versions for all platforms and Pythons; --constraint makes the images install what is tested.
LOCK    := $(BIN)/uv pip compile pyproject.toml --quiet --universal --fork-strategy fewest --python-version 3.11 \
           --no-annotate --custom-compile-command "make lock" $(WORDS)
HASHED  := --constraint constraints.txt --generate-hashes --output-file

.DEFAULT_GOAL := help
.PHONY: help setup serve compiled models rollback score data train tune prometheus chromium test test-fast ray-test check format lock docs docs-links render chart manifest-schema proto dashboard pictures image image-digest model-image image-test deploy-test audit audit-code audit-licences audit-vulnerabilities sbom clean

help:            ## list the commands
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 24

setup: $(DEV)    ## install everything for development

serve: $(SERVER) $(wildcard $(LIBRARY)) ## start the server with the models in models/ (PORT=, ARGS="--log-level debug", RUNTIME=cpu|gpu)
	@exec $(BIN)/python -m service --host "$$GIVEN_HOST" --port "$$GIVEN_PORT" $(WORDS)

compiled: $(LIBRARY) ## compile the JSON reader, for more requests/s (downloads a C compiler, 100 MB)

models: $(SERVER) ## list the published versions, or manage them (ARGS="check fashion-mnist@1", ARGS=--help)
	@exec $(BIN)/python -m service.models $(or $(WORDS),list)

rollback: $(SERVER) ## withdraw the newest version of a model: NAME=fashion-mnist
	@exec $(BIN)/python -m service.models rollback $${GIVEN_NAME:+"$$GIVEN_NAME"} $(WORDS)

score: $(TRAIN)  ## score a file with a model: NAME=houses DATA=june.csv OUT=scored.csv (ARGS="--keep id", ARGS=--help)
	@exec $(BIN)/python -m service.scoring $(WORDS) -- $${GIVEN_NAME:+"$$GIVEN_NAME"} "$$GIVEN_DATA" $${GIVEN_OUT:+"$$GIVEN_OUT"}

data:            ## install Fashion-MNIST from Debian's package if apt-get is available; otherwise training downloads it
	@test -d /usr/share/datasets/fashion-mnist || ! command -v apt-get >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends dataset-fashion-mnist; } || \
	  echo "Could not install dataset-fashion-mnist (not root?); training will download the files." >&2

# The bundled Fashion-MNIST model trained for 50 minutes: without --force, the default recipe would not be published.
FORCE = $(if $(subst fashion-mnist,,$(value DATA)),,--force)

train: $(TRAIN) $(if $(subst fashion-mnist,,$(value DATA)),,data) ## train and publish a model: DATA=houses.csv TARGET=price, by default Fashion-MNIST (ARGS="--epochs 5")
	@exec $(BIN)/python -m training "$$GIVEN_DATA" $${GIVEN_TARGET:+--target="$$GIVEN_TARGET"} $(FORCE) $(WORDS)

tune: $(TRAIN) $(if $(subst fashion-mnist,,$(value DATA)),,data) ## search hyperparameters, then train and publish: DATA=houses.csv TARGET=price TRIALS=30 (ARGS="--timeout-s 600")
	@exec $(BIN)/python -m training.cli.tune "$$GIVEN_DATA" $${GIVEN_TARGET:+--target="$$GIVEN_TARGET"} $${GIVEN_TRIALS:+--trials="$$GIVEN_TRIALS"} $(FORCE) $(WORDS)

# Unpacked, not installed: the tests need the programs and not the daemon.
prometheus: | $(BIN)/pip ## fetch Prometheus and promtool for the tests, from Debian's package if apt-get is available
	@test -x $(BIN)/promtool || ! command -v apt-get >/dev/null || { cd $(VENV) && \
	  { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } && \
	  dpkg --fsys-tarfile prometheus_*.deb | tar -x -C bin --strip-components 3 ./usr/bin/prometheus ./usr/bin/promtool && \
	  rm prometheus_*.deb; } || echo "Could not fetch Prometheus; put prometheus and promtool on the PATH." >&2

# libatomic is for the Node.js that Playwright brings.
chromium:        ## install Chromium for the tests if apt-get is available
	@{ command -v chromium || command -v google-chrome; } >/dev/null && \
	  find /usr/lib /usr/lib64 -maxdepth 2 -name libatomic.so.1 2>/dev/null | grep -q . || \
	  { command -v apt-get >/dev/null && apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends chromium libatomic1; } || \
	  echo "Could not install Chromium (not root, or no apt-get); install chromium or google-chrome, and libatomic." >&2

# Two at a time: most tests wait for processes. Tests of one file share its servers and models.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

test: $(DEV) data prometheus chromium ## run all tests (ARGS="-k shutdown")
	$(PYTEST) $(WORDS)

test-fast: $(DEV) ## run the fast tests, about a minute (ARGS="-k codecs")
	$(PYTEST) -m "not slow and not image and not play and not ray" --hypothesis-profile=fast $(WORDS)

# Strict: a link to a page or heading that does not exist is an error. SOURCE_URL is for links to other files.
SITE = SOURCE_URL='$(SOURCE_URL)' $(BIN)/python -m sphinx -W --keep-going -n -q -d build/doctrees docs

ray-test: $(DEV) ## train and score on local Ray clusters, in an environment of their own; a few minutes
	$(BIN)/python -m pytest -m ray tests/training/cluster tests/service/scoring/test_cluster.py $(WORDS)

check: $(DEV)    ## lint, types, import directions, Dockerfiles, licences, the site of docs/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy docs/conf.py
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile deploy/models/Containerfile
	$(BIN)/python -m deploy.audit.licences
	$(SITE) build/docs

docs: $(DEV)     ## check the links of all pages, and build the site of docs/ into build/docs (SOURCE_URL=https://…/blob/main)
	$(BIN)/python -m pytest -q tests/documents/test_links.py
	$(SITE) build/docs

docs-links: $(DEV) ## check the links of docs/ to other sites; needs the internet
	$(SITE) -b linkcheck build/linkcheck

.PHONY: bench bench-quick bench-training nginx wrk
bench: $(DEV) nginx wrk ## compare with bare uvicorn and other servers, in pairs; about half an hour (ARGS="--only 'mosec JSON'")
	@exec $(BIN)/python -m benchmarks.bench $(WORDS)

bench-quick: $(DEV) wrk ## compare with bare uvicorn alone, about 3 minutes; publishes nothing (ARGS="--rounds 3")
	@exec $(BIN)/python -m benchmarks.bench --quick $(WORDS)

bench-training: $(DEV) data ## compare training with scikit-learn, Keras, skorch and a plain PyTorch loop, an epoch in turn (ARGS="--epochs 4")
	@exec $(BIN)/python -m benchmarks.training $(WORDS)

# Unpacked, not installed: the benchmark needs the program and not the daemon.
nginx: | $(BIN)/pip ## fetch nginx for make bench, from Debian's package if apt-get is available
	@test -x $(BIN)/nginx || command -v nginx >/dev/null || ! command -v apt-get >/dev/null || { cd $(VENV) && \
	  { apt-get download -qq nginx || { apt-get update -qq && apt-get download -qq nginx; }; } && \
	  dpkg --fsys-tarfile nginx_*.deb | tar -x -C bin --strip-components 3 ./usr/sbin/nginx && rm nginx_*.deb; } || \
	  echo "Could not fetch nginx; make bench will leave it out." >&2

wrk:             ## install the benchmarks' load generator if apt-get is available
	@command -v wrk >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk; } || \
	  { echo "Could not install wrk (not root?); install it and try again: https://github.com/wg/wrk" >&2; exit 1; }

format: $(DEV)   ## format the code and fix lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV)     ## pin the versions and hashes of all dependencies (ARGS=--upgrade)
	$(LOCK) --all-extras --group image --output-file constraints.txt
	$(LOCK) --extra cpu --extra grpc --extra images $(HASHED) deploy/image/requirements-cpu.txt
	$(LOCK) --extra gpu --extra grpc --extra images $(HASHED) deploy/image/requirements-gpu.txt
	$(LOCK) --group image $(HASHED) deploy/image/requirements-build.txt
	$(LOCK) --extra remote $(HASHED) deploy/image/requirements-remote.txt
	$(LOCK) --extra tracing $(HASHED) deploy/image/requirements-tracing.txt

render: $(DEV)   ## print the overlays' manifests (OVERLAY="cpu gpu")
	@for overlay in $(OVERLAY:%=deploy/overlays/%); do \
	  printf -- '---\n# %s\n' $$overlay; $(BIN)/kubectl kustomize $$overlay || exit 1; done

chart: $(DEV)    ## write deploy/chart, the Helm chart of the cpu overlay and of monitoring
	$(BIN)/python -m tests.deploy.chart

manifest-schema: $(DEV) ## write service/manifest.schema.json, the JSON schema of a model's metadata.json
	$(BIN)/python -m service.manifest > service/manifest.schema.json

proto: $(DEV)    ## compile the gRPC service's description, service/grpc/open_inference.proto
	$(BIN)/python -m grpc_tools.protoc --proto_path service/grpc --descriptor_set_out service/grpc/open_inference.pb open_inference.proto

dashboard: $(DEV) prometheus ## redraw deploy/dashboard.png with a real Prometheus
	$(BIN)/python -m tests.deploy.draw_dashboard

pictures: $(DEV) chromium ## redraw docs/pictures/, the pages in Chromium at three widths
	$(BIN)/python -m tests.browser.draw_pages

# By default podman and buildah write OCI images, whose format has no HEALTHCHECK.
image:           ## build the container image (CONTAINER=docker|podman|buildah, BASE_IMAGE=, BUILD_ARGS=, TAG=, RUNTIME=, EXTRAS=remote|tracing, RELEASE=1)
	@test -z '$(RELEASE)' || printf '%s\n' '$(BASE_IMAGE)' | grep -qE '@sha256:[0-9a-f]{64}$$' || { echo \
	  "BASE_IMAGE is '$(BASE_IMAGE)', expected name:tag@sha256:… for a release; run make image-digest" >&2; exit 1; }
	BUILDAH_FORMAT=docker $(CONTAINER) build $(BUILD_ARGS) --tag '$(TAG)' --build-arg RUNTIME=$(RUNTIME) --build-arg EXTRAS='$(EXTRAS)' \
	  --build-arg BASE_IMAGE='$(BASE_IMAGE)' --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

# The tag is NAME-VERSION of the newest version, which is proved first: mlp-serving-models:fashion-mnist-1.
model-image: $(SERVER) ## build an image of one model alone, for deploy/components/oci-models: NAME=fashion-mnist (MODEL_TAG=, and as for image)
	@: "$${GIVEN_NAME:?say which model: make model-image NAME=fashion-mnist}"
	@$(BIN)/python -m service.models check --models models "$$GIVEN_NAME"
	@tag="$${GIVEN_MODEL_TAG:-mlp-serving-models:$$GIVEN_NAME-$$(ls "models/$$GIVEN_NAME" | grep -x '[1-9][0-9]*' | sort -n | tail -n 1)}"; \
	  $(CONTAINER) build $(BUILD_ARGS) --file deploy/models/Containerfile --tag "$$tag" --build-arg NAME="$$GIVEN_NAME" \
	  --build-arg REVISION=$$(git rev-parse HEAD) . && echo "built $$tag"

# A tag can be moved to another image; a digest cannot. With podman it may be that of this machine's architecture alone.
image-digest:    ## pin the Dockerfile's base image by its digest, from its registry (CONTAINER=docker|podman, BASE_IMAGE=)
	@tag=$$(printf '%s' '$(BASE_IMAGE)' | sed 's/@.*//') && $(CONTAINER) pull --quiet "$$tag" >/dev/null && \
	  digest=$$($(CONTAINER) image inspect --format '{{index .RepoDigests 0}}' "$$tag" | grep -oE 'sha256:[0-9a-f]{64}') && \
	  sed -i "s|^ARG BASE_IMAGE=.*|ARG BASE_IMAGE=$$tag@$$digest|" Dockerfile && grep '^ARG BASE_IMAGE=' Dockerfile || \
	  { echo "The digest of '$(BASE_IMAGE)' is not known: it could not be pulled from a registry." >&2; exit 1; }

# Always the CPU image: the tests run it as the pod of the cpu overlay.
image-test deploy-test: RUNTIME = cpu

image-test: $(DEV) image ## build the image, run it like its pod, and stop it under load (options as for image; CONTAINER=docker|podman)
	CONTAINER='$(CONTAINER)' IMAGE='$(TAG)' BASE_IMAGE='$(BASE_IMAGE)' $(BIN)/python -m pytest tests/deploy -m image -s $(WORDS)

deploy-test: $(DEV) image ## run the rendered Deployment with podman, change a setting, remove it (options as for image)
	CONTAINER='$(CONTAINER)' $(BIN)/python -m pytest tests/deploy/test_play.py -m play -s $(WORDS)

# The audit's tools have an environment of their own: they bring another pip, and packages that nothing else needs.
AUDIT    := $(VENV)/audit
AUDITORS := $(AUDIT)/.installed
LICENCES := build/audit/pip-report.json

audit:           ## audit code, licences and known vulnerabilities, and write build/sbom (OFFLINE=1 leaves out vulnerabilities)
	@$(MAKE) --no-print-directory --keep-going audit-code audit-licences audit-vulnerabilities sbom

audit-code: $(AUDITORS) ## look for insecure code with bandit
	$(AUDIT)/bin/bandit --quiet --recursive --severity-level medium service training deploy

# What pip would install of the whole lock file, on this platform: it reads the packages' metadata, without the packages.
audit-licences: $(AUDITORS) ## compare the licences of all locked packages with the allowed ones
	@mkdir -p $(dir $(LICENCES))
	$(AUDIT)/bin/pip install --quiet --dry-run --ignore-installed --no-deps --only-binary :all: --report $(LICENCES) \
	  --requirement constraints.txt
	$(AUDIT)/bin/python -m deploy.audit.licences --report $(LICENCES) --lock constraints.txt

audit-vulnerabilities: $(AUDITORS) ## look up known vulnerabilities of all locked packages (ARGS="--vulnerability-service osv")
	$(if $(OFFLINE),@echo "NOT AUDITED against known vulnerabilities: OFFLINE=$(OFFLINE)",$(AUDIT)/bin/python -m deploy.audit.vulnerabilities $(WORDS))

# As the Dockerfile does it. The image's Debian packages are those of its base: ROOT=/ within one, or where it is unpacked.
sbom: $(AUDITORS) ## write build/sbom: SBOMs of the image's Python packages (RUNTIME=) and, with ROOT=, of Debian's
	@rm -rf build/sbom && mkdir -p build/sbom
	$(PYTHON) -m venv --without-pip build/sbom/image
	$(AUDIT)/bin/pip --python build/sbom/image/bin/python install --quiet --require-hashes --only-binary :all: \
	  $(patsubst %,--requirement deploy/image/requirements-%.txt,$(RUNTIME) $(EXTRAS))
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-file build/sbom/python.cdx.json build/sbom/image/bin/python
	@rm -rf build/sbom/image
	$(if $(ROOT),$(AUDIT)/bin/python -m deploy.audit.debian_packages '$(ROOT)' build/sbom/debian.cdx.json,@echo \
	  "ROOT is not given: no bill of Debian packages; the image contains one of its own.")

clean:           ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment for all: training adds to what the server needs, and development to both.
$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

# `make serve` compiles it anew if it is there and the source has changed.
$(LIBRARY): service/http/codecs/regular_json.c hatch_build.py | $(SERVER)
	@$(INSTALL) hatchling ziglang
	@$(BIN)/python hatch_build.py

$(SERVER): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing the server ($(RUNTIME)) into $(VENV) ..."
	@$(INSTALL) --editable '.[$(RUNTIME),images]'
	@touch $@

$(TRAIN): $(SERVER)
	@echo "Installing torch into $(VENV) ..."
	@$(INSTALL) --editable '.[$(RUNTIME),images,train,tune]'
	@touch $@

$(DEV): $(TRAIN) hatch_build.py service/http/codecs/regular_json.c
	@echo "Installing the developers' tools into $(VENV) ..."
	@$(INSTALL) --editable '.[$(RUNTIME),grpc,images,train,tune,mlflow,tensorboard,tracing,bench,docs,dev]'
	@$(BIN)/python hatch_build.py
	@touch $@

$(AUDITORS): pyproject.toml constraints.txt
	@echo "Installing the audit's tools into $(AUDIT) ..."
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[audit]' cyclonedx-bom
	@touch $@
