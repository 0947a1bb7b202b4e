"""Levels of service: the tables at their edges, and what may never be graded well."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.los import OF_KIND, QUEUE, SCHEMES, WALKWAY, Scheme, grade, grade_range
from engine.model import LOS
from engine.registry import ZONE_KINDS

NAN, ULP = math.nan, 1e-9


def word(scheme: Scheme, density: float = NAN, flow: float = NAN, speed: float = NAN) -> str:
    return LOS[int(grade(scheme, density, flow, speed))]


# Fruin 1971: square feet a person at which A, B, C, D, E end -> p/m²; HCM 2000: m² a person
FEET = (35, 25, 15, 10, 5)
METRES = (1.2, 0.9, 0.6, 0.3, 0.2)


def test_the_edges_are_those_of_their_sources() -> None:
    for edge, feet in zip(WALKWAY.density, FEET, strict=True):
        assert edge == pytest.approx(1 / (feet * 0.3048**2), abs=0.02)
    for edge, metres in zip(QUEUE.density, METRES, strict=True):
        assert edge == pytest.approx(1 / metres, abs=0.005)
    # people a minute and foot at which B, C, D, E begin
    assert WALKWAY.flow == pytest.approx([n / 0.3048 for n in (7, 10, 15, 20)], abs=0.5)
    assert "Fruin" in WALKWAY.source and "Highway Capacity Manual" in QUEUE.source


# OPERATORS: A ≤ 0.31, B ≤ 0.43, C ≤ 0.72, D ≤ 1.08, E ≤ 2.17, F above; A ≤ 0.83, B ≤ 1.11, C ≤ 1.67, D ≤ 3.33, E ≤ 5.0
EDGES = [
    *((WALKWAY, edge, letter) for edge, letter in zip((0.31, 0.43, 0.72, 1.08, 2.17), "ABCDE", strict=True)),
    *((QUEUE, edge, letter) for edge, letter in zip((0.83, 1.11, 1.67, 3.33, 5.0), "ABCDE", strict=True)),
]


@pytest.mark.parametrize(("scheme", "edge", "letter"), EDGES)
def test_density_at_its_edges(scheme: Scheme, edge: float, letter: str) -> None:
    assert word(scheme, edge) == letter == word(scheme, edge - ULP)
    assert word(scheme, edge + ULP) == chr(ord(letter) + 1)


def test_both_ends_of_density() -> None:
    for scheme in SCHEMES:
        assert (word(scheme, 0), word(scheme, 40), word(scheme, math.inf)) == ("A", "F", "F")


@pytest.mark.parametrize(("edge", "below", "letter"), [(23, "A", "B"), (33, "B", "C"), (49, "C", "D"), (66, "D", "E")])
def test_flow_at_its_edges(edge: float, below: str, letter: str) -> None:
    assert (word(WALKWAY, 0.1, edge - ULP), word(WALKWAY, 0.1, edge)) == (below, letter)


def test_flow_makes_a_grade_worse_only_and_never_the_last() -> None:
    assert word(WALKWAY, 1.0, 5) == "D" == word(WALKWAY, 1.0, 49)
    assert word(WALKWAY, 0.1, 200) == "E"
    assert word(QUEUE, 0.1, 200) == "A"  # the scheme knows no flow


# name -> density, flow, speed, grade
CASES: dict[str, tuple[float, float, float, str]] = {
    "empty": (0, 0, NAN, "A"),
    "empty, nobody to be fast": (0, 0, 0, "A"),
    "free": (0.2, 15, 1.3, "A"),
    "busy": (1.0, 60, 1.1, "D"),
    "full and moving": (2.1, 80, 0.64, "E"),
    "jam": (2.5, 0, 0, "F"),
    "jam without speed": (2.5, 0, NAN, "F"),
    "jam without flow": (2.5, NAN, NAN, "F"),
    "dense and stopped": (1.5, 0, 0, "F"),
    "dense and slow": (1.0, 20, 0.3, "F"),
    "stopped before it is dense": (0.73, 0, 0, "F"),
    "people who stand": (0.5, 0, 0, "C"),
    "flow alone, none": (NAN, 0, NAN, "unknown"),
    "flow alone, much": (NAN, 70, NAN, "unknown"),
    "speed alone": (NAN, NAN, 1.3, "unknown"),
    "no flow, no speed": (NAN, 0, 0, "unknown"),
    "nothing": (NAN, NAN, NAN, "unknown"),
    "slow and some flow": (NAN, 30, 0.2, "F"),  # 2.5 people per m²
    "slow and hardly a flow": (NAN, 1, 0.2, "unknown"),
    "no flow of slow people": (NAN, 0, 0.02, "unknown"),
    "no flow of fast people": (NAN, 0, 1.3, "unknown"),
    "fast and some flow": (NAN, 15, 1.3, "A"),  # 0.19
    "a count below nothing": (-0.1, 15, NAN, "unknown"),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    density, flow, speed, letter = CASES[case]
    assert word(WALKWAY, density, flow, speed) == letter


def test_a_full_corridor_that_stopped_never_grades_well() -> None:
    """Whatever of it is known: at 2.5 people per m² and still, no grade but F, or unknown where density is not told."""
    for flow in (NAN, 0, 1):
        for speed in (NAN, 0, 0.02):
            assert word(WALKWAY, 2.5, flow, speed) == "F"
            assert word(WALKWAY, NAN, flow, speed) in ("unknown", "C", "D", "E", "F")
    for scheme in SCHEMES:  # and at 6, everywhere
        assert word(scheme, 6, 0, 0) == "F"


def test_a_range_has_the_grade_of_its_worse_end() -> None:
    low, high = np.array([0.0, 0.3, -0.2, 0.5, 0.0, 0.4]), np.array([0.3, 0.32, 0.2, 3.0, 3.0, NAN])
    graded = grade_range(WALKWAY, low, high, np.full(6, NAN), np.full(6, NAN))
    assert [LOS[g] for g in graded] == ["A", "B", "A", "F", "unknown", "unknown"]
    none = grade_range(WALKWAY, np.array([-9.0]), np.array([-1.0]), np.array([50.0]), np.array([NAN]))
    assert [LOS[g] for g in none] == ["unknown"]


def test_every_kind_has_a_scheme_of_its_own_name() -> None:
    assert set(OF_KIND) == set(ZONE_KINDS)
    assert len({scheme.name for scheme in SCHEMES}) == len(SCHEMES)
    assert set(OF_KIND.values()) <= set(SCHEMES)
