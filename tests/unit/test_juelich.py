"""Real people: tracked walkers of two experiments in Jülich through the kernel, against what others counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.model import CELL_MS, END, EVERY
from tests.support.walks import BOUND_MS, TRACK_MS, TRACKS, World, rows_of

START = 1_770_450_000_000  # a line of the grid of 10 s
FRAMES_A_SECOND = 16


def settled(world: World, data: np.ndarray, frames_a_second: int, metres: float) -> tuple[list[Any], list[Any]]:
    """Passages (ms after START, gate, direction) and zone rows of rows (id, frame, x, y), shuffled within the bound."""
    ts = START + data[:, 1].astype(np.int64) * 1000 // frames_a_second
    order = np.argsort(ts + np.random.default_rng(1).integers(0, BOUND_MS, len(ts)), kind="stable")
    ts, track = ts[order], data[order, 0].astype(np.int64)
    x, y = (np.ascontiguousarray(data[order, column]) * metres for column in (2, 3))
    tracks, passages, zones = TRACKS["compiled"](TRACK_MS), [], []
    repeat = np.ones(len(ts), np.uint8)
    for rows in np.array_split(np.arange(len(ts)), 100):
        tracks.add(rows, np.zeros(len(ts), np.int32), ts, track, x, y, repeat)
        watermark = int(ts[: rows[-1] + 1].max()) - BOUND_MS
        passages += rows_of(tracks.settle(watermark, *world.plan()), 4)
        zones += rows_of(tracks.take(watermark), 7)
    assert not repeat.any()
    passages += rows_of(tracks.settle(END, *world.plan()), 4)
    return sorted([ms - START, gate, way] for ms, _, gate, way in passages), zones + rows_of(tracks.take(END), 7)


def test_two_streams_in_a_corridor(shared_data: Path) -> None:
    """x = 0: 232 towards +x and 250 towards -x, among them one person more than once."""
    data = np.loadtxt(shared_data / "juelich_bidirectional" / "bi_corr_400_b_03.txt", usecols=(0, 1, 2, 3))
    lines = [(0, -10, 0, 10), (0, -10, 0, 2), (0, 2, 0, 10)]  # the corridor, and two gates that abut in its middle
    corridor = [(-10, -10), (10, -10), (10, 10), (-10, 10)]
    passages, zones = settled(World(lines, [corridor], [EVERY], [EVERY], [0]), data, 25, 0.01)
    ways = np.zeros((3, 2), np.int64)
    for _, gate, way in passages:
        ways[gate, way] += 1
    assert ways[0].tolist() == [232, 250]
    assert ways[1:].min() > 50
    assert ways[1:].sum(axis=0).tolist() == [232, 250]
    one = [[ms, way] for ms, gate, way in passages if gate == 0]
    assert sorted(one) == sorted([ms, way] for ms, gate, way in passages if gate > 0)
    walked, frames = 0.0, 0.0
    for person in np.unique(data[:, 0]):
        seen = data[data[:, 0] == person]
        seen = seen[np.argsort(seen[:, 1])]
        walked += np.hypot(*np.diff(seen[:, 2:4], axis=0).T).sum() / 100  # m
        frames += seen[-1, 1] - seen[0, 1]
    assert np.abs(data[:, 2:4]).max() < 1000, "all places lie in the corridor's zone"
    assert sum(row[4] for row in zones) == 40 * frames
    assert sum(row[5] for row in zones) == pytest.approx(1e6 * walked, rel=1e-4)


@pytest.fixture(scope="module")
def bottleneck(shared_data: Path) -> tuple[Path, list[Any], list[Any]]:
    """Passages of y = 0.5 and time in the measurement box, with the folder of the reference's results."""
    folder = shared_data / "juelich_bottleneck"
    data = np.loadtxt(folder / "traj.txt", usecols=(0, 1, 2, 3))
    box = [(2.4, 0.53), (2.4, -0.53), (-0.6, -0.53), (-0.6, 0.53)]
    world = World([(-2.25, 0.5, 4, 0.5)], [box], [EVERY], [EVERY], [0])
    return folder / "results", *settled(world, data, FRAMES_A_SECOND, 1)


def test_the_bottleneck_s_cumulative_curve(bottleneck: tuple[Path, list[Any], list[Any]]) -> None:
    """348 people; the n-th one passes within one frame of the reference's n-th one."""
    results, passages, _ = bottleneck
    assert [gate for _, gate, _ in passages] == [0] * 348
    curve = np.loadtxt(results / "FlowVelocity" / "Flow_NT_traj_AO_300.txt_id_4.dat")
    reference = [np.searchsorted(curve[:, 2], n) for n in range(1, 349)]  # frame in which it counts the n-th person
    ours = [ms * FRAMES_A_SECOND / 1000 for ms, *_ in passages]
    behind = np.array(reference) - ours  # it counts with the frame behind the line; our frames are whole ms
    assert behind.min() >= -0.02 and behind.max() <= 1.02


def test_the_bottleneck_s_density(bottleneck: tuple[Path, list[Any], list[Any]]) -> None:
    """Persons in the box per pane, within 1 % of the mean of the reference's classical density."""
    results, _, zones = bottleneck
    table = np.loadtxt(results / "Classical_Voronoi" / "rho_v_Classic_traj.txt_id_1.dat")
    at = table[:, 0].astype(np.int64) * 1000 // FRAMES_A_SECOND
    people = {pane - START: people_ms / CELL_MS for pane, _, _, _, people_ms, *_ in zones}
    for pane in range(0, 50_000, CELL_MS):  # the panes that the data fills
        density = people[pane] / (3 * 1.06)
        assert density == pytest.approx(table[(at >= pane) & (at < pane + CELL_MS), 1].mean(), rel=0.01)
