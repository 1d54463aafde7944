# Every developer verb. `make` alone lists them.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# A process a core; one that has nothing left takes tests from another.
SPREAD := -n auto --maxprocesses 8 --dist worksteal
AIRFLOW := .airflow
.DEFAULT_GOAL := help
.PHONY: help setup airflow run test check lint types tools flink flink-up flink-down test-data test-engines test-cluster test-kill \
  test-scale test-huge test-airflow mutants bench bench-scale peers bench-peers bench-fingerprint bench-category bench-sources models test-report browser docs-pictures docs lock clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(READY) ## make .venv from the lock file, with the winnow command in it

airflow: $(AIRFLOW)/ready ## make .airflow, an environment of Airflow's own; it has neither Beam nor Winnow

$(AIRFLOW)/ready: deploy/airflow/requirements.lock | $(READY)
	@echo "making $(AIRFLOW); this takes some minutes" && $(BIN)/python -m venv --clear $(AIRFLOW)
	$(AIRFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $<
	$(AIRFLOW)/bin/python -m pip check --disable-pip-version-check
	@touch $@

# Made anew whenever lock or setup.py change, so that nothing stays behind from before. Wheels only: a source package would
# fetch its own build requirements, unpinned. The last line is reached only if all went well.
$(READY): requirements.lock setup.py
	@python=; for candidate in "$(PYTHON)" python3.11 python3; do \
	  [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	    && python=$$candidate && break; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Winnow needs Python 3.11; neither python3.11 nor python3 is one. Install it, or say: make setup PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	echo "making $(VENV); this takes a minute or two" && "$$python" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
	$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

run: setup ## screen the example corpus into out/
	$(BIN)/winnow run examples/run.yaml --output out

test: setup ## the tests that need nothing but the checkout
	$(BIN)/python -m pytest $(SPREAD) -m "not data and not slow and not engines and not cluster and not airflow and not browser"

check: lint types test ## what must pass before a change lands

lint: setup ## ruff and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

test-data: setup ## the tests that read the development data in ../shared/data; they fail without it
	$(BIN)/python -m pytest $(SPREAD) -m "data and not slow and not airflow"

test-kill: setup ## kill runs at random moments and compare with an undisturbed one; minutes
	$(BIN)/python -m pytest -m slow tests/golden

tools: ## Prism, the starter of workers and the emulator of Google's object store into .tools; needs Go
	deploy/tools

flink: setup ## Flink and Beam's job server into .tools; needs Java and Maven
	deploy/flink/fetch

flink-up: flink tools ## start a Flink cluster on this machine, in a network of its own
	deploy/flink/up

flink-down: ## end the cluster that flink-up started
	deploy/flink/down

test-engines: flink tools ## one corpus on every engine of this machine: the same bytes
	$(BIN)/python -m pytest -n auto --maxprocesses 2 --dist loadgroup -m engines

test-cluster: flink tools ## the same on a Flink cluster, and with parts of it killed; an hour and a half
	$(BIN)/python -m pytest -m "cluster and not airflow"

test-scale: setup ## peak memory at 200 MB and at 1 GB of text; minutes
	$(BIN)/python benchmarks/memory.py

test-airflow: setup airflow flink tools ## nights by a real Airflow, on loopback only, one of them on Flink; 20 minutes
	$(BIN)/python -m pytest -m airflow tests/nightly

browser: ## Debian's Chromium and fonts for Chinese, if they are absent; needs root or sudo
	@command -v chromium >/dev/null || { run=$$(test "$$(id -u)" = 0 || echo sudo); $$run apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$run apt-get install -qq -y --no-install-recommends chromium fonts-noto-cjk >/dev/null; }
	@chromium --version

test-report: setup browser ## the report in a browser: on screens and on paper, in both languages
	$(BIN)/python -m pytest -m browser

mutants: setup ## break each invariant and see a test fail; minutes
	$(BIN)/python tests/mutants/run.py

bench-scale: setup ## planning, judging and concluding at a million splits and ten million sources; half an hour
	$(BIN)/python benchmarks/scale.py

test-huge: setup ## one gzip shard of 5 GB: parts, kill and resume, memory; an hour
	$(BIN)/python benchmarks/huge.py

bench: flink tools ## CPU milliseconds per MB by stage, and every engine against a bare loop
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/engines.py

peers: setup ## make .peers, an environment with the tools that Winnow is measured against
	@echo "making .peers; this takes some minutes" && $(BIN)/python -m venv --clear .peers
	.peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r benchmarks/peers/requirements.lock

bench-peers: peers ## CPU milliseconds per MB beside datatrove, dolma and Presidio on the same text
	$(BIN)/python benchmarks/peers/run.py .peers/bin/python

bench-fingerprint: setup ## an index of ten million fingerprints, and one of a million through Beam; minutes
	$(BIN)/python benchmarks/fingerprint.py

bench-blocked: setup ## block lists of three million entries: time to load, memory of two processes, time a record; ten minutes
	$(BIN)/python benchmarks/blocklists.py

# Text for models, from Debian packages and the development data.
MODEL_DATA := build/model-data
$(MODEL_DATA)/ready: benchmarks/model_data.py | $(READY)
	$(BIN)/python benchmarks/model_data.py $(MODEL_DATA) ../shared/data
	@touch $@

models: $(MODEL_DATA)/ready ## the demonstration models, into build/models; needs apt-get and ../shared/data; minutes
	rm -rf build/models
	cd $(MODEL_DATA) && ../../$(BIN)/winnow model train cold_train.jsonl --output ../models/zh-discrimination-demo \
	  --options ../../benchmarks/model_options/zh-discrimination-demo.yaml --dev cold_dev.jsonl \
	  --benign web-zh-a.jsonl --benign fortunes-zh-a.jsonl --benign-test web-zh-b.jsonl --benign-test fortunes-zh-b.jsonl \
	  --benign-test debian-reference-zh.jsonl --benign-test debian-faq-zh.jsonl --benign-test libreoffice-help-zh.jsonl
	cd $(MODEL_DATA) && ../../$(BIN)/winnow model train davidson.jsonl toxic_sentences.jsonl --output ../models/en-abuse-demo \
	  --options ../../benchmarks/model_options/en-abuse-demo.yaml --negatives wordnet.jsonl --negatives python-a.jsonl \
	  --benign fortunes-en-a.jsonl --benign manpages-en.jsonl --benign-test fortunes-en-b.jsonl --benign-test python-b.jsonl
	@diff -rq build/models configs/models && echo "the shipped models are these" || echo "to ship them: cp -r build/models/* configs/models"

bench-category: $(MODEL_DATA)/ready ## macro-F1 and recall of the category tagger, of passages in pages too, and how much benign text it flags; minutes
	$(BIN)/python benchmarks/category_passages.py $(MODEL_DATA)
	$(BIN)/python benchmarks/category.py $(MODEL_DATA)

bench-sources: setup ## the interval reading of the limit: coverage, mixtures of real records, nights; writes docs/source-rule.md; a minute
	$(BIN)/python benchmarks/source_rule.py ../shared/data --page docs/source-rule.md --picture docs/source-rule.svg

docs: setup ## write the reference pages in docs anew from the code
	$(BIN)/python docs/generate.py

docs-pictures: run browser ## take the pictures of the report in docs anew
	$(BIN)/python tests/browser/pictures.py

lock: ## resolve what is needed anew into the lock files, Airflow's too; needs uv
	head -n 2 requirements.lock > requirements.lock.new
	uv pip compile setup.py --extra dataflow --extra dev --python-version 3.11 --universal --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet >> requirements.lock.new
	mv requirements.lock.new requirements.lock
	head -n 2 deploy/airflow/requirements.lock > requirements.lock.new
	uv pip compile deploy/airflow/requirements.in --python-version 3.11 --universal --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet >> requirements.lock.new
	mv requirements.lock.new deploy/airflow/requirements.lock
	head -n 1 benchmarks/peers/requirements.lock > requirements.lock.new
	uv pip compile benchmarks/peers/requirements.in --python-version 3.11 --upgrade --only-binary :all: --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet >> requirements.lock.new
	mv requirements.lock.new benchmarks/peers/requirements.lock

clean: ## remove what make made, .venv and out/ included
	rm -rf $(VENV) $(AIRFLOW) .peers out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
