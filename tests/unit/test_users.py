"""Users, sessions, the limit of tries and the trail, without a server."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashboard.users
from dashboard.book import Book
from dashboard.door import _neighbours
from dashboard.limit import BUCKETS, Limit
from dashboard.roles import Who
from dashboard.sessions import MOST, Sessions
from dashboard.trail import WHAT, Trail
from dashboard.users import LONGEST, NAME_BYTES, SHORTEST, Cost, Users
from engine.errors import BadInput, UsageError

CHEAP = Cost(n=16, r=1, p=1)
PASSWORD = "three words and more"


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    before = os.umask(0)  # the mode must not be the umask's merit
    users = Users(tmp_path / "users", make=True, cost=CHEAP)
    os.umask(before)
    users.add("佐藤", "operator", PASSWORD)
    yield users
    users.close()


# --------------------------------------------------------------------------- users
def test_a_user_is_who_knows_the_password(users: Users):
    assert users.verify("佐藤", PASSWORD) == Who("佐藤", "operator")
    for name, password in (
        ("佐藤", PASSWORD + " "),
        ("佐藤", ""),
        ("佐", PASSWORD),
        ("", ""),
        ("a' OR 1 --", PASSWORD),
    ):
        assert users.verify(name, password) is None, name


def test_characters_count_not_how_they_were_typed(users: Users):
    users.add("Zoe\u0308", "viewer", "ｐａｓｓ ｗｏｒｄ ガギグゲゴ")
    assert users.verify("Zo\u00eb", "pass word ガギグゲゴ") == Who("Zo\u00eb", "viewer")


def test_a_name_that_is_not_there_costs_the_same_work(users: Users, monkeypatch: pytest.MonkeyPatch):
    work: list[Cost] = []
    real = dashboard.users._scrypt

    def counted(password: str, salt: bytes, cost: Cost) -> bytes:
        work.append(cost)
        return real(password, salt, cost)

    monkeypatch.setattr(dashboard.users, "_scrypt", counted)
    users.verify("佐藤", "wrong")
    users.verify("nobody", "wrong")
    users.verify("佐藤", "x" * 100_000)
    assert work == [CHEAP] * 3


def test_every_user_has_a_salt_of_their_own_and_no_password_is_kept(users: Users, tmp_path: Path):
    users.add("b", "viewer", PASSWORD)
    rows = users.book.rows("SELECT salt, hash FROM users")
    assert len({salt for salt, _ in rows}) == len({digest for _, digest in rows}) == 2
    assert all(len(salt) == 16 and len(digest) == 32 for salt, digest in rows)
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_password_made_at_another_cost_still_holds(users: Users, tmp_path: Path):
    dearer = Users(tmp_path / "users", cost=Cost(n=32, r=2, p=2))
    dearer.add("b", "viewer", PASSWORD)
    assert dearer.verify("佐藤", PASSWORD) and users.verify("b", PASSWORD)
    dearer.close()


def test_what_guessing_costs_by_default():
    assert Cost() == Cost(n=2**15, r=8, p=3)  # OWASP's parameters for 32 MiB
    digest = dashboard.users._scrypt(PASSWORD, b"0123456789abcdef", Cost())
    assert len(digest) == 32


@pytest.mark.parametrize("password", ["", "a" * (SHORTEST - 1), "a" * (LONGEST + 1)])
def test_length_is_the_rule_of_passwords(users: Users, password: str):
    with pytest.raises(UsageError, match="a password has 12 to 256 characters"):
        users.add("b", "viewer", password)
    with pytest.raises(UsageError, match="a password has"):
        users.set_password("佐藤", password)
    assert len(users.listed()) == 1


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x00", "\u2028", "\ud800", "あ" * 22, "a" * (NAME_BYTES + 1)])
def test_names_can_be_shown(users: Users, name: str):
    with pytest.raises(UsageError, match="a name has 1 to 64 bytes"):
        users.add(name, "viewer", PASSWORD)


@pytest.mark.parametrize("role", ["public", "", "root", "Viewer"])
def test_roles_are_those_there_are(users: Users, role: str):
    for change in (lambda: users.add("b", role, PASSWORD), lambda: users.set_role("佐藤", role)):
        with pytest.raises(UsageError, match="there are viewer, operator, supervisor, analyst"):
            change()


def test_users_come_go_and_change(users: Users):
    users.add("b", "viewer", PASSWORD)
    with pytest.raises(UsageError, match="there is a user of that name"):
        users.add("b", "operator", PASSWORD)
    users.set_role("b", "analyst")
    users.set_password("b", "another long one")
    assert users.verify("b", PASSWORD) is None
    assert users.verify("b", "another long one") == Who("b", "analyst")
    assert users.listed() == [Who("b", "analyst"), Who("佐藤", "operator")]
    users.remove("b")
    assert users.verify("b", "another long one") is None
    for change in (
        lambda: users.remove("b"),
        lambda: users.set_role("b", "viewer"),
        lambda: users.set_password("b", PASSWORD),
    ):
        with pytest.raises(UsageError, match="there is no user of that name"):
            change()


# --------------------------------------------------------------------------- the file
def test_the_file_is_for_its_owner_alone(users: Users, tmp_path: Path):
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("users", "users-wal", "users-shm"), "0o600"
    )
    (tmp_path / "users").chmod(0o640)
    with pytest.raises(UsageError, match="others may read it"):
        Users(tmp_path / "users")


def test_a_file_that_is_none_is_one_line(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be opened: No such file"):
        Users(tmp_path / "users")
    assert not (tmp_path / "users").exists()
    with pytest.raises(UsageError, match="cannot be opened"):
        Users(tmp_path, make=True)
    (tmp_path / "text").write_text("name,role\n" * 1000)
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(BadInput, match="not a file of this kind"):
        Users(tmp_path / "text", make=True)
    Trail(tmp_path / "trail", lambda: 0.0).close()
    with pytest.raises(BadInput, match="not a file of this kind"):
        Users(tmp_path / "trail", make=True)


def test_a_change_is_whole_or_not_at_all():
    book = Book(None, 1, "CREATE TABLE t (a INTEGER)", make=True)
    with pytest.raises(ZeroDivisionError), book.change() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        _ = 1 / 0
    assert book.rows("SELECT * FROM t") == []
    book.close()


# --------------------------------------------------------------------------- sessions
def test_another_process_s_change_of_a_user_ends_the_sessions(users: Users, tmp_path: Path):
    sessions, now = Sessions(users, lambda: 5.0), Who("佐藤", "operator")
    other = Users(tmp_path / "users", cost=CHEAP)
    for change in (
        lambda: other.set_role("佐藤", "viewer"),
        lambda: other.set_password("佐藤", PASSWORD),
        lambda: other.remove("佐藤"),
    ):
        made = sessions.begin(now)
        assert sessions.find(made) == now
        change()
        assert sessions.find(made) is None
        now = Who("佐藤", "viewer")
    other.close()


def test_a_user_has_so_many_sessions_and_the_oldest_goes(users: Users):
    now = [0.0]
    sessions, who = Sessions(users, lambda: now[0]), Who("佐藤", "operator")
    made = []
    for _ in range(MOST + 1):
        now[0] += 1
        made.append(sessions.begin(who))
    assert [sessions.find(one) is None for one in made] == [True] + [False] * MOST
    assert sessions.find("") is sessions.find("\ud800") is None


def test_sessions_that_are_over_leave_nothing(users: Users):
    now = [0.0]
    sessions, who = Sessions(users, lambda: now[0]), Who("佐藤", "operator")
    sessions.begin(who)
    now[0] = 1e6
    sessions.begin(who)
    assert len(users.book.rows("SELECT 1 FROM sessions")) == 1


# --------------------------------------------------------------------------- the limit
def test_a_limit_gives_a_burst_and_then_one_at_a_time():
    now = [100.0]
    limit = Limit(3, 10.0, lambda: now[0])
    assert [limit.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 10.0]
    now[0] += 4
    assert limit.take("a") == pytest.approx(6.0)
    now[0] += 6
    assert limit.take("a") == 0.0
    assert limit.take("a") == pytest.approx(10.0)
    limit.give_back("a")
    assert limit.take("a") == 0.0
    now[0] -= 1000  # a clock that is set back gives nothing, and takes nothing
    assert limit.take("a") > 0.0
    now[0] += 1e6
    assert [limit.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 10.0]


def test_a_limit_has_no_room_to_grow_and_forgets_nobody():
    limit = Limit(2, 1e9, lambda: 1.0)
    assert [limit.take("a") for _ in range(3)][2] > 0
    refused = sum(limit.take(f"key {n}") > 0 for n in range(BUCKETS * 6))
    assert refused > BUCKETS  # ever new keys use up the buckets there are
    assert limit.take("a") > 0
    assert len(limit._left) == len(limit._at) == BUCKETS


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_one_client_is_one_network(address: str, key: str):
    assert _neighbours(address) == key


# --------------------------------------------------------------------------- the trail
@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    trail = Trail(tmp_path / "trail", lambda: 1_770_450_020.5)
    trail.add(Who("佐藤", "operator"), "act", run="live", alert="a1", detail="shelve")
    trail.add(Who("佐藤", "operator"), "logout")
    yield trail
    trail.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trail SET who = 'x'",
        "UPDATE OR REPLACE trail SET id = 2 WHERE id = 1",
        "DELETE FROM trail",
        "DELETE FROM trail WHERE id = 2",
        "INSERT OR REPLACE INTO trail SELECT id, at_ms, 'x', role, what, run, alert, detail, address FROM trail",
        "REPLACE INTO trail VALUES (1, 0, '', '', 'act', '', '', '', '')",
        "INSERT INTO trail VALUES (1, 0, '', '', 'act', '', '', '', '') ON CONFLICT DO UPDATE SET who = 'x'",
        "INSERT INTO trail VALUES (9, 0, '', '', 'something else', '', '', '', '')",
    ],
)
def test_op_18_the_trail_is_only_appended_to(trail: Trail, tmp_path: Path, change: str):
    before = trail.newest(9)
    with sqlite3.connect(tmp_path / "trail") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(change)
    connection.close()
    assert trail.newest(9) == before
    assert [row["id"] for row in before] == [2, 1]


def test_the_trail_outlives_its_process_and_takes_any_text(trail: Trail, tmp_path: Path):
    other = Trail(tmp_path / "trail", lambda: 1.0)
    for what in WHAT:
        other.add(Who("x", "y"), what, run="\x00\ud800" + "r" * 500)
    other.close()
    told = trail.newest(100)
    assert [row["what"] for row in told] == [*reversed(WHAT), "logout", "act"]
    assert told[0]["run"] == "\x00?" + "r" * 198 and told[0]["at_ms"] == 1_000
    assert told[-1] == {
        "id": 1, "at_ms": 1_770_450_020_500, "who": "佐藤", "role": "operator", "what": "act", "run": "live",
        "alert": "a1", "detail": "shelve", "address": "",
    }  # fmt: skip


def test_the_trail_of_a_process_alone_is_in_memory():
    trail = Trail(None, lambda: 1.0)
    trail.add(Who("local", "operator"), "scene", detail="smoke")
    assert trail.newest(1)[0]["detail"] == "smoke"
    trail.close()
