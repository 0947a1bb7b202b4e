"""``hitonami users``, and the options of ``hitonami dashboard`` about them."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main

from dashboard.roles import Who
from dashboard.serve import Server
from dashboard.trail import Trail, beside
from dashboard.users import Users
from engine.errors import UsageError
from hitonami.cli import app
from tests.browser.fake_store import FakeStore
from tests.support.desk import CHEAP, PASSWORD
from tests.support.http import Client
from tests.support.in_process import hitonami


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.users.COST", CHEAP)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.db"


def users(*words: object, path: Path, stdin: str = PASSWORD + "\n") -> str:
    more = ("--password-stdin",) if words[0] in ("add", "password") else ()
    return hitonami("users", *words, "--users", path, *more, stdin=stdin)


def test_users_are_made_listed_changed_and_removed(path: Path):
    assert users("add", "佐藤", "--role", "operator", path=path) == "佐藤: operator\n"
    assert path.stat().st_mode & 0o777 == beside(path).stat().st_mode & 0o777 == 0o600
    users("add", "ito", "--role", "viewer", path=path, stdin=PASSWORD + "\r\nnot this\n")
    assert users("role", "ito", "--role", "analyst", path=path) == "ito: analyst\n"
    assert [json.loads(line) for line in users("list", path=path).splitlines()] == [
        {"name": "ito", "role": "analyst"}, {"name": "佐藤", "role": "operator"},
    ]  # fmt: skip
    users("password", "佐藤", path=path, stdin="another long one")
    held = Users(path)
    assert held.verify("ito", PASSWORD) == Who("ito", "analyst")
    assert held.verify("佐藤", "another long one") and not held.verify("佐藤", PASSWORD)
    held.close()
    assert users("remove", "ito", path=path) == "ito: removed\n"
    trail = Trail(beside(path), lambda: 0.0)
    assert [(row["what"], row["who"], row["detail"]) for row in reversed(trail.newest(9))] == [
        ("user", getpass.getuser(), detail)
        for detail in ("add 佐藤 operator", "add ito viewer", "role ito analyst", "password 佐藤", "remove ito")
    ]
    trail.close()


def test_what_fails_leaves_no_row(path: Path):
    users("add", "ito", "--role", "viewer", path=path)
    for words, stdin in (
        (("add", "ito", "--role", "viewer"), PASSWORD),
        (("add", "b", "--role", "public"), PASSWORD),
        (("add", "b", "--role", "viewer"), ""),
        (("role", "none", "--role", "viewer"), ""),
        (("remove", "none"), ""),
        (("password", "ito"), "short"),
    ):
        with pytest.raises(UsageError):
            users(*words, path=path, stdin=stdin)
    trail = Trail(beside(path), lambda: 0.0)
    assert len(trail.newest(9)) == 1
    trail.close()
    with pytest.raises(UsageError, match="cannot be opened"):
        users("list", path=path.with_name("none"))
    assert not beside(path.with_name("none")).exists()


def test_a_password_is_asked_for_or_read_but_never_an_argument(path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="--password-stdin reads it"):
        hitonami("users", "add", "ito", "--role", "viewer", "--users", path, stdin=PASSWORD)
    asked: list[dict[str, Any]] = []

    def prompt(_text: str, **how: Any) -> str:
        asked.append(how)
        return PASSWORD

    monkeypatch.setattr("hitonami.users_command.typer.prompt", prompt)
    monkeypatch.setattr("hitonami.users_command._terminal", lambda: True)
    hitonami("users", "add", "ito", "--role", "viewer", "--users", path)
    assert asked[0]["hide_input"] and asked[0]["confirmation_prompt"]
    command: Any = typer.main.get_command(app)
    for name, of in command.commands["users"].commands.items():
        takes = {parameter.name for parameter in of.params if not getattr(parameter, "is_flag", False)}
        assert takes <= {"name", "role", "users"}, name


# --------------------------------------------------------------------------- dashboard
@pytest.fixture
def looked(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, int]]]:
    """What a page tells of itself while it is served: its URL, /api/session and the status of a foreign host name."""
    seen: list[tuple[str, str, int]] = []

    @contextmanager
    def opened(_url: str) -> Iterator[FakeStore]:
        yield FakeStore()

    def look(server: Server) -> None:
        client = Client(Server(server._inner, server._thread, server.url.replace("0.0.0.0", "127.0.0.1")))
        status = client.get("/healthz", host="crowd.example.jp").status
        seen.append((server.url, client.get("/api/session").json()["role"], status))
        server.stop()

    monkeypatch.setattr("hitonami.commands.opened", opened)
    monkeypatch.setattr(Server, "run_until_signal", look)
    users("add", "ito", "--role", "viewer", path=path)
    yield seen


def test_a_page_has_users_names_and_a_place_to_listen(looked: list[tuple[str, str, int]], path: Path):
    hitonami("dashboard", "--store", "none")
    hitonami("dashboard", "--store", "none", "--users", path, "--host", "::1")
    hitonami("dashboard", "--store", "none", "--users", path, "--name", "crowd.example.jp")
    hitonami(
        "dashboard", "--store", "none", "--users", path, "--host", "0.0.0.0", "--name", "crowd.example.jp", "--https"
    )
    assert [(url.rpartition(":")[0], role, status) for url, role, status in looked] == [
        ("http://127.0.0.1", "operator", 421),
        ("http://[::1]", "public", 421),
        ("http://127.0.0.1", "public", 200),
        ("http://0.0.0.0", "public", 200),
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--https",), "are for a page with --users"),
        (("--name", "a.example"), "are for a page with --users"),
        (("--host", "0.0.0.0"), "for this machine only"),
        (("--users", "U", "--host", "0.0.0.0"), "passwords need TLS"),
        (("--users", "U", "--host", "192.0.2.1"), "passwords need TLS"),
        *(
            (("--users", "U", "--name", name), "as it stands in the browser")
            for name in ("", "a:80", "http://a", "a/b", "*")
        ),
        (("--users", "U.none"), "cannot be opened"),
    ],
)
def test_a_page_that_would_not_be_safe_is_not_served(looked: list[Any], path: Path, words: tuple[str, ...], told: str):
    with pytest.raises(UsageError, match=told):
        hitonami(
            "dashboard",
            "--store",
            "none",
            *(word.replace("U", str(path)) if word[0:1] == "U" else word for word in words),
        )
    assert looked == []
