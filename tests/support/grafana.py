"""The dashboards of deploy/grafana as Grafana would send them: panels, variables, statements."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.realservices.cache import ROOT

FOLDER = ROOT / "deploy" / "grafana"
BOARDS: Mapping[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
_VARIABLE = re.compile(r"\$\{(\w+)(:singlequote)?\}")


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """``board/title`` and the panel."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            yield f"{name}/{panel['title']}", panel


def statements() -> dict[str, str]:
    """Every statement that a dashboard sends: of panels, and of the variables that ask the store."""
    found = {}
    for name, panel in panels():
        for target in panel["targets"]:
            found[f"{name}/{target['refId']}"] = target["rawSql"]
    for board, told in BOARDS.items():
        for variable in told["templating"]["list"]:
            if variable["type"] == "query":
                found[f"{board}/${variable['name']}"] = variable["query"]
    return found


def names(sql: str) -> set[str]:
    """The variables of a statement."""
    return {match[1] for match in _VARIABLE.finditer(sql)}


def filled(sql: str, values: Mapping[str, str | list[str]]) -> str:
    """A statement with its variables replaced as Grafana does it: quoted, lists by commas. Raises KeyError."""

    def value(match: re.Match[str]) -> str:
        told = values[match[1]]
        texts = [told] if isinstance(told, str) else told
        return ",".join("'" + text.replace("'", "\\'") + "'" if match[2] else text for text in texts)

    return _VARIABLE.sub(value, sql)
