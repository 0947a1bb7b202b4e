"""deploy/grafana by itself: what every dashboard and panel has, and what its statements read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import jsonschema
import pytest
import yaml

from engine.model import HEALTH, LOS, PRODUCTS
from sinks.clickhouse.alerts import SEVERITIES
from tests.meta.test_deploy import COMPOSE, DEPLOY, compose_schema
from tests.support.grafana import BOARDS, FOLDER, filled, names, panels, statements

PANELS = dict(panels())
STATEMENTS = statements()
OVERLAY: dict[str, Any] = yaml.safe_load((DEPLOY / "grafana.yaml").read_text())
JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
UNITS = {"none", "s", "percentunit", "dateTimeAsLocal"}  # of Grafana; all others are written out as "suffix: …"
FROM = re.compile(r"\b(?:FROM|JOIN) (\w+)( (?:AS \w+ )?FINAL)?")
NEWEST = re.compile(
    r"SELECT window_start FROM (\w+) WHERE [^\n]* ORDER BY run_id DESC, window DESC, window_start DESC LIMIT 1"
)
RELEASED = "run_id IN (SELECT run_id FROM runs FINAL WHERE kind IN ('live', 'replay'))"


def provisioned(what: str) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((FOLDER / "provisioning" / what / "hitonami.yaml").read_text())
    assert told["apiVersion"] == 1
    return told


# ---------------------------------------------------------------------------------- dashboards
def test_three_dashboards_that_grafana_can_keep_apart() -> None:
    assert sorted(BOARDS) == ["alerts", "crowd", "sensors"]
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        assert board["title"].isascii() and JAPANESE.search(board["description"])
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        cells = [
            (x, y)
            for at in (panel["gridPos"] for panel in board["panels"])
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ]
        assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24  # no panel covers another


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_has_title_description_and_units(panel: dict[str, Any]) -> None:
    assert panel["title"].isascii() and panel["title"][0].isupper()
    assert JAPANESE.search(panel["description"])
    defaults, overrides = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["overrides"]
    properties = [p for override in overrides for p in override["properties"]]
    units = [defaults["unit"], *(p["value"] for p in properties if p["id"] == "unit")]
    assert all(unit in UNITS or unit.startswith("suffix: ") for unit in units)
    # a column that a table names is one that its statement tells
    (target,) = panel["targets"]
    for override in overrides:
        if override["matcher"]["id"] == "byName":
            assert re.search(rf"\b{override['matcher']['options']}\b", target["rawSql"])


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_what_is_not_known_is_said_and_never_drawn_across(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"] == "unknown 不明"
    (null,) = [m["options"] for m in defaults["mappings"] if m["type"] == "special"]
    assert null["match"] == "null+nan" and null["result"]["text"] == "unknown 不明"
    assert defaults.get("custom", {}).get("spanNulls", False) is False
    calcs = panel["options"].get("reduceOptions", {}).get("calcs", [])
    (target,) = panel["targets"]
    if "lastNotNull" in calcs:  # it would tell an older figure: only where a statement tells no null
        assert "NULL" not in target["rawSql"]


def test_words_that_have_a_colour_are_those_of_the_products() -> None:
    told: dict[str, set[str]] = {}
    for panel in PANELS.values():
        for override in panel["fieldConfig"]["overrides"]:
            for each in override["properties"]:
                for mapping in each["value"] if each["id"] == "mappings" else ():
                    told.setdefault(override["matcher"]["options"], set()).update(mapping["options"])
    assert told == {"level": set(LOS), "state": {*HEALTH, "unknown"}, "severity": set(SEVERITIES)}


# ---------------------------------------------------------------------------------- statements
@pytest.mark.parametrize("sql", STATEMENTS.values(), ids=STATEMENTS)
def test_statements_read_each_row_once_and_no_workbench_run(sql: str) -> None:
    for table, final in FROM.findall(NEWEST.sub("", sql)):
        assert table in {*PRODUCTS, "runs", "registries", "alert_actions"}
        if table == "health" and not final:
            assert "argMax(state, window_start)" in sql
        elif table != "alert_actions":  # appended, never replaced
            assert final, f"{table} without FINAL"
    for table in NEWEST.findall(sql):
        assert table in ("zones", "flow")
    assert RELEASED in sql or re.fullmatch(
        r"SELECT run_id FROM runs FINAL WHERE kind IN \('live', 'replay'\) ORDER BY .*", sql
    )
    assert not re.search(r"\bfirst_ms|last_ms|\bconfig\b|\bby\b(?! )|runs_of_flow", sql)


def test_every_variable_is_there() -> None:
    for name, sql in STATEMENTS.items():
        board = BOARDS[name.split("/")[0]]
        there = {variable["name"] for variable in board["templating"]["list"]} | {"__from", "__to"}
        assert names(sql) <= there, name
        assert "$" not in filled(sql, dict.fromkeys(there, "1"))


# ---------------------------------------------------------------------------------- provisioning
def test_everything_asks_the_one_data_source() -> None:
    (source,) = provisioned("datasources")["datasources"]
    assert (source["type"], source["uid"]) == ("grafana-clickhouse-datasource", "hitonami")
    mine = {"type": source["type"], "uid": source["uid"]}
    for panel in PANELS.values():
        assert panel["datasource"] == mine and all(target["datasource"] == mine for target in panel["targets"])
    user = ET.parse(FOLDER / "clickhouse-user.xml").find("users/grafana")
    assert user is not None and source["jsonData"]["username"] == "grafana"
    secret = source["secureJsonData"]["password"].removeprefix("$")
    password = user.find("password")
    assert password is not None and password.attrib == {"from_env": secret}
    for service in ("clickhouse", "grafana"):
        assert OVERLAY["services"][service]["environment"][secret] == "${" + secret + ":?set it}"
    assert source["jsonData"]["host"] in COMPOSE["services"]
    (store,) = (word for word in COMPOSE["services"]["run"]["command"] if word.startswith("--store="))
    assert store.endswith(f"@{source['jsonData']['host']}:8123/{source['jsonData']['defaultDatabase']}")


def test_the_compose_file_beside_is_one() -> None:
    jsonschema.validate(OVERLAY, compose_schema())
    grafana = OVERLAY["services"]["grafana"]
    assert set(grafana["networks"]) <= set(COMPOSE["networks"]) and set(grafana["depends_on"]) <= set(
        COMPOSE["services"]
    )
    assert grafana["ports"] == ["127.0.0.1:3000:3000"]
    assert "grafana-clickhouse-datasource" in grafana["environment"]["GF_INSTALL_PLUGINS"]
    mounted = {}
    for service in OVERLAY["services"].values():
        for volume in service["volumes"]:
            source, target = volume.split(":")[:2]
            mounted[target] = source
            assert source in OVERLAY["volumes"] or (DEPLOY / source).exists(), volume
    (provider,) = provisioned("dashboards")["providers"]
    assert mounted[provider["options"]["path"]] == "./grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
