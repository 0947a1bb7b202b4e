"""The audit of what a store holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from engine.errors import BadInput, UsageError
from hitonami.audit.report import Report
from hitonami.audit.rule_audit import DEFAULT_SETTINGS
from hitonami.audit.rules import Rule
from hitonami.audit.second_release import audit_pairs
from hitonami.audit.store_headings import audit_headings
from hitonami.audit.store_rows import audit_rows, registry_of
from hitonami.audit.store_runs import audit_runs
from hitonami.audit.store_tables import TABLES, audit_stored_tables, table_context
from hitonami.audit.stored import Context, Stored, chains, context, headings_context
from hitonami.audit.table_audit import TABLE_SETTINGS
from hitonami.audit.table_pairs import audit_table_pairs
from hitonami.audit.table_rules import TableRule

SEED = 20_260_207
_UNREADABLE = (ValueError, KeyError, TypeError, BadInput)


def settings_of(store: Stored, run_ids: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The different (k, guard) of these runs; the default where there is no run, or none whose settings can be read."""
    found = set()
    for run in store.runs():
        if run.run_id in run_ids:
            with suppress(*_UNREADABLE):  # audit_store says so
                what = context(run)
                of_headings = headings_context(what)
                found |= {(what.k, what.guard), (of_headings.k, of_headings.guard)}
    return tuple(sorted(found)) or DEFAULT_SETTINGS


def table_settings_of(store: Stored, run_ids: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The same of tables."""
    found = set()
    for run in store.runs():
        if run.run_id in run_ids:
            with suppress(*_UNREADABLE):
                found |= {(of.k, of.guard) for of in (table_context(context(run), product) for product in TABLES)}
    return tuple(sorted(found)) or TABLE_SETTINGS


def audit_store(
    store: Stored,
    run_ids: Sequence[str] = (),
    all_runs: bool = False,
    rule: Rule | None = None,
    table_rule: TableRule | None = None,
) -> Report:
    """Judge the runs and rows of ``run_ids`` (all of the store with ``all_runs``), and with ``all_runs`` every pair.

    Reads only. Of a run that is still being written it judges the windows known to have closed. Raises UsageError for
    a run id that is not in the store.
    """
    rule = Rule() if rule is None else rule
    table_rule = TableRule() if table_rule is None else table_rule
    report, rng = Report(), np.random.default_rng(SEED)
    stored = {run.run_id: run for run in store.runs()}
    missing = [run_id for run_id in run_ids if run_id not in stored]
    if missing:
        raise UsageError(f"no run {missing[0]} in this store")
    chosen = list(stored) if all_runs else list(dict.fromkeys(run_ids))
    contexts: list[Context] = []
    for run_id in chosen:
        try:
            what = context(stored[run_id])
            of_headings = headings_context(what)
            for product in TABLES:
                table_context(what, product)
        except _UNREADABLE:
            report.found(1, f"run {run_id}", "its settings cannot be read")
            continue
        contexts.append(what)
        released = chains(store, run_id)
        report.count(audited_runs=1)
        report.add(audit_runs(what, released, rule, rng))
        registry = registry_of(store, what)
        report.found(int(registry is None), what.place, "its registry is not in the store: zones were not checked")
        report.add(audit_rows(store, what, registry, released, rule))
        report.add(audit_headings(store, of_headings, registry, rule))
        report.add(audit_stored_tables(store, what, table_rule))
    if all_runs:
        report.add(audit_pairs(store, contexts))
        report.add(audit_table_pairs(store, contexts))
    return report
