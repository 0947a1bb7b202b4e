"""The versions of the registry that a run meets, and the registry records by which they come.

A version holds, in each partition, for all records behind its own. Rows of tables are appended version by version, so
the tables of a partition or shard follow from the sequence of versions it has gone through (hashes, the first one of
``--registry``); whoever knows the sequence has the same rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from engine import registry
from engine.errors import BadInput
from engine.follow import Follow
from engine.registry import Registry
from engine.tables import Tables, followed_delays

Versions = tuple[str, ...]  # hashes of versions, in the order in which they came
PART_CHARS = 400_000  # longest piece of a registry's text in one record: brokers refuse messages over 1 MB
_HASH = re.compile(r"[0-9a-f]{64}")


class Book:
    """Versions by hash and tables by sequence, shared by all partitions and shards of a process.

    ``keep`` is given every version that is met, before anything tells of it; ``find`` fetches one by its hash that
    this process has not met itself (after a restart, or met by another process). ``follow``: how long people are
    followed (config points, beams).
    """

    def __init__(
        self,
        first: Registry,
        keep: Callable[[Registry], None] = lambda _version: None,
        find: Callable[[str], Registry | None] = lambda _hash: None,
        follow: Follow | None = None,
    ) -> None:
        self.first = first.hash
        self._versions = {first.hash: first}
        self._keep, self._find, self._follow = keep, find, follow
        self._tables: dict[Versions, Tables] = {}

    @property
    def start(self) -> Versions:
        """The sequence in which every partition begins."""
        return (self.first,)

    def meet(self, version: Registry) -> None:
        """A version was met in the log."""
        if version.hash not in self._versions:
            self._keep(version)
            self._versions[version.hash] = version

    def version(self, of: str) -> Registry:
        """The version of that hash. Raises BadInput where nobody has it."""
        known = self._versions.get(of) or self._find(of)
        if known is None:
            raise BadInput(f"registry {of[:12]}: was met in the log, but is not in the store")
        self._versions[of] = known
        return known

    def tables(self, sequence: Versions) -> Tables:
        """Tables of the last version of ``sequence``, rows numbered by all of it."""
        known = self._tables.get(sequence)
        if known is None:
            before = self.tables(sequence[:-1]) if len(sequence) > 1 else None
            known = self._tables[sequence] = Tables(self.version(sequence[-1]), before, self._follow)
        return known


def fault_of_change(before: Tables, new: Registry) -> str | None:
    """Why ``new`` cannot follow the versions of ``before``; None where it can.

    What a gate's chain and windows rest on stays for ever: take a new id for a gate that changes. The time zone
    belongs to the deployment.
    """
    if new.timezone != before.registry.timezone:
        return "timezone: cannot change in a run"
    lines = {g["id"]: g.get("line_m") for g in _rows(before.registry, "gates")}
    new_lines = {g["id"]: g.get("line_m") for g in _rows(new, "gates")}
    known = {g.id: g for g in before.gates}
    row, delays = {g.id: at for at, g in enumerate(before.gates)}, followed_delays(new, before.follow)
    for i, gate in enumerate(new.gates):
        old = known.get(gate.id)
        if old is None:
            continue
        for name, field in (("leaf", "leaf"), ("a", "a"), ("b", "b"), ("delay_s", "delay_ms")):
            if getattr(old, field) != getattr(gate, field):
                return f"gates[{i}].{name}: changes, take a new id"
        if gate.id in lines and lines[gate.id] != new_lines[gate.id]:
            return f"gates[{i}].line_m: changes, take a new id"
        if delays[gate.id] > before.gate_delay_ms[row[gate.id]]:
            return f"gates[{i}]: a beam pair comes to a gate that closes without pair_ms, take a new id"
    return None


def _rows(version: Registry, name: str) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = orjson.loads(version.text).get(name, [])
    return rows


def records_of(version: Registry) -> list[bytes]:
    """The control records that carry a version: one, or several where its text is long; the last one makes it hold."""
    if len(version.text) <= PART_CHARS:
        return [f'{{"type":"registry","registry":{version.text}}}'.encode()]
    pieces = [version.text[i : i + PART_CHARS] for i in range(0, len(version.text), PART_CHARS)]
    return [
        json.dumps(
            {"type": "registry", "hash": version.hash, "part": i, "parts": len(pieces), "text": piece},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
        for i, piece in enumerate(pieces)
    ]


class Records:
    """Reads the registry records of one partition; keeps the pieces of a version whose last one has not come."""

    def __init__(self, pieces: tuple[str, ...] = ()) -> None:
        self.pieces = pieces  # the version's hash, then its first pieces in order

    def take(self, message: bytes, before: Tables | None) -> tuple[Registry | None, str | None]:
        """The version that holds behind ``message`` and None, or None and why there is none (None: more to come).

        A record that is no valid version changes nothing: the log goes on with the version before.
        """
        document = orjson.loads(message)
        if isinstance(document, list):
            document = next(d for d in document if isinstance(d, dict) and d.get("type") == "registry")
        if "registry" in document:
            text = orjson.dumps(document["registry"])
        else:
            whole = self._joined(document)
            if whole is None:
                return None, None
            text = whole
        found, faults = registry.check(text)
        fault = faults[0] if found is None else None if before is None else fault_of_change(before, found)
        return (found, None) if fault is None else (None, fault)

    def _joined(self, document: Mapping[str, Any]) -> bytes | None:
        """The whole text with its last piece, None before it; b"" where a piece does not fit those before it."""
        of, part, parts, text = (document.get(name) for name in ("hash", "part", "parts", "text"))
        if part == 0 and isinstance(of, str) and _HASH.fullmatch(of):  # what is kept comes into recovery files
            self.pieces = (of,)
        pieces, self.pieces = self.pieces, ()
        if not pieces or of != pieces[0] or part != len(pieces) - 1 or not isinstance(text, str):
            return b""
        pieces = (*pieces, text)
        if part + 1 == parts:
            return "".join(pieces[1:]).encode()
        self.pieces = pieces
        return None
