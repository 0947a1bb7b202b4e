"""Each line of the list of what a crowd page must do has a test that is named after its number.

1 event to pixel, 2 age and unknown, 3 severity by density, flow and speed, 4 thresholds, 5 one alert for noise, 6 life
cycle, 7 replay equals live, 8 replay is not live, 9 range and coverage, 11 order of arrival, 12 arrows, 13 health of
sensors, 14 reconnect, 15 no foreign request, 16 normal for now, 17 time to limit, 18 roles, 19 languages and access.
"""

from __future__ import annotations

import re

import pytest

from tests.meta.tree import ROOT

LINES = (*range(1, 10), *range(11, 20))
NAMED = re.compile(r"^def test_op_(\d\d)_", re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_the_line_has_a_test_of_its_number(line: int) -> None:
    found = {
        path.name
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if f"{line:02d}" in NAMED.findall(path.read_text("utf-8"))
    }
    assert found
