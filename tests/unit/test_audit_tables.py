"""The audit of tables: it passes the rules in use and catches every mutant of them."""

import re

import numpy as np
import pytest

from engine import tree as reference
from engine import tree_rules
from engine.fast import _tree
from hitonami.audit.report import Report
from hitonami.audit.table_audit import GROUPS, PROVIDERS, TABLE_SETTINGS, audit_tables
from hitonami.audit.table_capped import HOURS, enumerate_hours
from hitonami.audit.table_enumeration import (
    MOST_WORLDS,
    TABLE_SIZES,
    TableSize,
    enumerate_groups,
    enumerate_providers,
    enumerate_tables,
    table_size_of,
)
from hitonami.audit.table_live import WINDOWS, enumerate_live, key_of
from hitonami.audit.table_readers import reread_table
from hitonami.audit.table_rerun import rerun_tables
from hitonami.audit.table_rules import Shape, TableRule

RULE = TableRule(tree=_tree.tree)
FOUND = "known exactly and is too small|too few possible values"
SMALL = (TableSize(2, 1, 6, 2), TableSize(3, 1, 5, 3), TableSize(3, 0, (3, 2), 3), TableSize(2, 0, (2, 2, 1), 2))


def findings(report):
    return "\n".join(report.findings)


# --------------------------------------------------------------------------------------- the rules
def test_the_rules_in_use_pass():
    report = audit_tables(RULE)
    assert report.findings == []
    assert report.summary["table_exact"] == report.summary["table_narrowed"] == 0
    assert report.summary["table_worlds"] > 40_000 and report.summary["table_insiders"] > 500
    assert report.summary["provider_worlds"] > 15_000 and report.summary["hour_worlds"] > 20_000
    assert report.summary["table_ends"] > 1_000 and report.summary["table_told"] > 300
    assert report.summary["insider_worlds"] == 1_000 and report.summary["live_worlds"] > 150
    assert (5, 1) in TABLE_SETTINGS and (10, 1) in TABLE_SETTINGS


def test_the_readable_twin_passes():
    for size in SMALL:
        assert enumerate_tables(TableRule(tree=reference.tree), size).passed


def test_the_rule_is_the_one_in_use(kernels):
    assert TableRule().tree is kernels.tree


def test_own_settings_are_judged_too():
    assert table_size_of(10, 1) == TableSize(10, 1, 4, 10)
    assert table_size_of(1, 1) is None and table_size_of(100, 1) is None
    report = audit_tables(RULE, sizes=(), settings=[(7, 2), (400, 3), (1, 0)], hours=(), windows=())
    assert report.passed
    assert "tables k=7 guard=2 shape 4: all 4,096 worlds, 0 to 7 people in each of 4 cells" in report.checked
    assert "tables k=400 guard=3: 3 simulated tables, every end of a range, seed 1" in report.checked
    assert "tables k=400 guard=3: insiders and 4 providers of a simulated table" in report.checked


@pytest.mark.parametrize("k", [2, 3, 5, 10, 11, 40])
def test_the_work_of_any_settings_is_bounded(k):
    size = table_size_of(k, 1)
    assert size is None or (size.most + 1) ** size.shape <= MOST_WORLDS
    assert size is not None or k > 10


def test_sizes_reach_every_way_of_the_cut():
    """Totals told beside hidden cells, cut to either side, and uncut: of each shape of two levels or more, or flat."""
    seen = set()
    for size in TABLE_SIZES:
        shape = Shape.of(size.shape)
        worlds = np.indices((size.most + 1,) * len(shape.cells)).reshape(len(shape.cells), -1).T.astype(np.int64)
        low, high = RULE.publish(shape, worlds, size.k, size.guard)
        hides = ((worlds < size.k) @ shape.holds.T > 0) & ~np.isin(np.arange(len(shape.parent)), shape.cells)
        deep = isinstance(size.shape, tuple)
        seen |= {(deep, "told")} if (hides & (low == high)).any() else set()
        seen |= {(deep, "first")} if (hides & (low == 0) & (low < high) & (high < worlds.max() * 9)).any() else set()
        seen |= {(deep, "last")} if (hides & (low > size.k) & (low < high)).any() else set()
    assert seen == {(deep, way) for deep in (False, True) for way in ("told", "first", "last")}


# ------------------------------------------------------------------------------------- its mutants
def tree_of(cell=reference.cell, cut=reference.cut):
    """A tree with another rule of cells or of totals."""

    def tree(parent, n, absent, k, guard, low, high):
        m = len(parent)
        people, told, totals = n.tolist(), [None] * m, [None] * m
        for node, above in enumerate(parent.tolist()):
            if totals[node] is None:
                told[node] = cell(people[node], k)
            else:
                shown, rest, ranges = totals[node]
                widths = [b - a for a, b in ranges]
                least, most = sum(a for a, _ in ranges), sum(b for _, b in ranges)
                a, b = cut(rest, least, most, max(widths, default=0), guard, k - 1)
                people[node], told[node] = shown + rest, (shown + a, shown + b)
            low[node], high[node] = told[node]
            if above < 0:
                continue
            totals[above] = totals[above] or [0, 0, []]
            if low[node] == high[node]:
                totals[above][0] += people[node]
            else:
                totals[above][1] += people[node]
                totals[above][2].append(told[node])

    return tree


def cut_with(below=None, above=None):
    def cut(people, least, most, widest, b, a):
        return reference.cut(people, least, most, widest, b if below is None else below, a if above is None else above)

    return TableRule(tree=tree_of(cut=cut))


class SecondTable(TableRule):
    """The same people once more, rows for columns."""

    def told(self, shape, worlds, k, guard):
        rows = np.bincount(shape.parent[shape.cells])
        rows = rows[rows > 0]
        assert len(set(rows.tolist())) == 1
        turned = worlds.reshape(len(worlds), len(rows), rows[0]).transpose(0, 2, 1).reshape(worlds.shape)
        other = Shape.of((len(rows),) * int(rows[0]))
        return np.hstack([super().told(shape, worlds, k, guard), *self.publish(other, turned, k, guard)])


MUTANTS = {
    "below = above = -1": (cut_with(-1, -1), FOUND),
    "below = -1": (cut_with(below=-1), FOUND),
    "above = -1": (cut_with(above=-1), FOUND),
    "K = k - 1": (TableRule(tree=tree_of(lambda n, k: reference.cell(n, k - 1))), f"is told|{FOUND}"),
    "totals exact": (TableRule(tree=tree_of(cut=lambda people, *_: (people, people))), FOUND),
    "zeros told apart": (
        TableRule(tree=tree_of(lambda n, k: (n, n) if n == 0 or n >= k else (1, k - 1))),
        "a count below . is told",
    ),
    "zeros told apart in totals": (
        TableRule(tree=tree_of(cut=lambda people, least, most, *_: (0, 0) if people == 0 else (least, most))),
        f"a count below . is told|{FOUND}",
    ),
    "uncut but for the ends": (
        TableRule(tree=tree_of(cut=lambda people, a, b, *_: (people, people) if a < people < b else (a, b))),
        FOUND,
    ),
}


def test_a_tree_of_the_same_rules_is_no_mutant():
    for size in SMALL:
        assert enumerate_tables(TableRule(tree=tree_of()), size).passed


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught_by_enumeration(name):
    rule, words = MUTANTS[name]
    found = "\n".join(findings(enumerate_tables(rule, size)) for size in SMALL)
    assert re.search(words, found), found


@pytest.mark.parametrize("name", ["below = above = -1", "K = k - 1", "totals exact", "zeros told apart"])
@pytest.mark.parametrize(("k", "guard"), [(5, 1), (10, 1), (400, 1)])
def test_the_named_mutants_are_caught_on_simulated_tables(name, k, guard):
    rule, _ = MUTANTS[name]
    assert not rerun_tables(rule, k, guard).passed


@pytest.mark.parametrize(
    ("rule", "words"),
    [(cut_with(below=0), "has too few possible"), (MUTANTS["uncut but for the ends"][0], "can be ruled out")],
)
def test_less_room_is_found_by_insiders_of_simulated_tables(rule, words):
    report = reread_table(rule, 5, 1)
    assert words in findings(report)
    assert all("an insider" in line for line in report.findings)


@pytest.mark.parametrize(("below", "above"), [(0, None), (None, 0)])
def test_less_room_is_found_by_insiders_alone(below, above):
    report = Report()
    for size in (TableSize(3, 2, 6, 2), TableSize(4, 2, 5, 3)):
        report.add(enumerate_tables(cut_with(below, above), size))
        assert enumerate_tables(RULE, size).passed
    assert report.findings
    assert all("an insider" in line for line in report.findings)


def test_a_second_table_over_the_same_people_is_caught():
    assert "known exactly and" in findings(enumerate_tables(SecondTable(tree=_tree.tree), TableSize(2, 0, (5, 5), 1)))
    assert enumerate_tables(RULE, TableSize(2, 0, (5, 5), 1)).passed


# ---------------------------------------------------------------------- groups, providers, screens
def only_the_child(parent, low, high, group):
    """Hides the one category, and leaves its neighbours' ranges as they were."""
    told = tree_rules.withheld(parent, low, high, group)
    return np.where(low > 0, told[0], low), np.where(low > 0, told[1], high)


@pytest.mark.parametrize("withheld", [lambda parent, low, high: (low, high), lambda *a: only_the_child(*a, 50)])
def test_a_breakdown_that_names_the_category_is_caught(withheld):
    rule = TableRule(tree=_tree.tree, withheld=withheld)
    found = "\n".join(findings(enumerate_groups(rule, *of)) for of in GROUPS)
    assert "name the one category" in found


def with_the_largest(n, largest, sharing, k):
    return np.where((sharing >= 3) & (n >= k), n, 0)


def in_totals_all_the_same(n, largest, sharing, k):
    """Hidden, but not left out."""
    return np.where(tree_rules.enough(n, largest, sharing, 3, k), n, np.minimum(n, k - 1))


@pytest.mark.parametrize("counted", [with_the_largest, in_totals_all_the_same])
def test_what_a_provider_can_subtract_is_caught(counted):
    rule = TableRule(tree=_tree.tree, counted=counted)
    assert any("a provider:" in findings(enumerate_providers(rule, *of)) for of in PROVIDERS)
    found = findings(reread_table(rule, 5, 1))
    assert "a provider:" in found and "an insider" not in found


def shown_from_k_on(n, k, low, high):
    return reference.cells(n, k)


def capped_with(room):
    """Capped with last = U - ``room(w, k)``."""

    def capped(n, k, low, high):
        most, widest = high.sum(axis=1), (high - low).max(axis=1)
        last = most - room(widest, k)
        a, b = reference.cells(n, k)
        wide = (widest > 0) & (n >= last)
        few = (widest > 0) & (last < k)
        return np.where(few, 0, np.where(wide, last, a)), np.where(few | wide, most, b)

    return capped


def test_the_same_bound_written_anew_passes():
    rule = TableRule(tree=_tree.tree, capped=capped_with(lambda w, k: w + k - 1))
    assert all(enumerate_hours(rule, hour).passed for hour in (HOURS[0], HOURS[3]))


@pytest.mark.parametrize("capped", [shown_from_k_on, capped_with(lambda w, k: w - 1), capped_with(lambda w, k: k - 1)])
def test_moves_that_tell_of_touches_are_caught(capped):
    rule = TableRule(tree=_tree.tree, capped=capped)
    assert any(re.search(FOUND, findings(enumerate_hours(rule, hour))) for hour in (HOURS[0], HOURS[3]))


# ----------------------------------------------------------------------------------- live counters
def exact_counters(events, config, threshold):
    return key_of(events, config, threshold, exact=True)


def proving(proven):
    """The key with another idea of what released rows prove."""

    def key(events, config, threshold):
        made = key_of(events, config, threshold)
        made._proven = proven
        return made

    return key


LIVE = {
    "live counters exact": exact_counters,
    "a window with anybody in it": proving(lambda _rows: 1),
    "rows that are not told": proving(lambda rows: 1 if not rows else 0),
}


@pytest.mark.parametrize("name", LIVE)
def test_live_counters_that_tell_of_hidden_people_are_caught(name):
    for window in WINDOWS:
        report = enumerate_live(LIVE[name], window)
        assert re.search(FOUND, findings(report)), window


def test_the_audit_of_tables_asks_about_live_counters():
    report = audit_tables(RULE, sizes=(), settings=(), hours=(), key=exact_counters, windows=WINDOWS[-1:])
    assert all(line.startswith("live counters of profiles k=3") for line in report.findings) and not report.passed


def test_counters_of_released_ends_tell_no_more_than_the_rows():
    """Whatever is arithmetic on rows is no leak: the audit of a store finds it by its number."""
    ends = proving(lambda rows: sum(int(one.columns["n_high"].sum()) for one in rows))
    assert all(enumerate_live(ends, window).passed for window in WINDOWS)
