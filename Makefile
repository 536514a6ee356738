# make run: serve on http://127.0.0.1:8080, with MODELS=fast, good or instruct with larger models, and with
# MODELS=bundled without fetching any;
# make test: checks and tests; both make .venv first.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-slow check gpu clean

# What serving needs, with pip's progress shown ...
$(VENV)/serving: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Dragoman needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv --upgrade-deps $(VENV)  # pip 23 misses an extra of lxml
	@echo "Installing into $(VENV); torch is the largest part, and takes some minutes on a slow line."
	$(BIN)/python -m pip install --disable-pip-version-check --editable .
	touch $@

# ... and what developing needs.
$(VENV)/installed: $(VENV)/serving
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev]'
	touch $@

run: $(VENV)/serving
	PORT=$(PORT) $(BIN)/dragoman serve $(if $(MODELS),--models $(MODELS))

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

# The second time with Triton's interpreter: without a GPU the kernels run no other way.
test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -n 2 --maxschedchunk 1 tests/engine/test_native_kernels.py

# Hours of what `make test` has in short: every kernel for every GPU, growth of the work with the text, mutated requests, a mixed load.
test-slow: $(VENV)/installed
	COMPILE=all $(BIN)/python -m pytest -n 2 tests/engine/test_native_compile.py
	LINEAR_S=2 $(BIN)/python -m pytest -n 2 tests/slow/test_linear.py
	PYTHONPATH=.:tests:tests/support $(BIN)/python tests/slow/fuzz.py --requests 20000
	PYTHONPATH=.:tests:tests/support $(BIN)/python tests/slow/soak.py --seconds 1800
	PYTHONPATH=.:tests:tests/support $(BIN)/python tests/slow/attack.py --seconds 1800 --workers 2

# What a GPU has to show: tests, exactness for every family, speed, in one JSON file. Needs torch and transformers.
gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) bench/gpu.py --out bench/results/gpu.json

clean:
	rm -rf $(VENV)
