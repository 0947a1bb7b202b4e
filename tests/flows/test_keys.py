"""The key file: shared, private, outside the recovery directory, and what is destroyed is gone."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from engine.errors import BadInput, UsageError
from flows.keys import KEY_BYTES, KeyFile, MemoryKeys, checked
from tests.support.profile_run import key_file

DAY = 1_770_390_000_000
DAY_MS = 86_400_000


@pytest.fixture(params=["file", "memory"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> KeyFile | MemoryKeys:
    return key_file(tmp_path / "keys") if request.param == "file" else MemoryKeys()


def test_a_key_for_each_product_and_day(keys: KeyFile | MemoryKeys) -> None:
    made = [keys.key(product, DAY + day * DAY_MS) for product in ("profiles", "trips") for day in range(2)]
    assert len(set(made)) == 4 and {len(key) for key in made} == {KEY_BYTES}
    assert [keys.key(product, DAY + day * DAY_MS) for product in ("profiles", "trips") for day in range(2)] == made


def test_none_is_made_by_looking(keys: KeyFile | MemoryKeys) -> None:
    assert keys.find("profiles", DAY) is None
    made = keys.key("profiles", DAY)
    assert keys.find("profiles", DAY) == made and keys.find("trips", DAY) is None


def test_what_is_destroyed_is_not_found_and_a_new_key_is_another(tmp_path: Path) -> None:
    keys = key_file(tmp_path / "keys")
    old, new = keys.key("profiles", DAY), keys.key("profiles", DAY + DAY_MS)
    assert keys.destroy(DAY) == 0
    assert keys.destroy(DAY + 1) == 1 and keys.destroy(DAY + 1) == 0
    assert keys.find("profiles", DAY) is None and keys.find("profiles", DAY + DAY_MS) == new
    assert keys.key("profiles", DAY) != old


def test_up_to_when_keys_were_destroyed_is_known(tmp_path: Path) -> None:
    keys, memory = key_file(tmp_path / "keys"), MemoryKeys()
    for day in range(2):
        keys.key("profiles", DAY + day * DAY_MS)
        memory.key("profiles", DAY + day * DAY_MS)
    assert not keys.destroyed(DAY) and not memory.destroyed(DAY)
    assert keys.destroy(DAY + DAY_MS) == 1
    assert keys.destroyed(DAY) and not keys.destroyed(DAY + DAY_MS)
    assert keys.destroy(DAY) == 0 and keys.destroy(DAY + DAY_MS) == 0 and keys.destroyed(DAY)
    keys.key("trips", DAY)
    assert keys.destroy(DAY + 1) == 1 and keys.destroyed(DAY + DAY_MS - 1)


def test_of_a_file_that_is_gone_nothing_counts_as_destroyed(tmp_path: Path) -> None:
    keys, other = key_file(tmp_path / "keys"), KeyFile(tmp_path / "keys", "second")
    keys.key("profiles", DAY)
    keys.destroy(DAY + DAY_MS)
    assert keys.destroyed(DAY) and not other.destroyed(DAY)  # each run's for itself
    (tmp_path / "keys").unlink()
    key_file(tmp_path / "keys")
    assert not keys.destroyed(DAY)


def test_processes_share_the_file_and_runs_do_not(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, other, later = key_file(path), KeyFile(path, "live"), KeyFile(path, "second")
    made = first.key("profiles", DAY)
    assert other.key("profiles", DAY) == made and later.key("profiles", DAY) != made
    assert later.destroy(DAY + DAY_MS) == 1 and other.find("profiles", DAY) == made
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.stat(f"{path}.lock").st_mode & 0o777 == 0o600


def test_of_runs_of_one_id_a_file_is_one_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second = key_file(path), KeyFile(path, "second")
    for _ in range(2):
        first.own("directory a")
        second.own("directory b")
        key = second.key("profiles", DAY)
    with pytest.raises(UsageError, match=r"keys: it is another run's of this id; take another file$"):
        KeyFile(path, "live").own("directory b")
    assert first.key("profiles", DAY) != key == second.find("profiles", DAY)
    assert first.destroy(DAY + DAY_MS) == 1 and second.find("profiles", DAY) == key
    first.own("directory a")  # and still, with no key left


def test_keys_of_which_nobody_knows_whose_they_are_belong_to_none(tmp_path: Path) -> None:
    keys = key_file(tmp_path / "keys")
    keys.key("profiles", DAY)
    with pytest.raises(UsageError, match="another run's"):
        keys.own("directory a")


def test_a_file_that_is_lost_is_not_made_anew_by_a_process(tmp_path: Path) -> None:
    """One that has the day's key would count people under it, the other one under another."""
    path = tmp_path / "keys"
    first, other = key_file(path), KeyFile(path, "live")
    key, kept = first.key("profiles", DAY), path.read_bytes()
    path.unlink()
    for ask in (lambda: other.key("profiles", DAY), lambda: first.find("profiles", DAY), lambda: first.destroy(DAY)):
        with pytest.raises(BadInput, match="No such file"):
            ask()
    path.write_bytes(kept)
    path.chmod(0o600)
    assert other.key("profiles", DAY) == key


@pytest.mark.parametrize("another", [False, True], ids=["without it", "with another"])
def test_a_file_that_was_replaced_is_seen_when_the_next_key_is_asked_for(tmp_path: Path, another: bool) -> None:
    path = tmp_path / "keys"
    first, other = key_file(path), KeyFile(path, "live")
    first.key("profiles", DAY)
    path.unlink()
    key_file(path)
    if another:
        other.key("profiles", DAY)
    with pytest.raises(BadInput, match="no longer there, or another one"):
        first.key("profiles", DAY + DAY_MS)


def test_a_process_forgets_what_another_one_has_destroyed(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, other = key_file(path), KeyFile(path, "live")
    for day in range(2):
        first.key("profiles", DAY + day * DAY_MS)
    other.destroy(DAY + DAY_MS)
    third = first.key("profiles", DAY + 2 * DAY_MS)
    assert list(first._known.values()) == [first.find("profiles", DAY + DAY_MS), third]


def _made(path: str, number: int, out: str) -> None:
    keys = KeyFile(Path(path), "live")
    told = [keys.key("trips", DAY + day * DAY_MS).hex() for day in range(20)]
    Path(f"{out}{number}").write_text(json.dumps(told))


def test_processes_that_ask_at_once_get_the_same_keys(tmp_path: Path) -> None:
    key_file(tmp_path / "keys")
    context = multiprocessing.get_context("fork")
    work = [context.Process(target=_made, args=(str(tmp_path / "keys"), n, f"{tmp_path}/told")) for n in range(4)]
    for process in work:
        process.start()
    for process in work:
        process.join()
    told = {Path(f"{tmp_path}/told{n}").read_text() for n in range(4)}
    assert len(told) == 1 and len(set(json.loads(told.pop()))) == 20


def test_the_bytes_of_a_destroyed_key_are_overwritten(tmp_path: Path) -> None:
    """A second name of the old file, as a reader that still has it open would see it."""
    keys = key_file(tmp_path / "keys")
    made = keys.key("profiles", DAY).hex().encode()
    os.link(tmp_path / "keys", tmp_path / "old")
    assert made in (tmp_path / "old").read_bytes()
    keys.destroy(DAY + DAY_MS)
    assert set((tmp_path / "old").read_bytes()) == {0}
    assert [p.name for p in tmp_path.iterdir() if made in p.read_bytes()] == []


def test_a_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = key_file(tmp_path / "keys")
    keys.key("profiles", DAY)
    before = (tmp_path / "keys").read_bytes()

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match="No space left"):
        keys.key("trips", DAY)
    assert (tmp_path / "keys").read_bytes() == before


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("{}")
    path.chmod(0o640)
    with pytest.raises(BadInput, match="mode 0600"):
        KeyFile(path, "live").key("profiles", DAY)


@pytest.mark.parametrize("text", ["{", "[]", '{"a":1}', '{"a":"1"}', '{"[1,2]":"1"}', "\udcff"])
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(BadInput, match="damaged"):
        KeyFile(path, "live").key("profiles", DAY)
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="key file"):
        key_file(tmp_path / "none" / "keys")


def test_where_a_key_file_may_lie(tmp_path: Path) -> None:
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    (tmp_path / "link").symlink_to(recovery)
    assert checked(str(tmp_path / "keys"), recovery) == tmp_path / "keys"
    for inside in (
        recovery / "keys",
        recovery / "deep" / "keys",
        tmp_path / "link" / "keys",
        recovery / ".." / "link" / "k",
    ):
        with pytest.raises(UsageError, match="recovery directory"):
            checked(str(inside), recovery)
    with pytest.raises(UsageError, match="self_sustaining"):
        checked("", recovery)
