"""A small place for the tests of the operator's page: a walkway running south, a plaza, and a zone nobody sees."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from tests.browser.fake_store import FakeRun, FakeStore

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Clock

APPROVED = [{"from": "2020-01-01T00:00:00Z", "to": None}]


def box(west: float, east: float, north: float, south: float) -> list[list[float]]:
    """Corners in metres, anticlockwise."""
    return [[west, south], [east, south], [east, north], [west, north]]


def zone(name: str, polygon: list[list[float]], **more: Any) -> dict[str, Any]:
    """A zone of the registry, with an area of 1,000 m² so that densities are easily read."""
    row = {"id": name, "name": {"ja": f"区間{name}", "en": f"Section {name}"}, "kind": "walkway", "area_m2": 1000}
    return {**row, "polygon_m": polygon, "place": "w", **more}


REGISTRY: dict[str, Any] = {
    "version": "7",
    "timezone": "Asia/Tokyo",
    "places": [
        {"id": "w", "name": {"ja": "歩行空間", "en": "Walkway"}},
        {"id": "h", "name": {"ja": "駅", "en": "Hall"}},
    ],
    "zones": [
        zone("c1", box(-10, 10, 0, -150)),
        zone("c2", box(-10, 10, -150, -300)),
        zone("c3", box(-10, 10, -300, -450)),
        zone("p", box(-40, -10, -200, -240), kind="plaza"),
        zone("dark", box(10, 30, -20, -60)),
        zone("hall", box(0, 30, 0, -30), place="h"),
    ],
    "gates": [
        {"id": "n", "a": None, "b": "c1", "leaf": "10s", "line_m": [[-10, 0], [10, 0]], "bearing_deg": 180},
        {"id": "m", "a": "c1", "b": "c2", "leaf": "10s", "line_m": [[-10, -150], [10, -150]], "bearing_deg": 180},
        {"id": "o", "a": "c2", "b": "c3", "leaf": "10s", "line_m": [[-10, -300], [10, -300]], "bearing_deg": 180},
        {"id": "q", "a": "c2", "b": "p", "leaf": "10s", "line_m": [[-10, -210], [-10, -230]], "bearing_deg": 270},
        {"id": "x", "a": None, "b": "hall", "leaf": "10s"},
    ],
    "sensors": [
        {"id": f"{gate}-1", "kind": "counter", "gate": gate, "approved": APPROVED, "reporting": "heartbeat"}
        for gate in ("n", "m", "o", "q", "x")
    ],
}
EDGES = (0.31, 0.43, 0.72, 1.08, 2.17)  # of the walkway scheme
DENSITY = {"A": 0.2, "B": 0.4, "C": 0.6, "D": 0.9, "E": 1.5, "F": 2.6}


def grade(store: FakeStore, clock: Clock, where: str, letter: str, **more: Any) -> None:
    """A zone's newest row; 'unknown' = not observed."""
    start = clock.last_start()
    if letter == "unknown":
        store.put_zone(where, start, None, None)
        return
    dens = DENSITY[letter]
    inside = {"occupancy": dens * 1000, "occupancy_low": dens * 900, "occupancy_high": dens * 1100, "error": 5}
    values = {"density": dens, "speed": 1.2, "los": letter, **inside, **more}
    store.put_zone(where, start, values.pop("inflow", (14, 14)), values.pop("outflow", (12, 22)), **values)


def walkway(clock: Clock, registry: dict[str, Any] | None = None) -> FakeStore:
    """A live run of the place: c1 to c3 are A, C and D, the plaza B, the hall A; of the dark zone nothing is known."""
    start = clock.last_start()
    leaves = {gate["id"]: "10s" for gate in (registry or REGISTRY)["gates"]}
    run = FakeRun(leaves=leaves, closed_ms=start + 10_000, started_ms=start)
    store = FakeStore(registry or REGISTRY, run)
    store.now_ms = clock.ms
    for where, letter in (("c1", "A"), ("c2", "C"), ("c3", "D"), ("p", "B"), ("hall", "A"), ("dark", "unknown")):
        grade(store, clock, where, letter)
    for gate in leaves:
        for direction, n in (("ab", (31, 31)), ("ba", (7, 12)), ("unknown", (0, 5))):
            store.put(gate, direction, start, n)
    return store


def open_situation(page: Page, url: str, query: str = "?place=w") -> None:
    """The operator's page with figures; a layout of two places opens at the city, so the place is asked for."""
    page.goto(f"{url}/{query}")
    page.locator("html:not(.empty) #ranked tbody tr").first.wait_for(state="visible")


def drawn(page: Page, where: str) -> Locator:
    """A zone on the map."""
    return page.locator(f"#map g.zone[data-zone='{where}']")


def ranked(page: Page, where: str) -> Locator:
    """A zone's row in the table."""
    return page.locator(f"#ranked tbody tr[data-zone='{where}']")


def order(page: Page) -> list[str]:
    """The zones of the table, from the top."""
    return page.locator("#ranked tbody tr").evaluate_all("rows => rows.map(row => row.dataset.zone)")


def sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def hatched(where: Locator) -> bool:
    """Whether a zone of the map, or a grade of the table, is hatched."""
    return bool(
        where.evaluate(
            "e => e.querySelector('.pattern')?.getAttribute('fill').startsWith('url(#hatch') "
            "?? getComputedStyle(e).backgroundImage.includes('repeating-linear-gradient')"
        )
    )


def pixels(png: bytes) -> list[list[tuple[int, int, int]]]:
    """Rows of red, green and blue of a picture of 8 bits a channel, as Chromium takes them."""
    at, data = 8, b""
    width = height = channels = 0
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            channels = {2: 3, 6: 4}[colour]
            assert depth == 8
        data += body if kind == b"IDAT" else b""
        at += length + 12
    raw, stride = zlib.decompress(data), width * channels
    above, rows = bytearray(stride), []
    for y in range(height):
        how, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for i in range(stride):
            a, b, c = (
                (line[i - channels] if i >= channels else 0),
                above[i],
                (above[i - channels] if i >= channels else 0),
            )
            near = min((a, b, c), key=lambda v, p=a + b - c: abs(p - v))  # of equals the first: left, above, corner
            line[i] = (line[i] + (0, a, b, (a + b) // 2, near)[how]) & 255
        rows.append([(line[i], line[i + 1], line[i + 2]) for i in range(0, stride, channels)])
        above = line
    return rows


def lightness(rgb: tuple[float, float, float]) -> float:
    """CIE L* of a colour of 0..255 in sRGB (IEC 61966-2-1; CIE 1976, white D65)."""
    y = luminance(rgb)
    return 116 * y ** (1 / 3) - 16 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3


def luminance(rgb: tuple[float, float, float]) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    red, green, blue = (v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
