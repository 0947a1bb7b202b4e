# Everything is set up in .venv by pip alone (scripts/set-up.sh); `make` lists the verbs.
.DEFAULT_GOAL := help
.PHONY: help build test demo lint fmt types fuzz sanitize bench bench-peers bench-smoke soak-kills soak-page soak-consents screenshots hints ci clean
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
READY := @sh scripts/set-up.sh test
# Of the time of the suite more than half is waiting for services: four workers keep two cores busy.
WORKERS := 4

help:
	@echo 'make demo         set up and start everything on this machine: prints the URL of the page'
	@echo 'make build        set up .venv and compile the kernels (ENGINE_BUILD=release|debug|sanitize)'
	@echo 'make test         the whole test suite, with the real Kafka, ClickHouse and browser (ARGS="-k decode" chooses)'
	@echo 'make lint         ruff check and format --check'
	@echo 'make fmt          ruff: format and mend'
	@echo 'make types        mypy'
	@echo 'make fuzz         the JSON scanner against orjson (ARGS="--documents 10000000 --seed 1": about 10 minutes)'
	@echo 'make sanitize     unit, parity and property tests under ASan and UBSan (about 15 minutes; ARGS="-k decode")'
	@echo 'make bench        the benchmarks of the kernels (bench-smoke: each once)'
	@echo 'make bench-peers  Hitonami beside its peers on one topic (ARGS="--events 4000000 --peers hitonami,ceiling,orjson --repeats 5")'
	@echo 'make soak-kills   100 random kills of a live run (about 10 minutes; ARGS="--kills 400 --seed 2")'
	@echo 'make soak-page    the page while its server is away for five minutes (about 11 minutes)'
	@echo 'make soak-consents  the consents of a run away for 90 seconds: events are held (about 3 minutes)'
	@echo 'make screenshots  pictures of the page into build/screenshots, those of README into docs/pictures (ARGS="light dark")'
	@echo 'make hints        compile the kernels and fail on a performance hint'
	@echo 'make ci           what the continuous integration runs'
	@echo 'make clean        remove what was built (keeps .cache, the fetched services)'

build:
	@sh scripts/set-up.sh demo

demo: build
	@exec $(BIN)/hitonami demo

test:
	$(READY)
	@sh scripts/browser.sh
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint:
	$(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

fmt:
	$(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types:
	$(READY)
	@$(BIN)/mypy

fuzz:
	$(READY)
	@$(BIN)/python -m tests.fuzz $(ARGS)

sanitize:
	$(READY)
	@sh scripts/sanitize.sh $(ARGS)

bench:
	$(READY)
	@$(BIN)/python -m pytest benchmarks/kernels --benchmark-enable --benchmark-only $(ARGS)

bench-peers:
	$(READY)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

# Two at a time: they are tried here, not measured, and mostly wait for services.
bench-smoke:
	$(READY)
	@$(BIN)/python -m pytest -n 2 benchmarks $(ARGS)

soak-kills:
	$(READY)
	@$(BIN)/python -m tests.faults.kills $(ARGS)

soak-page:
	$(READY)
	@sh scripts/browser.sh
	@HITONAMI_AWAY_S=300 $(BIN)/python -m pytest -s -o faulthandler_timeout=900 tests/browser/test_stream.py -k op_14 $(ARGS)

soak-consents:
	$(READY)
	@HITONAMI_CONSENTS_AWAY_S=90 $(BIN)/python -m pytest -s -o faulthandler_timeout=900 tests/faults/test_consents_away.py $(ARGS)

screenshots:
	$(READY)
	@sh scripts/browser.sh
	@$(BIN)/python -m tests.screenshots $(ARGS)

hints:
	$(READY)
	@$(BIN)/python -m pytest tests/meta/test_kernels.py -k performance_hint

ci:
	@.ci/run

clean:
	rm -rf $(VENV) build dist *.egg-info engine/fast/*.so flows/fast/*.so engine/fast/_build.py .benchmarks .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.cache/*' -prune -exec rm -rf {} +
