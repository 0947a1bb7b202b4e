# Everything is set up in .venv by pip alone; `make` lists the verbs.
# The stamps below let each step run only when what it rests on has changed.
.DEFAULT_GOAL := help
.PHONY: help build test demo lint fmt types bench bench-smoke soak-kills hints ci clean
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
MODE := $(or $(ENGINE_BUILD),release)
KERNELS := $(wildcard engine/fast/*.pyx engine/fast/*.pxd)

help:
	@echo 'make demo         set up and start everything on this machine: prints the URL of the page'
	@echo 'make build        set up .venv and compile the kernels (ENGINE_BUILD=release|debug)'
	@echo 'make test         the whole test suite, with the real Kafka, ClickHouse and browser (ARGS="-k decode" chooses)'
	@echo 'make lint         ruff check and format --check'
	@echo 'make fmt          ruff: format and mend'
	@echo 'make types        mypy'
	@echo 'make bench        the benchmarks of the kernels (bench-smoke: each once)'
	@echo 'make soak-kills   100 random kills of a live run (about 10 minutes; ARGS="--kills 400 --seed 2")'
	@echo 'make hints        compile the kernels and fail on a performance hint'
	@echo 'make ci           what the continuous integration runs'
	@echo 'make clean        remove what was built (keeps .cache, the fetched services)'

# ---------------------------------------------------------------------------------- set-up
$(VENV)/made: scripts/find-python.sh
	@python=$$(sh scripts/find-python.sh) && echo "setting up $(VENV) with $$python" && \
	  rm -rf $(VENV) && "$$python" -m venv $(VENV)
	@$(PIP) install 'setuptools>=77,<83' 'Cython>=3.1,<4'
	@touch $@

# ENGINE_BUILD=none: dependencies and the command only; the kernels are compiled in place below.
$(VENV)/for-demo: $(VENV)/made pyproject.toml
	@echo 'installing what the demo needs (a few minutes the first time)'
	@ENGINE_BUILD=none $(PIP) install --no-build-isolation -e '.[demo]'
	@touch $@

$(VENV)/for-test: $(VENV)/for-demo
	@echo 'installing what the tests need'
	@ENGINE_BUILD=none $(PIP) install --no-build-isolation -e '.[demo,test,dev]'
	@touch $@

$(VENV)/kernels-$(MODE): $(VENV)/for-demo setup.py $(KERNELS)
	@echo 'compiling the kernels ($(MODE))'
	@ENGINE_BUILD=$(MODE) $(BIN)/python setup.py --quiet build_ext --inplace --parallel 2
	@rm -f $(VENV)/kernels-*
	@touch $@

build: $(VENV)/kernels-$(MODE)

# ----------------------------------------------------------------------------------- verbs
demo: $(VENV)/kernels-$(MODE)
	@exec $(BIN)/hitonami demo

test: $(VENV)/kernels-$(MODE) $(VENV)/for-test
	@sh scripts/browser.sh
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/for-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

fmt: $(VENV)/for-test
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/for-test
	@$(BIN)/mypy

bench: $(VENV)/kernels-$(MODE) $(VENV)/for-test
	@$(BIN)/python -m pytest benchmarks/kernels --benchmark-enable --benchmark-only $(ARGS)

bench-smoke: $(VENV)/kernels-$(MODE) $(VENV)/for-test
	@$(BIN)/python -m pytest benchmarks $(ARGS)

soak-kills: $(VENV)/kernels-$(MODE) $(VENV)/for-test
	@$(BIN)/python -m tests.faults.kills $(ARGS)

hints: $(VENV)/for-test
	@$(BIN)/python -m pytest tests/meta/test_kernels.py -k performance_hint

ci:
	@.ci/run

clean:
	rm -rf $(VENV) build dist *.egg-info engine/fast/*.so engine/fast/_build.py .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.cache/*' -prune -exec rm -rf {} +
