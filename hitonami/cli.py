"""The command line: ``hitonami COMMAND``; exit codes 0 ok, 1 a check found something, 2 usage, 3 bad input,
4 service unreachable. Errors are one line on stderr."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from engine.errors import HitonamiError
from hitonami import (
    __version__,
    chain_command,
    commands,
    consent_command,
    contract_command,
    demo,
    files,
    flow_commands,
    load_command,
    users_command,
)
from hitonami.common import err, level

app = typer.Typer(
    name="hitonami",
    help="Hitonami (人波): people-sensor events in, safe crowd figures out, live and replayed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hitonami {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Results and errors only.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the traceback of a defect.")] = False,
) -> None:
    level["verbosity"] = int(verbose) - int(quiet)


app.command("demo")(demo.demo)
app.command("run")(flow_commands.run)
app.command("replay")(flow_commands.replay)
app.command("dump")(flow_commands.dump)
app.command("load")(load_command.load)
app.command("verify")(commands.verify)
app.command("export")(files.export)
app.add_typer(chain_command.audit, name="audit")
app.command("doctor")(commands.doctor)
app.command("dashboard")(commands.dashboard)
app.command("bench")(commands.bench)
app.add_typer(consent_command.consent, name="consent")
app.add_typer(files.registry, name="registry")
app.add_typer(commands.runs, name="runs")
app.add_typer(commands.schema, name="schema")
app.add_typer(users_command.users, name="users")
app.add_typer(contract_command.contract, name="contract")
app.add_typer(chain_command.report, name="report")


def main() -> None:
    """Entry point of the installed command."""
    try:
        code = app(standalone_mode=False)
    except HitonamiError as error:
        err.print(f"hitonami: {error}", markup=False)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of Typer's own click, whichever it carries
            err.print(f"hitonami: {error.format_message()}", markup=False)
            sys.exit(2)
        if level["verbosity"] > 0:
            raise
        err.print(f"hitonami: internal error: {type(error).__name__} (-v shows where)", markup=False)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
