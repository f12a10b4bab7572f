# The two commands of a newcomer are `make run` and `make test`; everything else is habit.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-slow lint bench viz notebooks lock clean clean-cache clean-tracking

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

run: $(READY)           ## the main job on the embedded corpus
	$(BIN)/kedro run --pipeline=agf_multitask

test: $(READY)          ## the default suite
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(READY)     ## the rest: kills, whole runs, servers
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -n 2 --dist loadfile

lint: $(READY)          ## style, imports, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

bench: $(READY)         ## measured ratios, also in data/08_reporting/bench.json
	$(BIN)/python -m benchmarks

notebooks: $(READY)     ## execute the notebooks
	$(BIN)/python notebooks/execute.py

viz: $(READY)           ## a static Kedro-Viz page in build/
	$(BIN)/kedro viz build

lock: SHELL := bash
lock: $(READY)          ## resolve pyproject.toml anew; CUDA packages come with torch itself
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --no-annotate \
	  --upgrade --constraint <(echo torch==2.13.0) | grep -vE '^(nvidia-|cuda-|triton==)' > requirements.lock

clean:                  ## what runs wrote; downloads, cache and MLflow stay, so the next run is quick
	find data -path 'data/0[2-8]_*/*' ! -name .gitkeep -delete
	rm -rf build

clean-cache:            ## decoded audio, features and trained nets: hours of work on a real corpus; the embedded corpus
	rm -rf data/cache data/01_raw/synthetic

clean-tracking:         ## all that MLflow knows of earlier runs, and what it was not told yet
	rm -rf mlflow.db* mlruns mlartifacts data/09_tracking
