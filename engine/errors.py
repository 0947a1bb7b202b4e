"""The exception tree of Hitonami; every one-line message may be shown to a user.

    HitonamiError            exit 1
    ├── CheckFailed          exit 1   a check found something
    ├── UsageError           exit 2   wrong option, run id that exists
    ├── BadInput             exit 3   a file, registry or log that cannot be used
    └── ServiceUnreachable   exit 4   Kafka or the store does not answer, offset out of range

No message quotes input (PRIVACY.md R9): it names a place (file, line, field name), never a value of an event.
"""

from __future__ import annotations


class HitonamiError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line ends with.

    ``lasting``: another try would end the same way, so a supervisor makes none.
    """

    exit_code = 1
    lasting = False


class CheckFailed(HitonamiError):
    """A check (``verify``, ``audit``, ``doctor``) found something."""


class UsageError(HitonamiError):
    """The caller asked for something that cannot be done as asked."""

    exit_code = 2
    lasting = True


class BadInput(HitonamiError):
    """A whole input (registry, config, dump) is unusable; single bad events are rejects, not errors."""

    exit_code = 3
    lasting = True


class ServiceUnreachable(HitonamiError):
    """Kafka or ClickHouse cannot be reached, or no longer holds what is asked for."""

    exit_code = 4
