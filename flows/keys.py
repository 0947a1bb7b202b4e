"""Keys of pseudonyms: one for each run, product and day, in a file that all processes of a run share (PRIVACY.md R1).

The file lies outside the recovery directory, mode 0600: whoever has the one cannot tell people with the other. A key is
made when the first event of its day asks for it, and destroyed when the run has closed that day everywhere and that is
committed: from then on nobody can tell which pseudonym was whose, nor which of two days were one person's. The file
keeps up to when a run's keys were destroyed: the key of a later day that is not there was lost, and a run that needs it
does not start (engine/profile_keys.py). The file is made before processes start, and never by one of them: were it
gone, one that has a key and one that makes it anew would count a person twice. Of runs of one id it is one's alone, by
a word that its recovery directory holds too (``own``): another one would take for closed what that one has closed, and
drop withdrawals for days that it holds open.

A change is written to a new file, synced and put in the old one's place, so that a kill leaves the one or the other;
then the old file's bytes, which nobody can reach by a name any more, are overwritten with zeros and synced. What a disk
or file system copies elsewhere (snapshots, wear levelling, journals of data) is out of reach: docs/OPERATIONS.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.errors import BadInput, UsageError
from engine.rfc3339 import format_ms

KEY_BYTES = 32


class MemoryKeys:
    """Keys that are kept nowhere: of a replay, which is one process and is not resumed."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, int], bytes] = {}

    def key(self, product: str, day_ms: int) -> bytes:
        """See engine.profile_gate.Keys."""
        return self._keys.setdefault((product, day_ms), secrets.token_bytes(KEY_BYTES))

    def find(self, product: str, day_ms: int) -> bytes | None:
        """See engine.profile_gate.Keys."""
        return self._keys.get((product, day_ms))

    def destroyed(self, day_ms: int) -> bool:
        """None is before the replay's end, and then all are."""
        return False


class KeyFile:
    """The keys of run ``run_id`` in ``path``, a file that is there (``make``).

    Each call raises BadInput where the file is gone or cannot be used, or others can read it.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self._path, self._run_id = path, run_id
        self._mark = json.dumps([run_id, "", ""])  # beside the keys: they were destroyed up to that instant
        self._owner = json.dumps([run_id, "", "owner"])  # and whose they are
        self._known: dict[str, bytes] = {}  # asked for with every event: the file only with the first of a day

    def make(self) -> None:
        """Make the file where there is none, without a key."""
        with self._locked():
            if not self._path.exists():
                self._write({})
            self._read()

    def own(self, owner: str) -> None:
        """Make the keys of this run id those of ``owner``, a name that no other run has, or see that they are.

        Raises UsageError where the file has keys of another run of this id, or had.
        """
        with self._held() as keys:
            if keys.get(self._owner) != owner:
                if any(json.loads(name)[0] == self._run_id for name in keys):
                    raise UsageError(f"key file {self._path}: it is another run's of this id; take another file")
                self._write({**keys, self._owner: owner})

    def key(self, product: str, day_ms: int) -> bytes:
        """See engine.profile_gate.Keys."""
        name = self._name(product, day_ms)
        known = self._known.get(name)
        if known is None:
            with self._held() as keys:
                self._compare(keys)
                if name not in keys:
                    keys[name] = secrets.token_hex(KEY_BYTES)
                    self._write(keys)
                known = self._known[name] = bytes.fromhex(keys[name])
        return known

    def find(self, product: str, day_ms: int) -> bytes | None:
        """See engine.profile_gate.Keys."""
        with self._held() as keys:
            found = keys.get(self._name(product, day_ms))
        return None if found is None else bytes.fromhex(found)

    def destroyed(self, day_ms: int) -> bool:
        """See engine.profile_gate.Keys."""
        with self._held() as keys:
            return format_ms(day_ms) < keys.get(self._mark, "")

    def destroy(self, before_ms: int) -> int:
        """Destroy this run's keys of days that begin before ``before_ms``; returns how many there were."""
        with self._held() as keys:
            gone = [name for name in keys if self._is_before(name, before_ms)]
            for name in gone:
                del keys[name]
            if gone:
                keys[self._mark] = max(keys.get(self._mark, ""), format_ms(before_ms))
                self._write(keys)
        self._known = {name: key for name, key in self._known.items() if not self._is_before(name, before_ms)}
        return len(gone)

    def _compare(self, keys: Mapping[str, str]) -> None:
        """Forget what was destroyed. Raises BadInput where another key that is known here is not in the file."""
        to = keys.get(self._mark, "")
        self._known = {name: key for name, key in self._known.items() if json.loads(name)[2] >= to}
        if any(keys.get(name) != key.hex() for name, key in self._known.items()):
            raise BadInput(f"key file {self._path}: the key of an open day is no longer there, or another one")

    def _name(self, product: str, day_ms: int) -> str:
        return json.dumps([self._run_id, product, format_ms(day_ms)])

    def _is_before(self, name: str, before_ms: int) -> bool:
        run_id, product, day = json.loads(name)
        return bool(product and run_id == self._run_id and day < format_ms(before_ms))

    @contextlib.contextmanager
    def _held(self) -> Iterator[dict[str, str]]:
        """The keys, while no other process can change them."""
        with self._locked():
            yield self._read()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadInput(f"key file {self._path}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> dict[str, str]:
        try:
            with open(self._path, "rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise BadInput(f"key file {self._path}: others may read or write it; it must have mode 0600")
                keys = json.loads(file.read() or b"{}")
        except OSError as error:
            raise BadInput(f"key file {self._path}: {error.strerror}") from None
        except ValueError:
            raise BadInput(f"key file {self._path}: damaged") from None
        if not isinstance(keys, dict) or not all(isinstance(v, str) and _is_name(k) for k, v in keys.items()):
            raise BadInput(f"key file {self._path}: damaged")
        return keys

    def _write(self, keys: Mapping[str, str]) -> None:
        """Put the file in place of the old one, whose bytes are destroyed."""
        new = f"{self._path}.new"
        try:
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as out:
                out.write(json.dumps(dict(keys)).encode())
                out.flush()
                os.fsync(out.fileno())
            old = _opened(self._path)
            os.replace(new, self._path)
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
            with _closing(directory):
                os.fsync(directory)
            if old is not None:
                with _closing(old):
                    _overwrite(old)
        except OSError as error:
            raise BadInput(f"key file {self._path}: {error.strerror}") from None


def _is_name(name: str) -> bool:
    try:
        told = json.loads(name)
    except ValueError:
        return False
    return isinstance(told, list) and len(told) == 3 and all(isinstance(word, str) for word in told)


def checked(key_file: str, recovery: Path) -> Path:
    """The path of a key file. Raises UsageError where there is none, or it lies in the recovery directory."""
    if not key_file:
        raise UsageError("[profiles] key_file: phase self_sustaining needs a file for the keys of pseudonyms")
    path = Path(key_file).absolute()
    if path.resolve().is_relative_to(recovery.resolve()):
        raise UsageError("[profiles] key_file must not lie in the recovery directory: together they would tell people")
    return path


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _closing(file: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(file)


def _overwrite(file: int) -> None:
    size, done = os.fstat(file).st_size, 0
    while done < size:
        done += os.pwrite(file, bytes(size - done), done)
    os.fsync(file)
