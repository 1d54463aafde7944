# Every developer verb. `make` alone lists them.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
.DEFAULT_GOAL := help
.PHONY: help setup run test check lint types test-data test-kill test-scale test-huge mutants bench bench-scale docs lock clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv from the lock file, with the winnow command in it

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
	$(BIN)/winnow run examples/corpus --output out

test: setup ## the tests that need nothing but the checkout
	$(BIN)/python -m pytest -m "not data and not slow"

check: lint types test ## what must pass before a change lands

lint: setup ## ruff and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

test-data: setup ## the tests that read the development data in ../shared/data; they fail without it
	$(BIN)/python -m pytest -m "data and not slow"

test-kill: setup ## kill runs at random moments and compare with an undisturbed one; minutes
	$(BIN)/python -m pytest -m slow tests/golden

test-scale: setup ## peak memory at 200 MB and at 1 GB of text; minutes
	$(BIN)/python benchmarks/memory.py

mutants: setup ## break each invariant and see a test fail; minutes
	$(BIN)/python tests/mutants/run.py

bench-scale: setup ## planning, judging and concluding at a million splits and ten million sources; half an hour
	$(BIN)/python benchmarks/scale.py

test-huge: setup ## one gzip shard of 5 GB: parts, kill and resume, memory; an hour
	$(BIN)/python benchmarks/huge.py

bench: setup ## CPU milliseconds per MB by stage, and Beam against a bare loop
	$(BIN)/python benchmarks/stages.py

docs: setup ## write docs/run-file.md anew from the code
	$(BIN)/python docs/generate.py

lock: ## resolve setup.py anew into requirements.lock; needs uv
	head -n 2 requirements.lock > requirements.lock.new
	uv pip compile setup.py --extra dev --python-version 3.11 --universal --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet >> requirements.lock.new
	mv requirements.lock.new requirements.lock

clean: ## remove what make made, .venv and out/ included
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
