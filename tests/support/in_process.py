"""The command line, in this process."""

from __future__ import annotations

from typer.testing import CliRunner

from hitonami.cli import app


def hitonami(*words: object, stdin: str = "") -> str:
    """Standard output of a command; raises what it raises."""
    done = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout
