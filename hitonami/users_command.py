"""``hitonami users``: who may log in to the page, and as what."""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dashboard.roles import Who
from dashboard.trail import Trail, beside
from dashboard.users import Users
from engine.errors import UsageError
from hitonami.common import out, say

users = typer.Typer(help="Users of the page.", no_args_is_help=True, rich_markup_mode=None)

UsersOption = Annotated[Path, typer.Option("--users", metavar="FILE", help="The users' file.")]
RoleOption = Annotated[str, typer.Option("--role", help="viewer, operator, supervisor or analyst.")]
NameArgument = Annotated[str, typer.Argument(help="The user's name, 1 to 64 bytes.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin, one line, in place of asking for it.")
]


@users.command("add")
def add(name: NameArgument, role: RoleOption, users: UsersOption, password_stdin: StdinOption = False) -> None:
    """Add a user; asks for the password. Makes the file where there is none.

    Example: hitonami users add sato --role operator --users users.db
    """
    with _changed(users, f"add {name} {role}", make=True) as held:
        held.add(name, role, _password(password_stdin))
    say(f"{name}: {role}")


@users.command("list")
def listed(users: UsersOption) -> None:
    """List the users, one JSON object a line.

    Example: hitonami users list --users users.db
    """
    with closing(Users(users)) as held:
        for who in held.listed():
            out.print(json.dumps({"name": who.name, "role": who.role}, ensure_ascii=False), markup=False)


@users.command("remove")
def remove(name: NameArgument, users: UsersOption) -> None:
    """Remove a user, who is logged out at once. What the user did stays in the trail and the store.

    Example: hitonami users remove sato --users users.db
    """
    with _changed(users, f"remove {name}") as held:
        held.remove(name)
    say(f"{name}: removed")


@users.command("role")
def role(name: NameArgument, role: RoleOption, users: UsersOption) -> None:
    """Give a user another role; the user is logged out at once.

    Example: hitonami users role sato --role supervisor --users users.db
    """
    with _changed(users, f"role {name} {role}") as held:
        held.set_role(name, role)
    say(f"{name}: {role}")


@users.command("password")
def password(name: NameArgument, users: UsersOption, password_stdin: StdinOption = False) -> None:
    """Give a user another password; asks for it. The user is logged out at once.

    Example: hitonami users password sato --users users.db
    """
    with _changed(users, f"password {name}") as held:
        held.set_password(name, _password(password_stdin))
    say(f"{name}: another password")


@contextmanager
def _changed(path: Path, what: str, *, make: bool = False) -> Iterator[Users]:
    """The users of a file; what was done with them is written into its trail, by the account that did it."""
    with closing(Users(path, make=make)) as held, closing(Trail(beside(path), time.time)) as trail:
        yield held
        trail.add(Who(getpass.getuser(), ""), "user", detail=what)


def _password(from_stdin: bool) -> str:
    """Never from an argument: those stand in the shell's history and in the list of processes."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not _terminal():
        raise UsageError("no terminal to ask for the password: --password-stdin reads it from stdin")
    told: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return told


def _terminal() -> bool:
    return sys.stdin.isatty()
