"""The chain of reads by companies: ``hitonami audit chain`` verifies it, ``hitonami report usage`` is made from it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Annotated, Any

import typer

from engine import rfc3339
from engine.errors import UsageError
from engine.model import END, NO_TIME
from hitonami import commands
from hitonami.common import StoreOption, opened, out, span_of
from sinks.clickhouse.reads import GIVEN, REFUSED, Link

audit = typer.Typer(rich_markup_mode=None)
audit.callback(invoke_without_command=True)(commands.audit)
report = typer.Typer(help="Reports.", no_args_is_help=True, rich_markup_mode=None)

HeadOption = Annotated[
    str, typer.Option("--head", metavar="SEQ:HASH", help="A head told before, which the chain must still hold.")
]
_HEAD = re.compile(r"[1-9][0-9]{0,17}:[0-9a-f]{64}")


@audit.command("chain")
def chain(store: StoreOption, head: HeadOption = "") -> None:
    """Verify the chain of reads by companies; exit 1 and the first bad row where it was changed.

    Example: hitonami audit chain --store http://default@127.0.0.1:8123/hitonami
    """
    last: Link | None = None
    wanted = _head(head)
    with opened(store) as held:
        for link in held.reads(wanted):
            last = link
    out.print(json.dumps(_chain(last)), markup=False)


@report.command("usage")
def usage(
    store: StoreOption,
    contract: Annotated[str, typer.Option("--contract", metavar="ID", help="The contract.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="First instant of a read.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="First instant no longer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    head: HeadOption = "",
) -> None:
    """Tell what a company read and was refused, from the chain, which is verified on the way.

    Example: hitonami report usage --contract acme-2026 --store http://default@127.0.0.1:8123/hitonami
    """
    from_ms, to_ms = span_of(from_, to)
    wanted = _head(head)
    counts = Usage()
    last: Link | None = None
    with opened(store) as held:
        for link in held.reads(wanted):
            last = link
            if link.contract == contract and from_ms <= link.at_ms < to_ms:
                counts.add(link)
    span = {
        "from": None if from_ms == NO_TIME else rfc3339.format_ms(from_ms),
        "to": None if to_ms == END else rfc3339.format_ms(to_ms),
    }
    told = {"contract": contract, **span, **counts.told(), "chain": _chain(last)}
    for line in [json.dumps(told, ensure_ascii=False)] if as_json else _lines(told):
        out.print(line, markup=False)


class Usage:
    """What rows of the chain add up to."""

    def __init__(self) -> None:
        self._given: Counter[tuple[str, str]] = Counter()
        self._rows: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._first: int | None = None
        self._last: int | None = None

    def add(self, link: Link) -> None:
        """Count a row, of which the order does not matter."""
        self._first = link.at_ms if self._first is None else min(self._first, link.at_ms)
        self._last = link.at_ms if self._last is None else max(self._last, link.at_ms)
        if link.outcome == REFUSED:
            self._refused[link.reason] += 1
        else:
            self._given[link.product, link.purpose] += 1
            self._rows[link.product, link.purpose] += link.rows

    def told(self) -> dict[str, Any]:
        """Totals, then by product and purpose, and by the reason of a refusal."""
        return {
            "given": self._given.total(),
            "rows": self._rows.total(),
            "refused": self._refused.total(),
            "first": None if self._first is None else rfc3339.format_ms(self._first),
            "last": None if self._last is None else rfc3339.format_ms(self._last),
            "products": [
                {"product": product, "purpose": purpose, GIVEN: count, "rows": self._rows[product, purpose]}
                for (product, purpose), count in sorted(self._given.items())
            ],
            "refusals": dict(sorted(self._refused.items())),
        }


def _lines(told: dict[str, Any]) -> list[str]:
    """A report for people; the same figures."""
    lines = [
        f"contract {told['contract']}, reads from {told['from'] or 'the first'} to {told['to'] or 'now'}",
        f"given {told['given']}, {told['rows']} rows; refused {told['refused']}",
    ]
    if told["first"] is not None:
        lines.append(f"the first {told['first']}, the last {told['last']}")
    lines += [
        f"{use['product']} for {use['purpose']}: {use['given']} given, {use['rows']} rows" for use in told["products"]
    ]
    lines += [f"refused as {reason}: {count}" for reason, count in told["refusals"].items()]
    return [*lines, f"the chain holds {told['chain']['rows']} rows, its head is {told['chain']['head'] or 'none'}"]


def _head(head: str) -> str:
    if head and not _HEAD.fullmatch(head):
        raise UsageError("--head: SEQ:HASH, as a report or 'audit chain' told it")
    return head


def _chain(last: Link | None) -> dict[str, Any]:
    """How long the chain is, and its head."""
    return {"rows": 0 if last is None else last.seq, "head": None if last is None else last.mark}
