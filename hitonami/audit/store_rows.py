"""Part 3b: the rows that a store holds must be what its runs imply, to the number: nothing narrower, nothing small."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from engine import readers
from engine.errors import BadInput
from engine.model import (
    DIRECTIONS,
    I64,
    NULL_INT,
    RANGE_STATUS,
    RELEASED_STATUS,
    STATUS,
    SUPPRESSED_STATUS,
    UNKNOWN_STATUS,
    WINDOWS,
)
from engine.registry import Registry, parse
from engine.tables import Tables
from hitonami.audit.readings import audit_readings
from hitonami.audit.report import Report
from hitonami.audit.rerun import row_faults
from hitonami.audit.rules import Mask, Rule
from hitonami.audit.stored import (
    Chains,
    Context,
    FlowRows,
    Stored,
    codes,
    counts,
    flow_rows,
    is_word,
    pieces,
    texts,
    times,
    window_ends,
)


def audit_rows(store: Stored, what: Context, registry: Registry | None, chains: Chains, rule: Rule) -> Report:
    """Judge every row of ``flow`` and, where its ``registry`` is known, of ``zones`` of one run."""
    report = Report()
    read = frozenset[str]() if registry is None else _read(registry, what)
    for code, label in enumerate(WINDOWS):
        flow, zones = Report(), Report()
        flow_pieces, zone_pieces = pieces(store, "flow", what, code), pieces(store, "zones", what, code)
        for table, zone_table in zip(flow_pieces, zone_pieces, strict=True):
            rows = flow_rows(table, what, code)
            flow.add(_flow(rows, what, chains, rule, code, f"{what.place}, flow {label}"))
            if registry is not None:
                zones.add(_zones(zone_table, rows, what, registry, read, code, f"{what.place}, zones {label}"))
        report.add(flow)
        report.add(zones)
    return report


def registry_of(store: Stored, what: Context) -> Registry | None:
    """The registry that the run began with; None where the store has none, or another, under its name."""
    text = store.registry(what.run.registry_version)
    try:
        registry = None if text is None else parse(text.encode())
    except BadInput:
        return None
    return registry if registry is not None and registry.hash == what.run.registry_hash else None


def _read(registry: Registry, what: Context) -> frozenset[str]:
    """Zones whose readings by points and cameras the run publishes."""
    tables = Tables(registry)
    of = readers.have_readings(tables, readers.Rule(what.zones_k, what.beside_gates))
    return frozenset(name for name, may in zip(tables.zone_ids, of.tolist(), strict=True) if may)


def _flow(rows: FlowRows, what: Context, chains: Chains, rule: Rule, code: int, place: str) -> Report:
    report = Report()
    report.count(flow_rows=len(rows.n))
    status = codes(rows.status, STATUS)
    twice = (rows.chain[1:] == rows.chain[:-1]) & (rows.start_ms[1:] == rows.start_ms[:-1])
    report.found(int(twice.sum()), place, "the same row twice")
    wrong = np.zeros(len(rows.n), bool)
    begins = np.flatnonzero(np.diff(rows.chain, prepend=-1)).tolist()
    for first, end in pairwise([*begins, len(rows.n)]):
        name, mine = rows.name(first), slice(first, end)
        leaf = what.run.leaves.get(name[0])
        if leaf is None or WINDOWS.index(leaf) > code:
            report.found(1, place, f"rows of gate {name[0]}, which has none of this length")
            continue
        runs = chains.of(name)
        began = int(runs.start_ms[0]) if len(runs.n) else int(rows.start_ms[first])
        expected = rule.rows(
            runs.end_ms, runs.n, rows.start_ms[mine], rows.end_ms[mine], what.threshold, began, rows.coverage[mine]
        )
        stored = (rows.n[mine], rows.low[mine], rows.high[mine], status[mine])
        wrong[mine] = np.any([a != b for a, b in zip(stored, expected, strict=True)], axis=0)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        gate, direction = rows.name(at)
        where = f"{place}, first {gate} {direction} {_shown(int(rows.start_ms[at]))}"
        report.found(int(wrong.sum()), where, "a row is not what the runs imply")
    shown, hidden = row_faults(rows.n, rows.low, rows.high, status, what.k, what.threshold)
    report.found(shown, place, f"a released row below K = {what.threshold} or not exact")
    report.found(hidden, place, f"a hidden row tells its count, or has fewer than {what.k} possible values")
    told = (status == UNKNOWN_STATUS) & ~((rows.n == NULL_INT) & (rows.low == NULL_INT) & (rows.high == NULL_INT))
    report.found(int(told.sum()), place, "an unknown row with figures")
    return report


def _zones(
    table: Any, rows: FlowRows, what: Context, registry: Registry, read: frozenset[str], code: int, place: str
) -> Report:
    """Zone rows are interval sums: inflow = the gates' passages into the zone, unknown as soon as one gate is."""
    report = Report()
    start = times(table, "window_start")
    zone = texts(table, "zone")
    version = texts(table, "registry_version")
    ready = (window_ends(start, what.clock, code) <= what.known_ms) & is_word(version, registry.version)
    report.count(zone_rows=int(ready.sum()), zone_rows_of_other_registries=int((~ready).sum()))
    sides = {z: _sides(registry, z) for z in zone.words}
    strangers = [z for z, of_zone in sides.items() if of_zone is None and z not in read]
    report.found(len(strangers), place, "rows of a zone without gates or readings in the registry")
    gated = frozenset(z for z, of_zone in sides.items() if of_zone is not None)
    report.add(audit_readings(table, what, read, gated, ready, code == 0))
    known, wrong = codes(texts(table, "status"), STATUS), np.zeros(len(start), bool)
    for number, name in enumerate(zone.words):
        of_zone = sides[name]
        if of_zone is None:
            continue
        mine = np.flatnonzero((zone.codes == number) & ready)
        at = start[mine]
        exact = small = np.ones(len(mine), bool)
        unknown = np.zeros(len(mine), bool)
        for flow, chains in of_zone.items():
            low, high, blind = _sum(rows, chains, at)
            unknown |= blind
            few = (high < what.threshold) & (what.threshold > 1)
            exact, small = exact & (low == high), small & few
            figures = (np.where(few, NULL_INT, (low + high) // 2), low, high)
            for column, figure in zip((flow, f"{flow}_low", f"{flow}_high"), figures, strict=True):
                wrong[mine] |= counts(table, column)[mine] != np.where(blind, NULL_INT, figure)
        status = np.where(exact, RELEASED_STATUS, np.where(small, SUPPRESSED_STATUS, RANGE_STATUS))
        wrong[mine] |= known[mine] != np.where(unknown, UNKNOWN_STATUS, status)
    report.found(int(wrong.sum()), place, "a row is not the sum of its gates' rows")
    return report


def _sides(registry: Registry, zone: str) -> dict[str, list[tuple[str, str]]] | None:
    """Chains (gate, direction) that lead into and out of a zone; None for a zone without gates."""
    ab, ba = DIRECTIONS[0], DIRECTIONS[1]
    into = [(g.id, ba) for g in registry.gates if g.a == zone] + [(g.id, ab) for g in registry.gates if g.b == zone]
    out = [(g.id, ab) for g in registry.gates if g.a == zone] + [(g.id, ba) for g in registry.gates if g.b == zone]
    return {"inflow": into, "outflow": out} if into else None


def _sum(rows: FlowRows, chains: list[tuple[str, str]], at: I64) -> tuple[I64, I64, Mask]:
    """Sums of low and high of these chains at window starts ``at``, and where one of them is unknown or missing."""
    low, high, blind = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64), np.zeros(len(at), bool)
    for gate, direction in chains:
        mine = np.flatnonzero(is_word(rows.gate, gate) & is_word(rows.direction, direction))
        if not len(mine):
            blind[:] = True
            continue
        place = np.minimum(np.searchsorted(rows.start_ms[mine], at), len(mine) - 1)
        row = mine[place]
        blind |= (rows.start_ms[row] != at) | (rows.low[row] == NULL_INT)
        low, high = low + rows.low[row], high + rows.high[row]
    return low, high, blind


def _shown(ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
