"""Streams that are broken anywhere: the compiled reader and its twin (engine.arrow) read the same of them."""

import os
import random

import pyarrow as pa
import pytest

from engine import decode
from engine.fast import _decode
from engine.model import MALFORMED, NO_TIME
from tests.support import streams
from tests.support.guarded import ROOM, assert_nothing_is_read_behind
from tests.unit.test_arrow import COUNTED, CROSSED, EVENTS, IDS, decoded
from tests.unit.test_arrow_space import IN_SPACE

MUTANTS = int(os.environ.get("ARROW_MUTANTS", "3000"))  # more for a longer look
# What a length, an offset, a count or an index may be mistaken for.
ODD = [0, 1, 2, 3, 4, 7, 8, 9, 16, 63, 64, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
ODD += [2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 2, 2**64 - 1]


def seeds():
    """Streams of every kind of column and of message."""
    plain = streams.table_of(EVENTS)
    yield streams.stream([plain])
    yield streams.arrow_of(EVENTS * 8, 7)
    yield streams.stream([streams.table_of(IN_SPACE * 2, {**streams.PLAIN, "x": pa.float32(), "y": pa.int16()})])
    texts = {
        **streams.PLAIN,
        "sensor": pa.large_utf8(),
        "type": pa.utf8(),
        "dir": pa.dictionary(pa.uint8(), pa.large_utf8()),
    }
    yield streams.stream(
        [streams.table_of(EVENTS, {**texts, "ts": streams.ZONED[2], "seq": pa.uint64(), "ab": pa.int8()})]
    )
    lists = [["j1-03"], ["j1-03", "j2-01"], ["j1-03", "j2-01", "x"]]
    grown = [streams.table_of([{**CROSSED, "sensor": name} for name in names]) for names in lists]
    yield streams.stream(grown, emit_dictionary_deltas=True)
    yield streams.stream(grown)
    kinds = [(str(at), pa.array([value] * 2, kind)) for at, (kind, value) in enumerate(streams.STRANGE)]
    kinds += [(str(at), array) for at, array in enumerate(streams.unions(2))]
    ours = streams.table_of([COUNTED, {**CROSSED, "ts": None}], {**streams.PLAIN, "record_ts": pa.int64()})
    random.Random(3).shuffle(kinds)
    parts = [*kinds[:9], *zip(ours.schema.names, ours.columns, strict=True), *kinds[9:]]
    for piece in (parts, parts[::-1]):
        yield streams.stream([pa.RecordBatch.from_arrays([array for _, array in piece], [name for name, _ in piece])])


SEEDS = list(seeds())


def rows_of(module, message, ids, record_ts=NO_TIME):
    return decoded(module, [message], record_ts, ids=ids)


def mutated(rng, message):
    """A few words of the stream replaced, moved, dropped; or cut."""
    out = bytearray(message)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = rng.choice((1, 2, 4, 4, 8, 8))
        at = rng.randrange(len(out)) // size * size
        way = rng.random()
        if way < 0.45:
            out[at : at + size] = (rng.choice(ODD) % 256**size).to_bytes(size, "little")
        elif way < 0.7:  # a little more or less
            old = int.from_bytes(out[at : at + size], "little")
            out[at : at + size] = ((old + rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))) % 256**size).to_bytes(
                size, "little"
            )
        elif way < 0.8:
            out[at] ^= 1 << rng.randrange(8)
        elif way < 0.9:  # what stands elsewhere
            other = rng.randrange(len(out)) // size * size
            out[at : at + size] = out[other : other + size]
        elif way < 0.95:
            del out[at : at + rng.choice((1, 4, 8, len(out)))]
        else:
            out[at:at] = out[at : at + rng.choice((1, 4, 8, 64))]
        if not out:
            break
    return bytes(out)


def test_every_mutant_is_read_the_same_way():
    rng = random.Random(20260207)
    kept = _decode.Ids(IDS)  # dictionaries that were read before must not shine through
    outcomes = {"unreadable": 0, "rows": 0}
    for _ in range(MUTANTS):
        message = mutated(rng, rng.choice(SEEDS))
        expected = rows_of(decode, message, decode.Ids(IDS))
        assert rows_of(_decode, message, kept) == expected, message.hex()
        outcomes["unreadable" if [r.reason for _, r in expected] == [MALFORMED] else "rows"] += 1
    assert min(outcomes.values()) > MUTANTS // 10, outcomes


def test_mutants_that_pyarrow_reads_too_have_its_values():
    """pyarrow is the oracle of what a stream says, not of what is accepted: it reads older streams, and checks less."""
    rng = random.Random(11)
    agreed = 0
    for _ in range(1_500):
        message = mutated(rng, rng.choice(SEEDS[:5]))
        rows = rows_of(_decode, message, _decode.Ids(IDS))
        if [r.reason for _, r in rows] == [MALFORMED]:
            continue
        try:
            with pa.ipc.open_stream(message) as reader:
                batches = list(reader)
            for batch in batches:
                batch.validate(full=True)
            objects = [streams.json_of(batch) for batch in batches]
        except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError):
            continue
        document = b"[" + b",".join(text for batch in objects for text in batch) + b"]"
        assert rows == rows_of(decode, document, decode.Ids(IDS)), message.hex()
        agreed += 1
    assert agreed > 200


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_every_prefix_is_unreadable_but_those_that_end_between_messages(seed):
    whole = SEEDS[seed]
    cuts = [whole[:n] for n in range(1, len(whole))]
    found = decoded(_decode, cuts)
    good = {at for at, row in found if row.reason != MALFORMED} | (set(range(len(cuts))) - {at for at, _ in found})
    assert 2 <= len(good) <= 12
    ends = {at + 1 for at in good}
    at, between = 0, set()
    while at < len(whole) - 8:
        between.add(at)
        size = int.from_bytes(whole[at + 4 : at + 8], "little")
        at += 8 + size + streams.body_of(whole, at)
    assert ends == (between | {len(whole) - 8}) - {0}


def guarded():
    """Sensors and messages of tests.support.guarded."""
    rng = random.Random(5)
    messages = [seed[:n] for seed in SEEDS for n in range(1, len(seed) + 1, 3)]
    messages += [mutated(rng, rng.choice(SEEDS)) for _ in range(8_000)]
    return IDS, [message[:ROOM] for message in messages]


def test_nothing_is_read_behind_a_message():
    """Messages end where a page begins that may not be read: the process would die."""
    assert_nothing_is_read_behind("tests.parity.test_arrow")


def table(fields, vtable_first=True):
    """A flatbuffer table of fields {place: bytes}: (bytes, offset of the table)."""
    slots = bytearray(2 * (max(fields) + 1))
    body = bytearray(4)
    for field, value in fields.items():
        slots[2 * field : 2 * field + 2] = len(body).to_bytes(2, "little")
        body += value
    vtable = (4 + len(slots)).to_bytes(2, "little") + len(body).to_bytes(2, "little") + slots
    body[:4] = len(vtable).to_bytes(4, "little")
    return vtable + body, len(vtable)


def test_columns_within_columns_are_walked_so_far_and_no_further():
    """A few bytes of offsets may stand for 2^60 columns: a vector that names one table twice, 60 times over."""

    def message(levels, doubled):
        # written from the root on, each table behind the one that names it
        data = bytearray(4)

        def add(fields):
            text, at = table(fields)
            start = len(data)
            data.extend(text)
            return start + at

        def point(place, to):
            data[place : place + 4] = (to - place).to_bytes(4, "little")

        number = lambda value, size: value.to_bytes(size, "little")  # noqa: E731
        root = add({0: number(4, 2), 1: number(1, 1), 2: bytes(4)})
        point(0, root)
        schema = add({1: bytes(4)})
        point(root + 4 + 3, schema)
        vector = len(data)
        data.extend(number(1, 4) + bytes(4))
        point(schema + 4, vector)
        holders = [vector + 4]
        for level in range(levels):
            last = level == levels - 1
            field = add({2: number(2 if last else 13, 1)} if last else {2: number(13, 1), 5: bytes(4)})
            for holder in holders:
                point(holder, field)
            if not last:
                vector = len(data)
                point(field + 5, vector)
                count = 2 if doubled else 1
                data.extend(number(count, 4) + bytes(4 * count))
                holders = [vector + 4 + 4 * i for i in range(count)]
        return b"\xff\xff\xff\xff" + len(data).to_bytes(4, "little") + bytes(data)

    for module in (decode, _decode):
        ids = module.Ids(IDS)
        assert rows_of(module, message(1, False), ids) == []
        assert rows_of(module, message(64, False), ids) == []
        assert [r.reason for _, r in rows_of(module, message(65, False), ids)] == [MALFORMED]
        assert rows_of(module, message(4, True), ids) == []
        assert [r.reason for _, r in rows_of(module, message(60, True), ids)] == [MALFORMED]
