"""Release of signage by examples: what stands in the rows of one screen, and what does not."""

from __future__ import annotations

import random
from typing import Any

from engine.config import Config
from tests.support.signage_run import HOUR, QUARTER, T0, Processes, log_of, tick, touch

LOOSE = Config({"touches": {"k": 2, "guard": 1}, "screens": {"k": 2, "guard": 0}})


def rows(records: list[dict[str, Any]], product: str, config: Config | None = None) -> list[tuple[Any, ...]]:
    """(names of the key, n_low, n_high) of a run over one log."""
    log = log_of([*sorted(records, key=lambda r: r["ts"]), tick(T0 + 2 * HOUR)])
    run = Processes([log], config or Config(), random.Random(0), 0).run()
    keys = ("device", "screen", "lang") if product == "touches" else ("device", "from", "to")
    return [(*(row[key] for key in keys), row["n_low"], row["n_high"]) for row in run.rows(product)]


def crowd(n: int, name: str, **more: Any) -> list[dict[str, Any]]:
    return [touch(T0 + 1_000 * i, f"{name}{i}", **more) for i in range(n)]


def test_cells_and_totals_of_a_screen() -> None:
    few = rows(crowd(12, "a", lang="ja") + crowd(4, "b", lang="en"), "touches")
    # four hidden, and of the languages nobody used each may hold four: the total is cut at 4 + 1
    assert few == [("d1", "top", "", 12, 17), ("d1", "top", "ja", 12, 12)]
    many = [touch for lang in ("en", "fr", "ko") for touch in crowd(3, lang, lang=lang)]
    assert rows(crowd(12, "a", lang="ja") + many, "touches")[0] == ("d1", "top", "", 21, 21)
    assert rows(crowd(4, "a", lang="ja"), "touches") == []


def test_a_session_counts_once_in_the_language_of_its_first_touch() -> None:
    twice = crowd(6, "a", lang="ja") + [touch(T0 + 60_000 + i, f"a{i % 6}", lang="en") for i in range(20)]
    assert rows(twice, "touches") == [("d1", "top", "", 6, 11), ("d1", "top", "ja", 6, 6)]
    # at one instant the language that comes first by its text, and not told is other
    both = [touch(T0, f"a{i}", **({"lang": lang} if lang else {})) for i in range(6) for lang in ("", "pl", "fr")]
    assert [row[2] for row in rows(both, "touches")] == ["", "fr"]
    assert [row[2] for row in rows(crowd(6, "a"), "touches")] == ["", "other"]


def test_moves_of_an_hour_are_distinct_sessions() -> None:
    moves = [touch(T0 + 500_000 * i, f"a{s}", to="map") for s in range(6) for i in range(7)]
    assert rows(moves, "screens") == [("d1", "top", "map", 6, 6)]
    assert rows(moves[:28], "screens") == []


def test_moves_that_would_narrow_the_totals_are_capped() -> None:
    """Two sessions in each quarter: every total is [0, 2]. Eight moves would tell that each of them is 2."""
    moves = [
        touch(T0 + QUARTER * q + i, f"a{q}-{i}", to="map", lang=("ja", "en")[i]) for q in range(4) for i in range(2)
    ]
    assert rows(moves, "touches", LOOSE) == []
    assert rows(moves, "screens", LOOSE) == [("d1", "top", "map", 5, 8)]  # 8 - 2 - (k - 1)
    assert rows(moves[:4], "screens", LOOSE) == [("d1", "top", "map", 4, 4)]
