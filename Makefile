# make run   - environment, installation, and the embedded default run
# make test  - environment, installation, and all tests
PYTHON ?= python3
VENV ?= .venv

.PHONY: run test lint clean

run: $(VENV)/installed
	$(VENV)/bin/python run.py

test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --editable '.[test]'
	touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) outputs
