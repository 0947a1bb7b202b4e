"""Blocks of a replay put together: the same rows, whatever words each block has."""

from __future__ import annotations

from flows.store_sink import joined
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
