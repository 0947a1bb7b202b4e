"""Every statement of the dashboards, by Grafana's own user of ClickHouse, on the real server with real tables."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sinks.clickhouse.alerts import Action
from sinks.clickhouse.store import Store
from tests.realservices.clickhouse import ClickHouse
from tests.services.released import alert_row, alerts, flow, released, run, zone_row, zones
from tests.support.grafana import BOARDS, FOLDER, filled, panels, statements

pytestmark = pytest.mark.clickhouse

MINUTE, HOUR = 60_000, 3_600_000
PANELS = dict(panels())
STATEMENTS = statements()
RUNS = ("now", "away", "again")  # live and running, live and gone quiet, a replay of long ago
PASSWORD = "of-tests"
REGISTRY = {"version": "v1", "sensors": [{"id": f"s{i}", "kind": "camera"} for i in range(4)]}


class Grafana:
    """What Grafana sends: statements of its own user over HTTP."""

    def __init__(self, server: ClickHouse, now_ms: int) -> None:
        self._server = server
        self.now_ms = now_ms

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a statement. Raises AssertionError with ClickHouse's words."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._server.port}/?database=hitonami&default_format=JSON&max_execution_time=30"
            "&output_format_json_quote_64bit_integers=0",
            data=sql.encode(),
            headers={"X-ClickHouse-User": "grafana", "X-ClickHouse-Key": PASSWORD},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                rows: list[dict[str, Any]] = json.load(answer)["data"]
                return rows
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def show(self, panel: str, run_id: str) -> list[dict[str, Any]]:
        """The rows of a panel, or of a variable, of one run."""
        told = {"run": run_id, "window": "1m", "zone": ["c1", "it's"], "gate": ["j1"]}
        span = {"__from": str(self.now_ms - 400 * 24 * HOUR), "__to": str(self.now_ms + HOUR)}
        return self.ask(filled(STATEMENTS[panel], {**told, **span}))

    def now(self, panel: str, run_id: str) -> dict[str, Any]:
        """The one row of a panel that has one."""
        (row,) = self.show(f"{panel}/A", run_id)
        return row


def fill(store: Store, run_id: str, kind: str, end_ms: int, **more: Any) -> None:
    """A run whose last window of 1 minute ended at ``end_ms``: zone c1 known but in its second minute, it's unknown."""
    told = {"registry_hash": "h", "closed_ms": end_ms, "read": 90, "accepted": 80, "rejected": {"late": 10}, **more}
    store.start_run(run(run_id, kind=kind, **told))
    rows = []
    for i in range(5):
        start = end_ms - (5 - i) * MINUTE
        known: dict[str, Any] = {"occupancy_low": 10, "occupancy_high": 20, "density": 0.5, "los": "C", "coverage": 1.0}
        rows.append(zone_row("1m", start, "c1", 15, status="range", **known) if i != 1 else zone_row("1m", start, "c1"))
        rows.append(zone_row("1m", start, "it's", coverage=0.0))
    store.insert(zones("z", *rows), run_id)
    start = end_ms - MINUTE
    cells = {"ab": (6, 4, 9, "range", 1.0), "ba": (3, 3, 3, "released", 1.0)}
    before = [
        ("1m", start - MINUTE, "j1", "ab", *cells["ab"]),
        ("1m", start - MINUTE, "j1", "ba", None, None, None, "unknown", 0.0),
    ]
    store.insert(flow("f", *before, *(("1m", start, "j1", way, *told) for way, told in cells.items())), run_id)
    health = [("1m", start - HOUR, "s0", "ok", start - HOUR), ("1m", start - HOUR, "s1", "ok", start - HOUR)]
    store.insert(released("health", "h", [*health, ("1m", start, "s1", "silent", start)]), run_id)
    store.insert(released("rejects", "r", [(start - start % HOUR, "s1", "late", 10)]), run_id)
    gone = (alert_row("b", start - MINUTE), alert_row("b", start, "resolved", start - MINUTE))
    store.insert(alerts("a", alert_row("a", start, severity="critical"), *gone), run_id)
    store.act(Action(run_id, "a", "acknowledge", "sato", start + 20_000))
    store.act(Action(run_id, "a", "assign", "sato", start + 30_000, owner="ito"))
    store.act(Action(run_id, "a", "shelve", "sato", start + 31_000, reason="secret", until_ms=end_ms + 900 * HOUR))
    store.act(Action(run_id, "a", "unshelve", "sato", start + 32_000))


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grafana]:
    """A server with the user of deploy/grafana, and runs of every kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFANA_STORE_PASSWORD", PASSWORD)
        server = ClickHouse(tmp_path_factory.mktemp("grafana") / "server", users=FOLDER / "clickhouse-user.xml")
    now = int(time.time() * 1000) // MINUTE * MINUTE
    with server, Store.open(server.url("hitonami")) as store:
        store.migrate()
        store.put_registry("v1", "h", json.dumps(REGISTRY))
        # up to a minute that is still to come: slow tests do not make it stale
        fill(store, "now", "live", now + 5 * MINUTE)
        fill(store, "away", "live", now - HOUR)
        fill(store, "again", "replay", now - 200 * 24 * HOUR, state="finished")
        # as it happens: a replay, that is found to overlap a live run with other settings (both rows are on disk)
        server.query("SYSTEM STOP MERGES hitonami.runs")
        fill(store, "bench", "replay", now - HOUR, state="finished")
        store.start_run(run("bench", kind="workbench", state="finished", registry_hash="h", updated_ms=2**41))
        yield Grafana(server, now)


# ------------------------------------------------------------------------------------ all of them
@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_finds_rows_of_runs_but_none_of_the_workbench(grafana: Grafana, statement: str) -> None:
    assert grafana.show(statement, "now") != []
    rows = grafana.show(statement, "bench")
    if statement.endswith("/$run"):
        assert [row["run_id"] for row in rows] == ["away", "now", "again"]
    else:
        # an aggregate over nothing has a row: it must say that it knows nothing
        assert all(value is None for row in rows for value in row.values()), rows


# ----------------------------------------------------------------------------------------- crowd
def test_levels_of_a_run_that_is_there(grafana: Grafana) -> None:
    levels = grafana.now("crowd/Zones by level of service, now", "now")
    assert levels == {**dict.fromkeys("ABDEF", 0), "C": 1, "unknown": 1}
    assert levels == grafana.now("crowd/Zones by level of service, now", "again")


def test_nothing_is_known_of_now_once_windows_no_longer_close(grafana: Grafana) -> None:
    levels = grafana.now("crowd/Zones by level of service, now", "away")
    assert levels == {**dict.fromkeys("ABCDEF", 0), "unknown": 2}
    for row in grafana.show("crowd/Zones, now/A", "away"):
        assert row["level"] == "unknown"
        assert {row[name] for name in ("people_low", "people_high", "density", "speed", "coverage")} == {None}


def test_an_unknown_window_is_a_hole_and_never_a_zero(grafana: Grafana) -> None:
    density = {
        row["time"]: row["density"] for row in grafana.show("crowd/Density of zones/A", "now") if row["zone"] == "c1"
    }
    assert [density[time] for time in sorted(density)] == [0.5, None, 0.5, 0.5, 0.5]
    people = [row["≤"] for row in grafana.show("crowd/People in zones, range/A", "now") if row["zone"] == "it's"]
    assert people == [None] * 5
    levels = [row["level"] for row in grafana.show("crowd/Level of service of zones/A", "now") if row["zone"] == "c1"]
    assert levels == [3, -1, 3, 3, 3]


def test_flow_is_a_range_and_unknown_where_one_direction_is(grafana: Grafana) -> None:
    before, last = grafana.show("crowd/Flow through gates, range/A", "now")
    assert (before["≥"], before["≤"]) == (None, None)
    assert (last["≥"], last["≤"]) == (7, 12)


# --------------------------------------------------------------------------------------- sensors
def test_sensors_that_were_never_heard_are_unknown(grafana: Grafana) -> None:
    states = grafana.now("sensors/Sensors by state, now", "now")
    assert {name: n for name, n in states.items() if n} == {"ok": 1, "silent": 1, "unknown": 2}
    told = [(row["sensor"], row["state"]) for row in grafana.show("sensors/Sensors that are not ok/A", "now")]
    assert told == [("s1", "silent"), ("s2", "unknown"), ("s3", "unknown")]


def test_all_sensors_are_unknown_while_the_run_is_away(grafana: Grafana) -> None:
    states = grafana.now("sensors/Sensors by state, now", "away")
    assert {name: n for name, n in states.items() if n} == {"unknown": 4}


def test_lag_is_told_of_live_runs_only(grafana: Grafana) -> None:
    assert grafana.now("sensors/Closed windows behind the clock", "away")["lag"] >= 3600
    assert grafana.now("sensors/Closed windows behind the clock", "again") == {"lag": None}
    assert grafana.show("sensors/From the end of a window to the store/A", "again") == []


def test_refused_events_are_those_that_were_released(grafana: Grafana) -> None:
    (row,) = grafana.show("sensors/Refused events by reason/A", "now")
    assert (row["reason"], row["events"]) == ("late", 10)


# ---------------------------------------------------------------------------------------- alerts
def test_standing_alerts_are_counted_or_unknown(grafana: Grafana) -> None:
    panel = "alerts/Standing alerts by severity"
    assert grafana.now(panel, "now") == {"critical": 1, "warning": 0, "info": 0}
    assert grafana.now(panel, "away") == {"critical": None, "warning": None, "info": None}


def test_the_handling_of_an_alert_is_told(grafana: Grafana) -> None:
    (row,) = grafana.show("alerts/Standing alerts/A", "now")
    assert (row["rule"], row["severity"], row["handling"], row["owner"]) == ("dense", "critical", "acknowledged", "ito")
    assert grafana.now("alerts/Median time to acknowledge", "now") == {"waited": 20}
    (ended,) = grafana.show("alerts/Alerts that ended/A", "now")
    assert (ended["lasted"], ended["reason"]) == (60, "recovered")


# ------------------------------------------------------------------------------- the user's rights
@pytest.mark.parametrize("table", ["flow", "zones", "health", "rejects", "alerts", "runs", "alert_actions"])
def test_its_user_sees_no_workbench_run_by_any_statement(grafana: Grafana, table: str) -> None:
    # of runs the newest row counts, with FINAL: an older one tells what was true of the run when it was a replay
    final = "FINAL" if table == "runs" else ""
    assert {row["run_id"] for row in grafana.ask(f"SELECT DISTINCT run_id FROM {table} {final}")} == set(RUNS)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT reason FROM alert_actions",
        "SELECT by FROM alert_actions",
        "SELECT last_ms FROM runs",
        "SELECT config FROM runs",
        "SELECT n FROM runs_of_flow",
        "INSERT INTO zones (run_id) VALUES ('now')",
        "DROP TABLE zones",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    ],
)
def test_its_user_may_do_nothing_else(grafana: Grafana, sql: str) -> None:
    with pytest.raises(AssertionError, match=r"Not enough privileges|readonly mode|ACCESS_DENIED|READONLY"):
        grafana.ask(sql)


def test_every_panel_is_asked() -> None:
    assert len(STATEMENTS) == len(PANELS) + sum(
        variable["type"] == "query" for board in BOARDS.values() for variable in board["templating"]["list"]
    )
