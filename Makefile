# The two main commands are `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# On Linux without a GPU, this saves gigabytes:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
export OMP_NUM_THREADS ?= 1
WORKERS ?= 2

.PHONY: web notebooks demo demo-short test test-slow test-interop test-corpus test-lowest test-install calibration docs lint lint-types lint-others bench bench-quick mutants campaign clean help

help:
	@echo "make demo          train and record an MLP and a CNN, write demo/explorer.html and demo/report.html"
	@echo "make demo-short    the same on fewer images, in a minute"
	@echo "make test          run the tests"
	@echo "make test-slow     run the slow tests: many kills, whole notebooks, published results"
	@echo "make test-interop  test against other tools, in a separate environment"
	@echo "make test-corpus   take many architectures through the library and write docs/corpus.md, in the same environment"
	@echo "make test-lowest   test with the lowest versions that pyproject.toml allows, in a separate environment"
	@echo "make test-install  install the wheel, the source distribution and each extra, for each Python on PATH"
	@echo "make calibration   calibrate every measure and write the release's record"
	@echo "make notebooks     build and run all notebooks from notebooks/sources (20 minutes)"
	@echo "make docs          build the documentation, docs/_build/html/index.html"
	@echo "make web           build the explorer's front end if its sources changed"
	@echo "make lint          run ruff, mypy, the front end's type check and the check of words"
	@echo "make bench         write timings to benchmarks/RESULTS.md; make bench-quick only checks the harness"
	@echo "make mutants       mutation testing of the code (an hour)"
	@echo "make campaign      damage every document and kill every writer, write docs/reliability.md (an hour)"
	@echo "make clean         remove everything that make built; recorded runs are kept"

$(VENV)/.installed: pyproject.toml constraints.txt hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "neural-microscope needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet -c constraints.txt torch --index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test,dev]"
	@touch $@

# The explorer's front end; installing the package builds it too if it is missing.
BUNDLE := src/neural_microscope/explorer/static/explorer.js
$(BUNDLE): $(VENV)/.installed $(wildcard web/src/*) web/build.mjs web/package-lock.json
	$(BIN)/python hatch_build.py
	@touch $@

web: $(BUNDLE)

demo: $(VENV)/.installed $(BUNDLE)
	$(BIN)/microscope demo --out demo

demo-short: $(VENV)/.installed $(BUNDLE)
	$(BIN)/microscope demo --out demo-short --short

test: $(VENV)/.installed $(BUNDLE)
	$(BIN)/npm --prefix web run --silent test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not interop and not install and not corpus"

test-slow: $(VENV)/.installed $(BUNDLE)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow

# The other tools install hundreds of megabytes, so they have their own environment.
.venv-interop/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-interop
	grep ^torch constraints.txt > .venv-interop/torch.txt  # the other tools choose the rest
	.venv-interop/bin/python -m pip install --quiet -c .venv-interop/torch.txt -e ".[test,interop]"
	@touch $@

test-interop: .venv-interop/.installed
	.venv-interop/bin/python -m pytest tests/interop tests/data/test_pictures.py

test-corpus: .venv-interop/.installed
	.venv-interop/bin/python -m pytest -m corpus tests/corpus

# The lowest versions that pyproject.toml allows, without slow and browser tests.
.venv-lowest/.installed: pyproject.toml constraints.txt tests/install/lowest.py
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/install/lowest.py netcdf sweep test > .venv-lowest/lowest.txt
	$(if $(TORCH_INDEX),.venv-lowest/bin/python -m pip install --quiet -c .venv-lowest/lowest.txt torch --index-url $(TORCH_INDEX))
	.venv-lowest/bin/python -m pip install --quiet -c .venv-lowest/lowest.txt -e ".[netcdf,test]"
	@touch $@

test-lowest: $(BUNDLE) .venv-lowest/.installed
	.venv-lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal --disable-warnings -m "not slow and not interop and not install and not corpus and not browser"

PYTHONS ?= $(shell for minor in 11 12 13 14; do python3.$$minor -c "" 2>/dev/null && echo python3.$$minor; done)
test-install: $(VENV)/.installed $(BUNDLE)
	INSTALL_PYTHONS="$(PYTHONS)" INSTALL_TORCH_INDEX="$(TORCH_INDEX)" $(BIN)/python -m pytest -m install tests/install

notebooks: $(VENV)/.installed $(BUNDLE)
	$(BIN)/python notebooks/build.py

# Needed after a change to a measure or a phantom: reports show this record.
calibration: $(VENV)/.installed
	$(BIN)/microscope calibrate --output src/neural_microscope/phantoms/record.json

docs: $(VENV)/.installed $(BUNDLE)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# In two halves, which `make -j2 lint` runs side by side: without its cache mypy takes longer than all others.
lint: lint-types lint-others

lint-types: $(VENV)/.installed $(BUNDLE)
	$(BIN)/mypy

lint-others: $(VENV)/.installed $(BUNDLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m lint.words
	$(BIN)/npm --prefix web run --silent check

# Includes the other tools if their environment exists (make test-interop creates it).
BENCH := $(if $(wildcard .venv-interop/.installed),.venv-interop/bin/python,$(BIN)/python) -m benchmarks
bench: $(VENV)/.installed $(BUNDLE)
	$(BENCH)

bench-quick: $(VENV)/.installed $(BUNDLE)
	$(BENCH) --quick

mutants: $(VENV)/.installed $(BUNDLE)
	$(BIN)/python -m mutants

campaign: $(VENV)/.installed $(BUNDLE)
	$(BIN)/python -m campaign --workers $(WORKERS)

clean:
	rm -rf $(VENV) .venv-interop .venv-lowest docs/_build docs/notebooks web/node_modules src/neural_microscope/explorer/static .pytest_cache .hypothesis .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
