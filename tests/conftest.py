"""Fixtures of all tests: real services (started once a session, on first use), data, kernels, the browser."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import pytest

from tests.realservices import browser as chromium_kit
from tests.realservices.cache import ROOT, ServiceError
from tests.realservices.clickhouse import ClickHouse
from tests.realservices.kafka import Kafka
from tests.support.hang import (  # noqa: F401  (hooks: a hang is a failed test)
    pytest_runtest_call,
    pytest_runtest_protocol,
    pytest_runtest_setup,
    pytest_runtest_teardown,
)
from tests.support.order import pytest_collection_modifyitems  # noqa: F401  (hook: long files first)

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route

# The same examples in every run: a failure today is a failure tomorrow. HYPOTHESIS_PROFILE=explore looks further.
hypothesis.settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True, database=None, max_examples=50
)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_numbers = itertools.count(1)


# --------------------------------------------------------------------------------- services
Service = TypeVar("Service", Kafka, ClickHouse)


def _started(make: Callable[[Path], Service], directory: Path) -> Service:
    """The service, started; one that cannot be had fails its tests with one clear message."""
    try:
        return make(directory).start()
    except ServiceError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The session's Kafka: one node. Tests that stop or kill one start their own (``Kafka(tmp_path)``)."""
    service = _started(Kafka, tmp_path_factory.mktemp("kafka"))
    yield service
    service.kill_all()


@pytest.fixture
def topic(kafka: Kafka) -> Callable[..., str]:
    """Makes topics of names of their own: ``topic(partitions=4, timestamps="CreateTime", config={…})``."""

    def make(partitions: int = 1, *, name: str = "people", **options: Any) -> str:
        return kafka.create_topic(f"{name}-{next(_numbers)}", partitions, **options)

    return make


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The session's ClickHouse server. Tests that stop or kill one start their own (``ClickHouse(tmp_path)``)."""
    service = _started(ClickHouse, tmp_path_factory.mktemp("clickhouse"))
    yield service
    service.kill()


@pytest.fixture
def clickhouse_url(clickhouse: ClickHouse) -> Iterator[str]:
    """The store URL of a new, empty database on the session's server."""
    database = f"test_{next(_numbers)}"
    clickhouse.query(f"CREATE DATABASE {database}")
    yield clickhouse.url(database)
    clickhouse.query(f"DROP DATABASE {database} SYNC")


@pytest.fixture
def chdb_url(tmp_path: Path) -> str:
    """The store URL of a new embedded database; one process owns it."""
    return f"chdb://{tmp_path}/store"


# ------------------------------------------------------------------------------------- data
@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of public data sets beside the repository; without it these tests are skipped, in CI too."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the public data sets (../shared/data) are not on this machine")
    return path


# ---------------------------------------------------------------------------------- kernels
@pytest.fixture(params=["compiled", "reference"])
def kernels(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Runs a test once on the compiled kernels and once on their readable twins; yields the active ones."""
    import engine.kernels

    before = engine.kernels.active().mode
    yield engine.kernels.use(request.param)
    engine.kernels.use(before)


# ---------------------------------------------------------------------------------- browser
@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How pytest-playwright starts the browser: Debian's Chromium. In CI it must be there."""
    path = chromium_kit.chromium()
    if path is None:
        if chromium_kit.must_run():
            pytest.fail(chromium_kit.INSTALL, pytrace=False)
        pytest.skip(chromium_kit.INSTALL)
    return {"executable_path": path, "args": list(chromium_kit.ARGUMENTS)}


@pytest.fixture
def foreign_urls(context: BrowserContext) -> list[str]:
    """Every URL outside this machine that a page of the test asked for; they are refused."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    context.route(chromium_kit.foreign, refuse)
    return asked


@pytest.fixture
def page(context: BrowserContext, foreign_urls: list[str]) -> Iterator[Page]:
    """A page that must ask for nothing outside this machine."""
    yield context.new_page()
    assert foreign_urls == []
