"""The recovery directory: whose it is, one run at a time, and whole however its making ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import BadInput, UsageError
from flows import recovery
from flows.recovery import holds_state, lock, open_recovery, resume_epoch, states

OWNER = {"run id": "live", "topic": "people"}


def test_a_new_directory_is_private_and_empty(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    _, resumes = open_recovery(directory, OWNER)
    assert not resumes and holds_state(directory)
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert (resume_epoch(directory), states(directory, "people.logs")) == (1, {})
    assert open_recovery(directory, OWNER)[1]


def test_another_runs_directory_is_refused(tmp_path: Path) -> None:
    open_recovery(tmp_path, OWNER)
    with pytest.raises(UsageError, match=r"it belongs to a run with another topic$"):
        open_recovery(tmp_path, {**OWNER, "topic": "others"})


def test_a_base_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "part-0.sqlite3").touch()
    with pytest.raises(UsageError, match="another program"):
        open_recovery(tmp_path, OWNER)


def test_a_start_that_was_killed_while_it_made_the_base_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(recovery, "init_db_dir", killed)
        with pytest.raises(KeyboardInterrupt):
            open_recovery(tmp_path, OWNER)
    open_recovery(tmp_path, OWNER)
    assert resume_epoch(tmp_path) == 1


def test_one_run_at_a_time_until_its_last_process_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_LOCK_S", 0.2)
    held = lock(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,))
    os.close(held)
    with pytest.raises(UsageError, match="another run is using it"):
        lock(tmp_path)
    child.communicate(b"\n")
    os.close(lock(tmp_path))


def test_a_directory_with_room_is_left_as_it_was(tmp_path: Path) -> None:
    recovery.check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput) as raised:
        recovery.check_writable(tmp_path)
    assert str(raised.value) == f"recovery directory {tmp_path}: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_has_gone_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file or directory"):
        recovery.check_writable(tmp_path / "gone")
