# make demo | test | test-clients | lint | docs | pages | screenshots | bench | dashboard; each makes .venv first if it is missing (needs Python >= 3.11, pip and make).
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-slow test-clients lint docs pages screenshots bench dashboard clean

demo: .venv/ready
	$(BIN)/vitcli fit --config ablations/localvit_act.yaml

test: .venv/ready
	$(BIN)/python -m pytest -n auto --durations 10

test-slow: .venv/ready
	$(BIN)/python -m pytest -n auto --slow --exhaustive

# What other libraries do with the models; their packages take 250 MB on disk.
test-clients: .venv/ready
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --constraint constraints.txt --group clients
	$(BIN)/python -m pytest -n auto --slow tests/models/test_clients.py tests/models/presets/test_transformers_names.py \
	  tests/cli/ablation/test_other_backbones.py tests/dense/detection/test_detr.py tests/dense/test_sizes.py

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pylint --disable=all --enable=duplicate-code packages cli

# The pages keep their places beside each other, so that one link serves the repository and the site.
docs: .venv/ready
	rm -rf build/docs && mkdir -p build/docs/pages
	git ls-files -z --cached --others --exclude-standard '*.md' 'docs/*.png' 'ablations/answers/*.png' ':!tests' | \
	  xargs -0 cp --parents -t build/docs/pages
	$(BIN)/zensical build --clean --strict

pages: .venv/ready
	$(BIN)/python docs/pages.py

screenshots: .venv/ready
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python docs/screenshots.py runs/localvit_act

bench: .venv/ready
	$(BIN)/python benchmarks/ablation.py

dashboard: .venv/ready
	$(BIN)/vitcli dashboard runs

clean:
	rm -rf .venv

# uv comes in by pip and lives in the environment that it fills: no other tool is needed, nothing is installed elsewhere.
# Compiled at once: importing torch and what trials need takes 4 s, not 11, from the first time on.
.venv/ready: pyproject.toml constraints.txt packages/core/pyproject.toml packages/models/pyproject.toml packages/tasks/pyproject.toml cli/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --constraint constraints.txt --group dev --group docs \
	  --editable 'packages/core[export]' --editable packages/models --editable packages/tasks --editable cli
	touch .venv/ready
