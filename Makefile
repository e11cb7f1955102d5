# What a fresh clone needs: `make demo`, `make test`. Everything lives in .venv; nothing is global.
#
#   make setup   .venv with the package and its tools, then `nchw doctor`
#   make demo    trained digits to verified Verilog, on real MNIST images
#   make sim     simulate the demo's Verilog again, in its own folder
#   make test    all tests          (ARGS="-k trace" picks some, JOBS=4 uses more cores)
#   make quick   those that take a minute and a half together, to run while working
#   make lint    ruff and mypy
#   make golden  make golden/ again
#   make docs    the documentation as a site, in build/site
#   make clean   what make made, but not .venv

VENV ?= .venv
JOBS ?= 2
ARGS ?=
# the first Python that is new enough; named ones first, since `python3` is often the oldest
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
# pinned: an open bound may fetch another build of several gigabytes
TORCH ?= torch==2.13.0

BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
DEMO := build/demo-mlp
# one thread each: the tests run side by side, and sums of integers need no more
RUN := OMP_NUM_THREADS=1 PATH="$(BIN):$$PATH"
# a file's tests stay in one process: they share what they build
PYTEST := python -m pytest -n $(JOBS) --dist loadfile

.PHONY: setup demo sim test quick lint golden docs clean
setup: $(READY)
	$(RUN) nchw doctor

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.10 or newer is needed; install it, or name it: make PYTHON=..."; exit 3; }
	test -x "$(BIN)/python" || $(PYTHON) -m venv "$(VENV)"
	@echo "make: PyTorch first, then the rest: some minutes, most of them in pip's downloads"
	"$(BIN)/python" -m pip install "$(TORCH)"
	"$(BIN)/python" -m pip install -e ".[all,test,lint]"
	touch "$@"

demo: $(READY)
	$(RUN) python examples/demo.py --output $(DEMO)

$(DEMO)/report.json:
	$(MAKE) demo

sim: $(READY) $(DEMO)/report.json
	$(RUN) $(MAKE) -C $(DEMO) sim PYTHON="$(BIN)/python"

test: $(READY)
	$(RUN) $(PYTEST) $(ARGS)

quick: $(READY)
	$(RUN) $(PYTEST) -m "not slow" $(ARGS)

lint: $(READY)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

golden: $(READY)
	$(RUN) python golden/regenerate.py

docs: $(READY)
	"$(BIN)/python" -c "import material, mkdocstrings" 2> /dev/null || \
		"$(BIN)/python" -m pip install --quiet -e ".[docs]"
	$(RUN) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

clean:
	rm -rf build dist obj_dir sim_build cocotb_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
