"""FlatBuffers, as far as the metadata of Arrow needs them: tables and vectors read where they lie, every step checked.

A table is told by its place; its fields lie where its vtable says, a field that is not there has its default. Twin of
engine/fast/_arrow_flat.pxd.
"""

from __future__ import annotations

from typing import NamedTuple


class Unreadable(Exception):
    """The bytes are no Arrow stream, or one that this engine does not read."""


class Flat:
    """The bytes of one buffer. Every method raises Unreadable for a place outside of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, at: int, size: int) -> int:
        """The little-endian number of ``size`` bytes: with sign where it has eight, without where it has fewer."""
        if not 0 <= at <= len(self.data) - size:
            raise Unreadable
        return int.from_bytes(self.data[at : at + size], "little", signed=size == 8)

    def target(self, at: int) -> int:
        """The place to which the offset at ``at`` points."""
        return at + self.number(at, 4)

    def table(self, at: int) -> Table:
        """The table at ``at``."""
        back = self.number(at, 4)
        vtable = at - (back - 2**32 if back >= 2**31 else back)
        size = self.number(vtable, 2)
        if size < 4 or vtable + size > len(self.data):
            raise Unreadable
        return Table(self, at, vtable, (size - 4) // 2)


class Vector(NamedTuple):
    """``length`` elements from ``at`` on."""

    at: int
    length: int


class Table(NamedTuple):
    """One table: its place, that of its vtable, and how many fields this one tells of."""

    flat: Flat
    at: int
    vtable: int
    fields: int

    def place(self, field: int) -> int | None:
        """Where a field lies, None where it is not there."""
        if field >= self.fields:
            return None
        offset = self.flat.number(self.vtable + 4 + 2 * field, 2)
        return self.at + offset if offset else None

    def number(self, field: int, size: int) -> int:
        """A field that is a number, 0 where it is not there."""
        at = self.place(field)
        return 0 if at is None else self.flat.number(at, size)

    def child(self, field: int) -> Table | None:
        """A field that is a table, None where it is not there."""
        at = self.place(field)
        return None if at is None else self.flat.table(self.flat.target(at))

    def vector(self, field: int, size: int) -> Vector:
        """A field that is a vector of elements of ``size`` bytes, an empty one where it is not there."""
        place = self.place(field)
        if place is None:
            return Vector(0, 0)
        at = self.flat.target(place)
        length = self.flat.number(at, 4)
        if at + 4 + length * size > len(self.flat.data):
            raise Unreadable
        return Vector(at + 4, length)

    def text(self, field: int) -> bytes:
        """A field that is a string, empty where it is not there."""
        at, length = self.vector(field, 1)
        return self.flat.data[at : at + length]
