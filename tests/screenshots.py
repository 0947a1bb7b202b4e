"""Pictures of the page: ``make screenshots``, from scenes that are replayed, so from the same figures each time.

    python -m tests.screenshots [NAME …]

All go to build/screenshots as PNG; the two of README also to docs/pictures, as WebP. The server's clock stands still in
the middle of the scene. What differs from time to time is how long this machine took to paint.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

import loadgen
from dashboard.app import create_app
from dashboard.serve import Server, serve
from engine import registry as registries
from engine.config import Config
from flows.runs import Setup, replay_files
from hitonami import __version__
from sinks.clickhouse.store import Store
from tests.realservices.browser import ARGUMENTS, INSTALL, chromium
from tests.realservices.cache import ROOT

OUT, PICTURES = ROOT / "build" / "screenshots", ROOT / "docs" / "pictures"
DESK, PHONE = {"width": 1920, "height": 1080}, {"width": 390, "height": 844}
MINUTE_MS = 60_000
WAIT_MS = 8_000  # until all of it is drawn, what is asked for by the way too
AT_MIN = {"smoke": 44, "blackout": 47}  # how long after the scene's beginning its clock stands: 18:14 and 3:17
QUALITY = 80


@dataclass(frozen=True)
class Shot:
    """One picture: of which scene, how, and what is done before it is taken (None: nothing)."""

    scene: str
    language: str = "ja"
    theme: str = "light"
    size: Mapping[str, int] | None = None
    address: str = "/"
    prepare: Callable[[Page, Server], None] | None = None
    readme: bool = False


def grey(page: Page, _server: Server) -> None:
    """As somebody sees it who sees no colours, and as a printer prints it."""
    page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": "achromatopsia"})


def offline(page: Page, server: Server) -> None:
    """The server goes, and the page says so."""
    server.stop()
    page.locator("#trouble:not(:empty)").wait_for(timeout=20_000)


SHOTS = {
    "light": Shot("smoke", readme=True),
    "dark": Shot("smoke", language="en", theme="dark", readme=True),
    "grey": Shot("smoke", prepare=grey),
    "phone": Shot("smoke", size=PHONE),
    "zone": Shot("smoke", address="/?zone=c2"),
    "tables": Shot("smoke", address="/?view=tables"),
    "replay": Shot("smoke", address="/?replay=smoke&at={before}"),
    "offline": Shot("smoke", prepare=offline),
    "blackout": Shot("blackout"),
}


def play(store: Store, scene: str, work: Path) -> int:
    """Replay a scene up to where its clock stands, as a run that looks live; that time in ms."""
    made = loadgen.SCENARIOS[scene](seconds=AT_MIN[scene] * 60)
    now_ms = made.start_ms + AT_MIN[scene] * MINUTE_MS
    told = [(m.arrival_ms, json.loads(m.value)) for m in made.events() if m.arrival_ms <= now_ms]
    # while nobody tells anything, a live run has ticks: without them it would not be known that all sensors are silent
    told += [(ms, {"type": "tick", "ts": ms}) for ms in range(made.start_ms, now_ms, 1000)]
    told.sort(key=lambda row: row[0])
    path = work / f"{scene}.jsonl"
    path.write_text("".join(json.dumps({**event, "record_ts": ms}) + "\n" for ms, event in told))
    registry = registries.parse(json.dumps(made.registry).encode())
    setup = Setup(store, registry, Config({"status": {"exact": True}}), scene, __version__)
    bound_ms = setup.config["time", "bound_ms"]
    replay_files(setup, [path], "log", to_ms=now_ms - bound_ms)
    run = store.run(scene)
    assert run is not None
    live = {"kind": "live", "state": "running", "closed_ms": now_ms - bound_ms, "started_ms": made.start_ms}
    store.update_run(replace(run, **live, updated_ms=run.updated_ms + 1))
    return now_ms


def take(browser: Browser, store: Store, name: str, shot: Shot, now_ms: int) -> None:
    """Take one picture."""
    server = serve(create_app(store, run_id=shot.scene, clock=lambda: now_ms / 1000))
    context = browser.new_context(
        viewport=dict(shot.size or DESK),  # type: ignore[arg-type]
        locale="ja-JP" if shot.language == "ja" else "en-GB",
        color_scheme=shot.theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.goto(server.url + shot.address.format(before=now_ms - 5 * MINUTE_MS))
        page.locator("html:not(.empty)").wait_for(state="attached")
        page.wait_for_timeout(WAIT_MS)
        if shot.prepare is not None:
            shot.prepare(page, server)
        page.screenshot(path=OUT / f"{name}.png")
        if shot.readme:
            line = page.context.new_cdp_session(page)
            told = line.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            (PICTURES / f"page-{name}.webp").write_bytes(base64.b64decode(told["data"]))
    finally:
        context.close()
        server.stop()


def take_all(browser: Browser, scene: str, names: list[str]) -> None:
    """Take the pictures of one scene."""
    with tempfile.TemporaryDirectory() as folder, Store.open(f"chdb://{folder}/store") as store:
        store.migrate()
        now_ms = play(store, scene, Path(folder))
        for name in names:
            take(browser, store, name, SHOTS[name], now_ms)
            print(f"{name}: {OUT.relative_to(ROOT)}/{name}.png", flush=True)


def main() -> None:
    """Take those that are named, or all."""
    names = sys.argv[1:] or list(SHOTS)
    if unknown := set(names) - set(SHOTS):
        raise SystemExit(f"no such picture: {', '.join(sorted(unknown))}; there is {', '.join(SHOTS)}")
    path = chromium()
    if path is None:
        raise SystemExit(INSTALL)
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        for scene in dict.fromkeys(SHOTS[name].scene for name in names):
            take_all(browser, scene, [name for name in names if SHOTS[name].scene == scene])
        browser.close()


if __name__ == "__main__":
    main()
