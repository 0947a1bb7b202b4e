"""The tests' own way to run the command (tests/support/command.py): a process each time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command import command


def test_a_command_has_its_own_streams_environment_and_code(tmp_path: Path) -> None:
    told = command("--version")
    assert (told.returncode, told.stderr) == (0, "") and told.stdout.startswith("hitonami ")
    wrong = command("nothing")
    assert (wrong.returncode, wrong.stdout) == (2, "") and wrong.stderr.startswith("hitonami: ")
    kept = command("load", "weekday", "--seconds", 1, "-o", tmp_path / "e.jsonl", env={"HOME": "/nowhere"})
    assert kept.returncode == 0 and (tmp_path / "e.jsonl").exists()


@pytest.mark.embedded
def test_one_that_takes_too_long_is_ended_and_the_next_one_has_its_own_answer(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        command("dashboard", "--store", f"chdb://{tmp_path}/store", "--port", 0, timeout=1)
    assert command("nothing").returncode == 2


def test_the_server_comes_back_when_it_is_gone() -> None:
    from tests.support import command as kit

    command("--version")
    kit._running[0].kill()
    kit._running[0].wait()
    assert command("--version").returncode == 0
