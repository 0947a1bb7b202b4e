"""Blocks put together: the same rows, whatever words each block has; and which rows of a live run wait for others."""

from __future__ import annotations

from typing import Any, cast

from engine.model import Released
from flows.store_sink import StoreSink, _Part, joined
from tests.services.released import T0, alert_row, alerts, flow
from tests.support.engine_run import to_dicts


def test_blocks_with_words_of_their_own_keep_them() -> None:
    rows = [alert_row("b", T0, zone="c1"), alert_row("a", T0 + 1, zone="c2"), alert_row("c", T0 + 2, gate="g1")]
    whole = joined([alerts("all/1", rows[0]), alerts("all/2", rows[1]), alerts("all/3", rows[2])])
    assert list(to_dicts(whole)) == list(to_dicts(alerts("u", *rows)))
    assert whole.unit == "all/1..all/3"


def test_blocks_with_more_words_later_keep_the_codes() -> None:
    cells = (7, 7, 7, "released", None)
    first = flow("a", ("10s", T0, "g1", "ab", *cells))
    later = flow("b", ("10s", T0 + 10_000, "g1", "ab", *cells), ("10s", T0 + 10_000, "g2", "ab", *cells))
    whole = joined([first, later])
    assert whole.names["gate"] is later.names["gate"]
    assert [(row["gate"], row["window_start"]) for row in to_dicts(whole)] == [
        ("g1", T0), ("g1", T0 + 10_000), ("g2", T0 + 10_000),
    ]  # fmt: skip


def test_one_block_stays_as_it_is() -> None:
    one = alerts("u", alert_row("a", T0))
    assert joined([one]) is one


class Stored:
    """A store that notes what is inserted, and the run's row as far as a sink asks for it."""

    def __init__(self) -> None:
        self.units: list[tuple[str, str, int]] = []
        self.run, self.run_id = self, "live"

    def insert(self, rows: Released, run_id: str) -> None:
        self.units.append((rows.product, rows.unit, len(rows)))


def test_a_past_is_stored_many_in_one_and_what_comes_after_it_at_once() -> None:
    stored = cast(Any, Stored())
    sink = StoreSink(stored, stored, ["all"], bulk=False, span=None, past_ms=T0 + 20_000)
    part = sink.build_part("store", "all", None)
    write, epoch = (getattr(_Part, name).__wrapped__ for name in ("write_batch", "snapshot"))
    cells = (7, 7, 7, "released", None)
    lines = [flow(f"00/{i}", ("10s", T0 + i * 10_000, "g1", "ab", *cells)) for i in range(4)]
    write(part, [*lines[:2], alerts("all/1", alert_row("a", T0))])
    sink.settle()
    assert stored.units == []
    epoch(part)
    assert stored.units == [("flow", "00/0..00/1", 2), ("alerts", "all/1", 1)]
    write(part, lines[2:])
    sink.settle()
    assert stored.units[2:] == [("flow", "00/2", 1), ("flow", "00/3", 1)]
    epoch(part)
    assert len(stored.units) == 4
