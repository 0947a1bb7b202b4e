"""Stored tables in memory: touches and screens of two devices, profiles, trips, all as the rules release them."""

from functools import cache

import numpy as np
import pyarrow as pa

from engine.config import Config
from engine.fast import _tree
from engine.languages import LANGUAGES
from engine.model import END, NULL_INT, STATUS
from engine.profile_tables import domain, word
from engine.tree_rules import capped, figures
from hitonami.audit.table_rules import Shape, TableRule
from sinks.clickhouse.reader import schema_of
from sinks.clickhouse.store import Run

RULE = TableRule(tree=_tree.tree)
T0 = 1_770_390_000_000  # 2026-02-07T00:00:00+09:00
QUARTER, HOUR, DAY = 900_000, 3_600_000, 86_400_000
SCREENS = (("kita2-01", "top"), ("kita2-01", "map"), ("kita2-02", "top"))


def row(key, low, high, k):
    n, status = figures(np.array([low]), np.array([high]), k)
    told = None if n[0] == NULL_INT else int(n[0])
    return {**key, "n": told, "n_low": int(low), "n_high": int(high), "status": STATUS[status[0]]}


def cut(n, absent, k):
    """Ranges of one total behind its cells."""
    m = len(n) + 1
    low, high = np.zeros((2, m), np.int64)
    parent = np.array([m - 1] * (m - 1) + [-1], np.int32)
    RULE.tree(parent, np.array([*n, 0]), np.array([0] * (m - 1) + [absent]), k, 1, low, high)
    return low, high


def touches(rng, rows, totals):
    for start in range(T0, T0 + 6 * HOUR, QUARTER):
        for device, screen in SCREENS:
            n = rng.poisson([14, 5, 4, 3, 2, 0.3] if screen == "top" else [4, 3, 3, 2, 2, 2]).astype(np.int64)
            low, high = cut(n, len(LANGUAGES) - len(n), 5)
            totals[device, screen, start] = int(low[-1]), int(high[-1]), int(n.sum())
            for lang, a, b in zip([*LANGUAGES[:6], ""], low, high, strict=True):
                if a >= 5:
                    key = {"window": "15m", "window_start": start, "device": device, "screen": screen, "lang": lang}
                    rows.append(row(key, a, b, 5))


def screens(rng, rows, totals):
    for start in range(T0, T0 + 6 * HOUR, HOUR):
        for device, screen in SCREENS:
            of = [totals[device, screen, start + i * QUARTER] for i in range(4)]
            everybody = sum(people for *_, people in of)
            for to, most in (("search", 0.2), ("route", 0.5), ("back", 1.0)):
                n = np.array([everybody if most == 1 and screen == "map" else rng.binomial(everybody, most * 0.8)])
                low, high = capped(n, 5, np.array([a for a, *_ in of]), np.array([b for _, b, _ in of]), 5)
                if low[0] >= 5:
                    key = {"window": "1h", "window_start": start, "device": device, "from": screen, "to": to}
                    rows.append(row(key, low[0], high[0], 5))


ATTRIBUTES = ("gender", "birth_year", "occupation")
TABLE = "*".join(ATTRIBUTES)


def profiles(rng, rows):
    """Three days of one table, of all categories that all know of, and one of interests."""
    words = [[word(name, code) for code in domain(name, T0, {})[0]] for name in ATTRIBUTES]
    many = [len(each) for each in words]
    shape = Shape.of(((many[2],) * many[1],) * many[0])
    for day in range(3):
        busy = (0.3 * rng.gamma(0.7, 1, many[0])[:, None, None]) * rng.gamma(0.4, 20, many[1])[:, None]
        n = rng.poisson(busy * rng.gamma(0.8, 3, many[2])).reshape(-1).astype(np.int64)
        low, high = (column[0] for column in RULE.publish(shape, n[None], 10, 1))
        low, high = RULE.withheld(shape.parent, low, high)
        key = {"window": "1d", "window_start": T0 + day * DAY, "table": TABLE}
        for node in np.flatnonzero(low >= 10).tolist():
            place = np.unravel_index(int(shape.holds[node].argmax()), many)
            depth = 3 - np.searchsorted(np.cumprod([1, *many[:0:-1]]), shape.holds[node].sum())
            path = [of[i] for of, i in zip(words, place, strict=True)][: max(depth, 0)]
            name, col = ("/".join(path[:2]), path[2]) if len(path) == 3 else ("/".join(path), "")
            rows.append(row({**key, "row": name, "col": col}, low[node], high[node], 10))
    key = {"window": "1d", "window_start": T0 + 3 * DAY, "table": "interests", "col": ""}
    rows += [row({**key, "row": name}, n, n, 10) for name, n in (("food", 31), ("music", 18))]


@cache
def made():
    rng = np.random.default_rng(4)
    tables, totals = {name: [] for name in ("touches", "screens", "profiles", "trips")}, {}
    touches(rng, tables["touches"], totals)
    screens(rng, tables["screens"], totals)
    profiles(rng, tables["profiles"])
    key = {"window": "1d", "window_start": T0, "from": "odori"}
    tables["trips"] = [row({**key, "to": to}, n, n, 10) for to, n in (("susukino", 10), ("eki", 44))]
    return tables


class FakeStore:
    """One run of tables in memory, in the types in which the store gives them; rows can be tampered with."""

    def __init__(self, **fields):
        self.tables = {name: [dict(r) for r in rows] for name, rows in made().items()}
        config = Config()
        self.run = Run(
            **{
                "run_id": "s1", "kind": "replay", "config": config.as_json(), "config_hash": config.hash(),
                "registry_version": "v1", "registry_hash": "", "code_version": "0", "timezone": "Asia/Tokyo",
                "leaves": {}, "gate_delay_ms": 0, "first_ms": T0, "last_ms": T0 + 4 * DAY, "closed_ms": END,
                "state": "finished", **fields,
            }
        )  # fmt: skip

    def runs(self):
        return [self.run]

    def registry(self, version):
        return None

    def rows(self, product, run_id, *, window=None, start_ms=None, end_ms=None):
        low, high = -END if start_ms is None else start_ms, END if end_ms is None else end_ms
        rows = [r for r in self.tables.get(product, []) if r["window"] == window and low <= r["window_start"] < high]
        more = {"run_id": run_id, "registry_version": "v1", "revision": 0}
        return pa.Table.from_pylist([more | r for r in rows], schema=schema_of(product))

    def where(self, product, holds):
        return next(r for r in self.tables[product] if holds(r))
