"""What the page says of a run that has closed nothing for a while: it catches up, or it is away."""

from __future__ import annotations

import pytest

from dashboard.app import create_app
from dashboard.serve import serve
from tests.browser.fake_store import FakeRun, FakeStore
from tests.unit.test_dashboard_app import NOW, Events


@pytest.mark.parametrize(
    ("age_ms", "told_ms", "state", "problem"),
    [
        (17_000, 60_000, "running", None),
        (17_001, 10_001, "running", "quiet"),
        (17_001, 10_000, "running", "behind"),
        (17_001, 10_000, "stopped", None),
    ],
)
def test_a_running_run_that_closes_nothing_is_quiet_or_behind(
    age_ms: int, told_ms: int, state: str, problem: str | None
):
    run = FakeRun(read=10, accepted=10, rejected={}, closed_ms=NOW - age_ms, updated_ms=NOW - told_ms, state=state)
    server = serve(create_app(FakeStore(None, run), clock=lambda: NOW / 1000, poll_s=0.1))  # type: ignore[arg-type]
    try:
        events = Events(server)
        assert events.next()[2]["problem"] == problem
        events.close()
    finally:
        server.stop()
