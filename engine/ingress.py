"""Ingress of service providers' data (PRIVACY.md R1): an allow-list of fields, the rest dropped before anything else.

A message is one JSON object or an array of them. Of an object only the fields of ``FIELDS`` are looked at, whatever
else it holds. A birth year becomes a band of five years, a residence its JIS X 0402 code, an income its band, household
and children their class, interests a set of bits. What is left of a person is codes; subject and provider stay
texts only until ``engine.profile`` has made a pseudonym of one and asked for consent and contract with both, in the
same call. Nothing here keeps, logs or quotes a value.

The first check that fails gives the reason:

    malformed      not JSON, or no object
    unknown_type   ``type`` is there and neither "profile" nor that of a control record
    missing_field  ``provider``, ``subject`` or ``ts``; null is as good as absent
    bad_value      a field that is used holds what it may not
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from engine import codes
from engine.decode import BLANK, BadValue, integer, time
from engine.languages import LANGUAGES
from engine.model import (
    BAD_VALUE,
    ID_BYTES,
    KIND_NONE,
    KINDS,
    MALFORMED,
    MISSING_FIELD,
    NO_TIME,
    TICK,
    UNKNOWN_TYPE,
)

FIELDS = (
    "provider", "subject", "ts", "type", "zone", "residence", "gender", "birth_year", "income", "household", "children",
    "occupation", "interests", "lang", "record_ts",
)  # fmt: skip
# What a person can consent to have told: columns of a record's ``told``, in this order. The zone is told beside them.
ATTRIBUTES = (
    "residence", "gender", "birth_year", "income", "household", "children", "occupation", "interests", "lang"
)  # fmt: skip
ZONE = "zone"  # the attribute under which a person consents to being told of in a place
PROFILE = -1  # kind of a record that is an event; the others are those of engine.model
_FIRST_YEAR = 1900  # of birth
BAND_YEARS = 5
_MOST_PEOPLE = 99  # in one household
_MOST_INCOME = 10**9  # 10,000 yen
_MOST_INTERESTS = 64  # words in one list: repeats are no harm
_YEAR_MS = 31_556_952_000  # of the Gregorian calendar on average: near enough to tell a year
_EPOCH_YEAR = 1970


class Record(NamedTuple):
    """One object of a message. ``kind``: PROFILE, TICK, SET, REGISTRY, or KIND_NONE where it is no event at all.

    ``told``: codes of ATTRIBUTES, 0 = not told. ``zone``: its id, None = not told.
    """

    kind: int = KIND_NONE
    reason: int = 0
    ts: int = NO_TIME
    record_ts: int = NO_TIME
    provider: str = ""
    subject: str = ""
    zone: str | None = None
    told: tuple[int, ...] = (0,) * len(ATTRIBUTES)

    def __repr__(self) -> str:
        """Nothing of what it holds: it may stand in an error."""
        return "Record()"


def read(payload: bytes, message_ts: int) -> list[Record]:
    """The records of one message; ``message_ts``: its record timestamp (ms), NO_TIME where the records tell theirs."""
    if not payload.strip(BLANK):
        return []
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        return [_record(document, message_ts)]
    malformed = Record(reason=MALFORMED, record_ts=message_ts)
    if isinstance(document, list):
        return [_record(entry, message_ts) if isinstance(entry, dict) else malformed for entry in document]
    return [malformed]


def _record(told: Mapping[str, Any], message_ts: int) -> Record:
    """Judge one object in the order of the checks."""
    word = told.get("type")
    if word in ("tick", "set", "registry"):
        return _control(told, KINDS.index(word), message_ts)
    if word is not None and word != "profile":
        return Record(reason=UNKNOWN_TYPE, record_ts=message_ts)
    if any(told.get(name) is None for name in ("provider", "subject", "ts")):
        return Record(PROFILE, MISSING_FIELD, record_ts=message_ts)
    try:
        ts = time(told["ts"])
        record_ts = message_ts
        if message_ts == NO_TIME:
            record_ts = ts if told.get("record_ts") is None else time(told["record_ts"])
        provider, subject = _id(told["provider"]), _id(told["subject"])
        zone = None if told.get("zone") is None else _id(told["zone"])
        return Record(PROFILE, 0, ts, record_ts, provider, subject, zone, _attributes(told, ts))
    except BadValue:
        return Record(PROFILE, BAD_VALUE, record_ts=message_ts)


def _control(told: Mapping[str, Any], kind: int, message_ts: int) -> Record:
    """A control record; a tick without a good ts is an event that is refused, as in topic people."""
    try:
        ts = NO_TIME if told.get("ts") is None else time(told["ts"])
    except BadValue:
        return Record(kind, BAD_VALUE if kind == TICK else 0, record_ts=message_ts)
    if kind == TICK and ts == NO_TIME:
        return Record(kind, MISSING_FIELD, record_ts=message_ts)
    return Record(kind, 0, ts, ts if message_ts == NO_TIME else message_ts)


def _attributes(told: Mapping[str, Any], ts: int) -> tuple[int, ...]:
    """Codes of ATTRIBUTES. Raises BadValue."""

    def born(_name: str, value: object) -> int:
        return _birth_year(value, ts)

    readers = (_residence, _word, born, _income, _size, _size, _word, _interests, _language)
    values = ((name, told.get(name)) for name in ATTRIBUTES)
    return tuple(
        0 if value is None else read_one(name, value) for read_one, (name, value) in zip(readers, values, strict=True)
    )


def _id(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value.encode()) <= ID_BYTES:
        raise BadValue
    return value


def _residence(_name: str, value: object) -> int:
    code = codes.residence(value) if isinstance(value, str) else None
    if code is None:
        raise BadValue
    return code


def _word(name: str, value: object) -> int:
    """Place in a code list, from 1 on."""
    known = codes.load(name).codes
    if not isinstance(value, str) or value not in known:
        raise BadValue
    return known.index(value) + 1


def _birth_year(value: object, ts: int) -> int:
    """First year of the band of five that holds a birth year. Raises BadValue for one before 1900 or behind the event.

    The year behind counts too: it begins earlier in zones east of Greenwich.
    """
    year = integer(value, _FIRST_YEAR, year_of(ts) + 1)
    return year - year % BAND_YEARS


def year_of(ms: int) -> int:
    """The year of an instant, to a day or so at its ends."""
    return _EPOCH_YEAR + ms // _YEAR_MS


def _income(name: str, value: object) -> int:
    """Place of the band: of the list's own word, of another span that lies in one band, of a number (10,000 yen)."""
    if isinstance(value, str):
        first, dash, behind = value.partition("-")
        if not dash or not _digits(first) or not (_digits(behind) or not behind):
            raise BadValue
        low = int(first)
        high = None if not behind else int(behind)
        if high is not None and high <= low:
            raise BadValue
    else:
        low = integer(value, 0, _MOST_INCOME)
        high = low + 1
    for place, band in enumerate(codes.load(name).codes, 1):
        least, _, most = band.partition("-")
        if int(least) <= low and (not most or (high is not None and high <= int(most))):
            return place
    raise BadValue


def _digits(text: str) -> bool:
    return 0 < len(text) <= len(str(_MOST_INCOME)) and text.isascii() and text.isdigit()


def _size(name: str, value: object) -> int:
    """Place of a number of people in a list whose last code is open upwards."""
    known = codes.load(name).codes
    first = int(known[0])
    return min(integer(value, first, _MOST_PEOPLE) - first, len(known) - 1) + 1


def _interests(name: str, value: object) -> int:
    """A set of bits by the places of the words; none for an empty list."""
    if not isinstance(value, list) or len(value) > _MOST_INTERESTS:
        raise BadValue
    bits = 0
    for word in value:
        bits |= 1 << (_word(name, word) - 1)
    return bits


def _language(_name: str, value: object) -> int:
    """Place of a language tag's primary subtag among the languages, from 1 on; the last for any other."""
    if not isinstance(value, str) or len(value.encode()) > ID_BYTES:
        raise BadValue
    primary = value.replace("_", "-").partition("-")[0].lower()
    return LANGUAGES.index(primary) + 1 if primary in LANGUAGES else len(LANGUAGES)
