# Every target does its own set-up: a virtual environment in .venv with the pinned versions of
# constraints.txt. It is made again only when one of the two files that describe it has changed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: report test test-real test-faults test-triton check format lab clean

report: $(READY) ## train what is missing of the study "variants" and render its report
	$(BIN)/lstmlab report study=variants

test: $(READY) check ## lint, types and all fast tests
	$(BIN)/python -m pytest

test-real: $(READY) ## what takes minutes: full-size training against the promises of each task
	$(BIN)/python -m pytest -m real

test-faults: $(READY) ## kill, fill, break whatever a study rests on, write the table of docs/reliability.md; other slow tests
	$(BIN)/python -m pytest tests -m 'fault or slow' -n 0 --table

test-triton: $(READY) ## the GPU's kernels without a GPU, interpreted and compiled: brings Triton, 1 GB, into .venv
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[gpu]'
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -m triton tests/engine
	$(BIN)/python -m pytest -m triton tests/engine

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=notebooks

clean:
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lstmlab needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "setting up .venv: a minute or two, once"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $(READY)
