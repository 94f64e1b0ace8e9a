# Everything from a fresh clone: `make demo` and `make test` do all set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: venv demo test test-slow fuzz lint docs bench gpu clean test-reliability

venv: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt scripts/make_venv.sh
	bash scripts/make_venv.sh "$(PYTHON)" "$(VENV)"
	touch $@

demo: venv
	$(BIN)/lcfs demo

test: venv
	$(BIN)/python -m pytest -m "not slow" -n auto

test-slow: venv
	$(BIN)/python -m pytest -m slow

# 100,000 mutated files against lcfs.reading, some minutes.
fuzz: venv
	PYTHONPATH=. $(BIN)/python tests/lcfs/reading/fuzz.py

# Twenty minutes of random kills, full disks, damaged files and rival writers; `make test` has a sample of each.
test-reliability: venv
	LCFS_RELIABILITY=full $(BIN)/python -m pytest -s tests/reliability

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check

docs: venv
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "docs: open build/docs/index.html"

bench: venv
	$(BIN)/python -m benchmarks.size
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.embedding
	$(BIN)/python -m benchmarks.update
	$(BIN)/python -m benchmarks.sparse_inference

# On a machine with a GPU; GPU_OPTIONS="--hours 1 --price-per-hour 3", or --try to try it without one.
gpu: venv
	$(BIN)/python scripts/gpu.py runs/gpu $(GPU_OPTIONS)

clean:
	rm -rf $(VENV) build dist *.egg-info
