# Everything that one types here. Each command sets up what it needs: Python 3.11, pip and make are enough.
#
#   make demo       run the main job on the built-in world and say where the report is
#   make test       run all tests             (make test ARGS="tests/data -k world" runs some of them)
#   make check      everything that CI checks: style, types, import rules, documents, tests
#   make docs       check the documents: links, commands, examples
#   make bench      run the benchmarks
#   make format     let ruff put the code in order
#   make install    only set up .venv
#   make clean      remove .venv and caches; your runs/ stay

PYTHON ?= python3
OUT ?= runs/demo
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check style types imports docs bench format constraints clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(INSTALLED)

# torch goes first and pinned, so that pip takes the CPU wheel where one is offered and decides nothing else
# before. The second way to make the venv is for systems that ship Python without ensurepip (Debian, Ubuntu).
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "dccl needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.11 install")'
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "No ensurepip here; taking pip from $(PYTHON) instead" && \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(INSTALLED)

demo: install
	$(BIN)/dccl run --out $(OUT)
	@echo "The report: $(abspath $(OUT))/report.html"

test: install
	$(BIN)/python -m pytest $(ARGS)

# `test` stays the last: CI prints its closing line.
check: style types imports docs test

style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

docs: install
	$(BIN)/python -m pytest tests/test_docs.py
	$(BIN)/python -m pytest --doctest-modules src/dccl

bench: install
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Renews constraints.txt from what pyproject.toml allows today. torch keeps its pin: raise it by hand.
constraints:
	rm -rf $(VENV)-new && $(PYTHON) -m venv $(VENV)-new
	$(VENV)-new/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-new/bin/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(VENV)-new/bin/python -m pip install --quiet --editable '.[dev]'
	grep '^#' constraints.txt > constraints.new
	$(VENV)-new/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' >> constraints.new
	mv constraints.new constraints.txt && rm -rf $(VENV)-new

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find src tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info
