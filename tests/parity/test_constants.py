"""The numbers of engine/fast/_types.pxd are those of engine/model.py."""

import re
from pathlib import Path

from engine import model

TEXT = (Path(model.__file__).parent / "fast" / "_types.pxd").read_text()


def test_enums_are_equal() -> None:
    found = dict(re.findall(r"^    ([A-Z_]+) = (-?\d+)$", TEXT, re.MULTILINE))
    assert len(found) > 15
    named = {name: int(value) for name, value in found.items() if name != "HOUR_MS"}
    assert named == {name: getattr(model, name) for name in named}
    assert int(found["HOUR_MS"]) == model.LENGTH_MS[model.HOUR]


def test_wide_constants_are_equal() -> None:
    found = dict(re.findall(r"#define HITO_([A-Z_]+) \(?(-?\d+)LL\)?$", TEXT, re.MULTILINE))
    assert {name: int(value) for name, value in found.items()} == {
        name: getattr(model, name) for name in ("TS_MIN", "TS_MAX", "COUNT_MAX")
    }
