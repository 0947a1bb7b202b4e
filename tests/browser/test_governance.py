"""Consents, contracts and what companies have read, as supervisors see them; from a real embedded store."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.roles import Who
from engine.contract import Contract, Step
from sinks.clickhouse.company import Ask, ReadRefused
from sinks.clickhouse.consents import ConsentState
from sinks.clickhouse.store import Store
from tests.browser.conftest import Clock, Served
from tests.browser.desk import CANARY, serious
from tests.services.released import T0, run

pytestmark = pytest.mark.browser
BOSS = Who("boss", "supervisor")
TOKEN = "ab" * 32


def contract(name: str, company: str, *steps: Step) -> Contract:
    return Contract(name, company, ("policy",), ("profiles", "trips"), "2026-01-01T00:00:00+09:00",
                    "2099-01-01T00:00:00+09:00", 3, "months", (Step("add", T0), *steps), TOKEN)  # fmt: skip


def fill(store: Store, now_ms: int) -> None:
    store.start_run(run("pro", kind="live", config='{"flow":{"k":5},"profiles":{"purpose":"policy"}}'))
    store.put_consents("pro", ConsentState(now_ms - 5_000, 90_000, True, ("bad_value",), {"acme": 120, CANARY: 10}))
    held = contract("held", CANARY, Step("leak", T0 + 1, CANARY))
    for one in (contract("acme-2026", "acme", Step("report", now_ms - 1)), held, contract("late", "beta")):
        assert store.put_contract(one.id, 1, one.text())
    store.company_read(Ask("acme-2026", "policy", "profiles", "pro"), lambda: now_ms).given(7)
    with pytest.raises(ReadRefused):
        store.company_read(Ask("held", "policy", "trips", "pro"), lambda: now_ms)
    store.put_contract("broken", 1, "{")  # from now on nobody reads: whose it is stands nowhere


def asked(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=20) as answer:
        return json.load(answer)


def test_what_supervisors_are_told_of_consents_contracts_and_reads(real: Store, served: Served, clock: Clock) -> None:
    fill(real, clock.ms())
    url = served(real, local=BOSS).url
    (of_run,) = asked(url, "/api/consents")["runs"]
    assert (of_run["run_id"], of_run["lag_ms"], of_run["held"], of_run["faults"]) == (
        "pro",
        90_000,
        True,
        ["bad_value"],
    )
    assert [(told["provider"], told["low"], told["high"]) for told in of_run["providers"]] == [
        (CANARY, 10, 19), ("acme", 120, 129),
    ]  # fmt: skip
    told = asked(url, "/api/contracts")
    assert [(one["id"], one["state"]) for one in told["contracts"]] == [
        ("acme-2026", "active"), ("held", "suspended"), ("late", "report_due"),
    ]  # fmt: skip
    assert told["unreadable"] == 1 and TOKEN not in json.dumps(told)
    told = asked(url, "/api/reads")
    assert (told["count"], told["fault"]) == (2, None)
    assert [(one["contract"], one["rows"], one["reason"]) for one in told["reads"]] == [
        ("held", 0, "suspended"), ("acme-2026", 7, ""),
    ]  # fmt: skip
    assert told["contracts"] == [
        {"contract": "acme-2026", "company": "acme", "given": 1, "refused": 0, "rows": 7},
        {"contract": "held", "company": CANARY, "given": 0, "refused": 1, "rows": 0},
    ]
    assert [one["seq"] for one in asked(url, "/api/reads?limit=1")["reads"]] == [2]
    real._connection.command(f"ALTER TABLE {real._connection.table('reads')} UPDATE rows = 8 WHERE seq = 1")
    told = asked(url, "/api/reads")
    assert (told["count"], told["fault"]) == (0, "chain of reads: row 1 was changed")


def test_supervisors_see_them_on_the_page_in_both_languages(
    page: Page, real: Store, served: Served, clock: Clock
) -> None:
    fill(real, clock.ms())
    page.goto(served(real, local=BOSS).url + "/?view=governance")
    consents, contracts, reads = (page.locator("#governance > section").nth(i) for i in range(3))
    expect(consents).to_contain_text("■ 保留中")
    expect(consents.locator("tbody tr").nth(1).locator(".figures")).to_have_text("120–129 約 124")
    expect(contracts.locator("tbody tr")).to_have_count(3)
    expect(contracts.locator("tbody tr").nth(1).locator("td").nth(0)).to_have_text(CANARY)
    expect(contracts.locator("tbody tr").nth(1).locator("td").nth(1)).to_have_text("■ 停止")
    expect(contracts.locator("tbody tr").nth(2).locator("td").nth(1)).to_have_text("▲ 報告期限超過")
    expect(contracts).to_contain_text("読めない契約の記録が 1 件")
    expect(reads).to_contain_text("2 件すべて確かめました")
    expect(reads.locator("tbody tr").last).to_contain_text("提供")
    page.locator("#lang").click()
    expect(contracts.locator("tbody tr").nth(1).locator("td").nth(1)).to_have_text("■ suspended")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#governance img").count() == 0 and page.evaluate("window.hit") is None
