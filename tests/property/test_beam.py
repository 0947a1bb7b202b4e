"""Passages of beams are those of the records in order, whatever the order of the log, its cuts and restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_crossing import START, logs
from tests.support.walks import BEAMS, PAIR_MS, Broken, Feed, World

GAPS = st.sampled_from([0, 0, 1, 30, 700, 1499, 1500, 1501, 4000])


@st.composite
def broken(draw: st.DrawFn) -> list[Broken]:
    """Records of three sensors; those without a seq are never the same as another."""
    out: list[Broken] = []
    for sensor in range(3):
        ts = START + draw(st.integers(0, 12_000))
        for seq, (gap, beam) in enumerate(
            draw(st.lists(st.tuples(GAPS, st.sampled_from([-1, 0, 0, 1, 1])), max_size=20))
        ):
            ts += gap
            out.append(Broken(sensor, ts, draw(st.sampled_from([seq, seq, -(2**63) + seq])), beam))
    return out


def truth(world: World, records: list[Broken]) -> list[list[int]]:
    """Each start in order takes the earliest one of the other beam that is free and near enough."""
    out = []
    for sensor, gate in enumerate(world.sensor_gate):
        starts = sorted((r.ts, r.beam) for r in records if r.sensor == sensor and r.beam >= 0)
        free = [True] * len(starts)
        for i, (ts, beam) in enumerate(starts):
            for j, (before, other) in enumerate(starts[:i]):
                if free[j] and other != beam and ts - before <= PAIR_MS:
                    free[i] = free[j] = False
                    out.append([(before + ts) // 2, sensor, gate, 2 if before == ts else other])
                    break
        out += [[ts, sensor, gate, 2] for alone, (ts, _) in zip(free, starts, strict=True) if alone]
    return sorted(row for row in out if row[2] >= 0)


WORLDS = st.builds(
    lambda gates, waits: World([], [], gates, [-2] * 3, waits),
    st.lists(st.sampled_from([0, 1, -1, -2]), min_size=3, max_size=3),
    st.lists(st.sampled_from([0, 0, 3000]), min_size=3, max_size=3),
)


@given(st.data(), WORLDS, broken(), st.booleans())
def test_any_order_within_the_bound_gives_the_truth(
    data: st.DataObject, world: World, records: list[Broken], counted: bool
) -> None:
    if not counted:  # without a seq nothing is a repeat
        records = [record._replace(seq=None) for record in records]
    log = data.draw(logs(records))
    want = truth(world, records if counted else log)
    for name in BEAMS:
        feed, left = Feed(BEAMS[name](PAIR_MS), world.plan()[:2], longest_ms=PAIR_MS), list(log)
        while left:
            cut, before, told = data.draw(st.integers(1, 30)), feed.watermark, len(feed.passages)
            feed.take(left[:cut])
            left = left[cut:]
            assert all(feed.closes(p) > before for p in feed.passages[told:]), "told after its pane had closed"
            if data.draw(st.booleans()):  # a restart; the other way reads what this one wrote
                name = data.draw(st.sampled_from(list(BEAMS)))
                feed.kernel = BEAMS[name](PAIR_MS, feed.kernel.state())
        assert feed.finish()[0] == want
        assert feed.reasons.count("") == len(records if counted else log)


@given(st.data(), WORLDS, broken())
def test_both_ways_take_any_log(data: st.DataObject, world: World, records: list[Broken]) -> None:
    """Records out of the bound too, with a seq and without, two of one seq that differ."""
    told = [record._replace(seq=data.draw(st.sampled_from([record.seq, None, 0]))) for record in records]
    log = data.draw(st.permutations(told))
    ends = []
    for name in BEAMS:
        feed, left = Feed(BEAMS[name](PAIR_MS), world.plan()[:2], longest_ms=PAIR_MS), list(log)
        while left:
            cut = data.draw(st.integers(1, 30))
            feed.take(left[:cut])
            left = left[cut:]
            feed.kernel = BEAMS[name](PAIR_MS, feed.kernel.state())
        ends.append((feed.finish()[0], feed.reasons))
    assert ends[0] == ends[1]
    assert ends[0][0] == truth(world, [r for r, reason in zip(log, ends[0][1], strict=True) if not reason])
