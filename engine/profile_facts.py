"""Rows in which a partition tells of people who consented; the first columns are every stream's (engine/facts.py).

Each row is about one pseudonym of one product and day (two words of it), as one provider told it. Codes of PROVIDER and
ZONE point into the facts' names.

    kind        ts                     further columns
    PROFILE     of the least event     TOLD: codes of engine.ingress.ATTRIBUTES; what may not be told is 0
    VISIT       of the event           ZONE
    WITHDRAWN   0                      OF: the kind whose rows are gone
    SEALED      0                      OF: the kind whose key has HIGH, LOW as its digest; about nobody

Why a withdrawal is a row: a partition tells a day once, when it has passed it. Where other partitions are still in that
day, it is not published yet, and what was told of it can be taken back.

Why a key has a row: a person has one pseudonym only where all partitions have one key. It lies in a file, which can be
lost or replaced between one partition's first look and another's: then fewer than k people would count as k.
"""

from __future__ import annotations

import numpy as np

from engine.errors import BadInput
from engine.ingress import ATTRIBUTES
from engine.model import I64

PROFILE, VISIT, WITHDRAWN, SEALED = 0, 1, 2, 3
KIND, HIGH, LOW, TS, PROVIDER, ZONE, OF = 3, 4, 5, 6, 7, 8, 9
TOLD = 10  # first of the columns of ATTRIBUTES
WIDTH = TOLD + len(ATTRIBUTES)
CODED = (PROVIDER, ZONE)  # columns of codes into names
PRODUCTS = ("profiles", "trips")  # of kinds PROFILE and VISIT: the names of their keys, purposes and contracts


def of_kind(rows: I64, kind: int) -> I64:
    """The rows (m, WIDTH) of PROFILE or VISIT that no withdrawal has taken back, by pseudonym, ts and the rest.

    A provider's user who withdraws takes back all that this provider told of the day.
    """
    mine = rows[rows[:, KIND] == kind]
    gone = rows[(rows[:, KIND] == WITHDRAWN) & (rows[:, OF] == kind)]
    if len(gone):
        taken = {tuple(key) for key in gone[:, [HIGH, LOW, PROVIDER]].tolist()}
        mine = mine[[tuple(key) not in taken for key in mine[:, [HIGH, LOW, PROVIDER]].tolist()]]
    order = np.lexsort(
        (*mine.T[TOLD:][::-1], mine[:, PROVIDER], mine[:, ZONE], mine[:, TS], mine[:, LOW], mine[:, HIGH])
    )
    return np.asarray(mine[order], np.int64)


def one_key(rows: I64) -> None:
    """Raise BadInput where partitions have told of a day (rows: of one) under different keys."""
    told = np.unique(rows[rows[:, KIND] == SEALED][:, [OF, HIGH, LOW]], axis=0)
    if len(np.unique(told[:, 0])) < len(told):
        raise BadInput("[profiles] key_file: a day was counted under different keys")


def people(rows: I64) -> I64:
    """Number of the person (m,) of each row, from 0 on, of rows that stand by pseudonym."""
    if not len(rows):
        return np.empty(0, np.int64)
    new = (rows[1:, [HIGH, LOW]] != rows[:-1, [HIGH, LOW]]).any(axis=1)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(new)])
