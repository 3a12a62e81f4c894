# Needs Python 3.11 or newer and make; everything else is made here. `make help` lists what there is.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
VENV4 := .venv-tl4
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check install --quiet
NOTEBOOK ?= notebooks/01_explore.ipynb
LAB_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test test-tl4 lint format js bench demo-model wheel clean
.DELETE_ON_ERROR:

help:  ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

lab: $(VENV)/.lab  ## open JupyterLab on the first notebook (NOTEBOOK=..., LAB_ARGS=...)
	$(BIN)/python -m jupyterlab $(ROOT_FLAG) $(LAB_ARGS) $(NOTEBOOK)

test: $(VENV)/.dev  ## every test: Python, script, browser, JupyterLab (TEST_ARGS="--only python")
	$(BIN)/python tests/tools/run.py $(TEST_ARGS)

test-tl4: $(VENV4)/.test  ## the Python tests that need a model, under transformer-lens 4.x, without sae-lens
	$(VENV4)/bin/python tests/tools/run.py --only python --name tl4 $(TEST_ARGS)

lint: $(VENV)/.dev  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev  ## put Python and scripts into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	if [ -d js/node_modules ]; then cd js && npm run --silent format; fi

js: js/node_modules/.package-lock.json  ## build saewidgets/static from js/src (needs node 20)
	cd js && npm run --silent build

bench: $(VENV)/.dev  ## print the tables of figures (BENCH_ARGS=activations)
	$(BIN)/python tests/benchmarks/run.py $(BENCH_ARGS)

demo-model: $(VENV)/.dev  ## rebuild the bundled model, its SAEs and their index from seed (about 80 minutes on 2 cores)
	$(BIN)/python -m saewidgets.demo.build --out saewidgets/demo/assets

wheel: $(VENV)/.lab  ## build the wheel into dist/
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

clean:  ## remove environments and everything built, except saewidgets/static
	rm -rf $(VENV) $(VENV4) build dist js/node_modules .pytest_cache .ruff_cache .hypothesis

# Torch comes first and alone, so that no other package's range can bring another build.
%/.torch: constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; give it with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making $* with $(PYTHON); the first time this takes some minutes."
	$(PYTHON) -m venv $* || { echo "No venv module: on Debian or Ubuntu, apt-get install python3-venv"; exit 1; }
	$*/bin/python $(PIP) --requirement constraints.txt
	@touch $@

$(VENV)/.lab: pyproject.toml | $(VENV)/.torch
	$(BIN)/python $(PIP) --constraint constraints.txt --editable '.[lab,saelens]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.torch
	$(BIN)/python $(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.lab

$(VENV4)/.test: pyproject.toml | $(VENV4)/.torch
	$(VENV4)/bin/python $(PIP) --constraint constraints.txt --editable '.[test]' 'transformer-lens>=4,<5'
	@touch $@

js/node_modules/.package-lock.json: js/package.json js/package-lock.json
	cd js && npm install --no-save
	@touch $@
