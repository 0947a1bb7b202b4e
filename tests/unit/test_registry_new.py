"""A registry from a spreadsheet: what follows from the rows, and every fault with its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import registry
from engine.errors import BadInput
from engine.model import BY_HEARTBEAT, END, EVERY_SPAN, ON_CHANGE
from engine.registry_new import COLUMNS, from_csv

FULL = """\
gate,sensor,kind,leaf,a,b,approved_from,reporting,beat_s
j1,j1-01,counter,10s,,北3条,2026-01-01,heartbeat,10
j1,j1-02,,,,,2026-01-01T00:00:00+09:00,heartbeat,2.5
j2,j2-01,beam_pair,5m,北3条,c2,,every_span,

j3,"j3,01",,,,,2017-10-15,,
"""


def test_a_registry_from_a_csv() -> None:
    made = from_csv(FULL, version="v7", timezone="America/Sao_Paulo")
    assert made["zones"] == [{"id": "北3条", "kind": "walkway"}, {"id": "c2", "kind": "walkway"}]
    assert [(g["id"], g["a"], g["b"], g["leaf"]) for g in made["gates"]] == [
        ("j1", None, "北3条", "10s"),
        ("j2", "北3条", "c2", "5m"),
        ("j3", None, None, "10s"),
    ]
    found, faults = registry.check(json.dumps(made).encode())
    assert faults == [] and found is not None
    assert (found.version, found.timezone) == ("v7", "America/Sao_Paulo")
    assert [(s.id, s.kind, s.gate, s.reporting, s.beat_ms) for s in found.sensors] == [
        ("j1-01", "counter", "j1", BY_HEARTBEAT, 10_000),
        ("j1-02", "counter", "j1", BY_HEARTBEAT, 2_500),
        ("j2-01", "beam_pair", "j2", EVERY_SPAN, 30_000),
        ("j3,01", "counter", "j3", ON_CHANGE, 30_000),
    ]
    assert [s.approved for s in found.sensors] == [
        ((1_767_236_400_000, END),),  # the day begins at 03:00 UTC there
        ((1_767_193_200_000, END),),
        (),  # nobody has approved it
        ((1_508_036_400_000, END),),  # that day began at 01:00 = 03:00 UTC
    ]


def test_two_columns_are_enough() -> None:
    made = from_csv("\ufeffsensor,gate\r\ns1,g1\r\ns2,g1\r\n")
    found, faults = registry.check(json.dumps(made).encode())
    assert faults == [] and found is not None
    assert (found.version, found.timezone, found.zones) == ("1", "Asia/Tokyo", ())
    assert [(s.id, s.gate, s.approved) for s in found.sensors] == [("s1", "g1", ()), ("s2", "g1", ())]


BAD_CSV = [
    ("", "registry CSV: needs a header and a row for each sensor"),
    ("gate,sensor\n", "registry CSV: needs a header and a row for each sensor"),
    ("gate\nj1\n", "registry CSV, line 1: column sensor is missing"),
    ("\ngate,sensor,colour\n", "registry CSV, line 2: column 3 must be one of " + ", ".join(COLUMNS)),
    ("gate,sensor,gate\n", "registry CSV, line 1: column gate stands there twice"),
    ("gate,sensor\nj1,s1,x\n", "registry CSV, line 2: has more cells than the header"),
    ("gate,sensor\nj1\n", "registry CSV, line 2: sensor is empty"),
    ("gate,sensor\nj1,s1\n ,s2\n", "registry CSV, line 3: gate is empty"),
    ("gate,sensor\nj1,s1\nj2,s1\n", "registry CSV, line 3: sensor stands there twice"),
    (f"gate,sensor\nj1,{'北' * 22}\n", "registry CSV, line 2: sensor is longer than 64 bytes"),
    ("gate,sensor\nj1,\ud800\n", "registry CSV, line 2: sensor is not valid text"),
    (
        "gate,sensor,kind\nj1,s1,eye\n",
        "registry CSV, line 2: kind must be one of counter, beam_pair, tracker, occupancy",
    ),
    ("gate,sensor,leaf\nj1,s1,1d\n", "registry CSV, line 2: leaf must be one of 10s, 1m, 5m, 15m, 1h"),
    ("gate,sensor,leaf\nj1,s1,1m\nj1,s2,5m\n", "registry CSV, line 3: leaf differs from the gate's first row"),
    ("gate,sensor,leaf\nj1,s1,\nj1,s2,5m\n", "registry CSV, line 3: leaf differs from the gate's first row"),
    ("gate,sensor,a\nj1,s1,c1\n\nj1,s2,c2\n", "registry CSV, line 4: a differs from the gate's first row"),
    ("gate,sensor,b\nj1,s1,\nj1,s2,c2\n", "registry CSV, line 3: b differs from the gate's first row"),
    (f"gate,sensor,b\nj1,s1,{'z' * 65}\n", "registry CSV, line 2: b is longer than 64 bytes"),
    ("gate,sensor,reporting\nj1,s1,often\n",
     "registry CSV, line 2: reporting must be one of on_change, heartbeat, every_span"),
    *(
        (f"gate,sensor,beat_s\nj1,s1,{beat}\n", "registry CSV, line 2: beat_s must be a number of at least 0.001")
        for beat in ("0", "-1", "ten", "nan", "inf", "0x10")
    ),
    *(
        (
            f"gate,sensor,approved_from\nj1,s1,2026-01-01\nj1,s2,{since}\n",
            "registry CSV, line 3: approved_from must be a date, or an RFC 3339 time with offset",
        )
        for since in ("yes", "2026-02-29", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "1.1.2026", "0000-01-01")
    ),
    ('gate,sensor\nj1,"s1\n', "registry CSV, line 2: not CSV"),
    ('gate,sensor\n"j1"x,s1\n', "registry CSV, line 2: not CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_CSV, ids=range(len(BAD_CSV)))
def test_a_bad_csv_names_its_line(text: str, message: str) -> None:
    with pytest.raises(BadInput) as raised:
        from_csv(text)
    assert str(raised.value) == message


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(BadInput):
        from_csv("gate,sensor\nj1,s1\n", timezone="Asia/Sapporo")


cells = st.sampled_from(
    ("", "j1", "j2", "c1", "10s", "1m", "counter", "2026-01-01", "heartbeat", "5", "\x00", '"', " x ")
)


@given(st.lists(st.lists(cells, min_size=9, max_size=9), max_size=5))
def test_any_csv_gives_a_good_registry_or_names_a_line(rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in [list(COLUMNS), *rows])
    try:
        made = from_csv(text)
    except BadInput as error:
        assert str(error).startswith("registry CSV")
    else:
        assert registry.check(json.dumps(made).encode())[1] == []
