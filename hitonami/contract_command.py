"""``hitonami contract``: what companies are bound by, and what happens when they do not keep to it.

A change goes into the store first, so that the next read by the company is refused, then into the topic, which the flow
reads. Where one of the two fails the same command again brings them together: what is done already changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import rfc3339
from engine.contract import Contract, Step
from engine.errors import ServiceUnreachable, UsageError
from flows import contracts
from hitonami.common import StoreOption, kafka_settings, now_ms, opened, out, say
from sinks.clickhouse.store import Store

contract = typer.Typer(help="Contracts with companies.", no_args_is_help=True, rich_markup_mode=None)

KafkaOption = Annotated[str, typer.Option("--kafka", metavar="HOST:PORT", help="Bootstrap server of Kafka.")]
SettingsOption = Annotated[
    Path | None, typer.Option("--kafka-config", help="librdkafka settings, key = value per line (TLS, SASL).")
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The contract's id.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why, for those who look later.")]
_TRIES = 20  # against others who change the same contract at the same time


@contract.command("add")
def add(
    name: IdArgument,
    company: Annotated[str, typer.Option("--company", metavar="NAME", help="The company, as providers are named.")],
    purpose: Annotated[list[str], typer.Option("--purpose", help="What it may read for; may be repeated.")],
    product: Annotated[list[str], typer.Option("--product", help="What it may read or give; may be repeated.")],
    from_: Annotated[str, typer.Option("--from", metavar="T", help="First instant it is valid.")],
    to: Annotated[str, typer.Option("--to", metavar="T", help="First instant it no longer is.")],
    kafka: KafkaOption,
    store: StoreOption,
    report_months: Annotated[int | None, typer.Option("--report-months", help="A report every N months.")] = None,
    report_days: Annotated[int | None, typer.Option("--report-days", help="A report every N days.")] = None,
    kafka_config: SettingsOption = None,
) -> None:
    """Add a contract. It always forbids to pass anything on to third parties.

    Example: hitonami contract add acme-2026 --company acme --purpose policy --product profiles
    --from 2026-04-01T00:00:00+09:00 --to 2027-04-01T00:00:00+09:00 --report-months 3
    --kafka 127.0.0.1:9092 --store http://default@127.0.0.1:8123/hitonami
    """
    if (report_months is None) == (report_days is None):
        raise UsageError("contract add: one of --report-months and --report-days")
    every, unit = (report_months, "months") if report_days is None else (report_days, "days")
    asked = (company, tuple(sorted(purpose)), tuple(sorted(product)), from_, to, every or 0, unit)
    made, settings = Contract(name, *asked, (Step("add", now_ms()),)), kafka_settings(kafka_config)
    with opened(store) as held:
        known = _known(held, name) or (made if held.put_contract(name, 1, made.text()) else _known(held, name))
        same = known is not None and asked == (
            known.company,
            known.purposes,
            known.products,
            known.valid_from,
            known.valid_to,
            known.every,
            known.unit,
        )
        if not same:
            raise UsageError(f"contract {name} exists, and says something else: take another id")
        _publish(held, name, kafka, settings)
    say(f"{name}: added")


@contract.command("list")
def listed(store: StoreOption) -> None:
    """List the contracts of a store and their states now, one JSON object a line.

    Example: hitonami contract list --store http://default@127.0.0.1:8123/hitonami
    """
    at_ms = now_ms()
    with opened(store) as held:
        for known in held.contracts().all():
            row = {"id": known.id, "company": known.company, "state": known.state_now(at_ms), **_dues(known, at_ms)}
            out.print(json.dumps(row, ensure_ascii=False), markup=False)


@contract.command("show")
def show(name: IdArgument, store: StoreOption) -> None:
    """Show a contract, all that was done with it and its state now, as JSON.

    Example: hitonami contract show acme-2026 --store http://default@127.0.0.1:8123/hitonami
    """
    at_ms = now_ms()
    with opened(store) as held:
        known = _needed(held, name)
    told = json.loads(known.text())
    told["token"] = bool(known.token)  # its hash helps nobody who looks
    told |= {"state": known.state_now(at_ms), **_dues(known, at_ms)}
    out.print(json.dumps(told, ensure_ascii=False, indent=1), markup=False)


@contract.command("report")
def report(
    name: IdArgument, kafka: KafkaOption, store: StoreOption, why: WhyOption = "", kafka_config: SettingsOption = None
) -> None:
    """Note that the company has handed in its report, now.

    Example: hitonami contract report acme-2026 --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    _change("report", name, why, store, kafka, kafka_config)


@contract.command("correct")
def correct(
    name: IdArgument, kafka: KafkaOption, store: StoreOption, why: WhyOption = "", kafka_config: SettingsOption = None
) -> None:
    """Order the company to correct what it does, or to hand in its report.

    Example: hitonami contract correct acme-2026 --why 'no report' --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    _change("correct", name, why, store, kafka, kafka_config)


@contract.command("suspend")
def suspend(
    name: IdArgument, kafka: KafkaOption, store: StoreOption, why: WhyOption = "", kafka_config: SettingsOption = None
) -> None:
    """Suspend a company that has not corrected what it was ordered to.

    Example: hitonami contract suspend acme-2026 --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    _change("suspend", name, why, store, kafka, kafka_config)


@contract.command("leak")
def leak(
    name: IdArgument, kafka: KafkaOption, store: StoreOption, why: WhyOption = "", kafka_config: SettingsOption = None
) -> None:
    """Note that the company has lost data or passed it on: it is suspended at once, whatever its state.

    Example: hitonami contract leak acme-2026 --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    _change("leak", name, why, store, kafka, kafka_config)


@contract.command("expel")
def expel(
    name: IdArgument, kafka: KafkaOption, store: StoreOption, why: WhyOption = "", kafka_config: SettingsOption = None
) -> None:
    """Expel a suspended company, for good.

    Example: hitonami contract expel acme-2026 --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    _change("expel", name, why, store, kafka, kafka_config)


@contract.command("reinstate")
def reinstate(
    name: IdArgument, kafka: KafkaOption, store: StoreOption, why: WhyOption = "", kafka_config: SettingsOption = None
) -> None:
    """End a suspension or an order to correct.

    Example: hitonami contract reinstate acme-2026 --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    _change("reinstate", name, why, store, kafka, kafka_config)


@contract.command("token")
def token(name: IdArgument, kafka: KafkaOption, store: StoreOption, kafka_config: SettingsOption = None) -> None:
    """Make the company a new key to the page's exports and print it, once; the one before ends.

    Example: hitonami contract token acme-2026 --kafka 127.0.0.1:9092
    --store http://default@127.0.0.1:8123/hitonami
    """
    made = secrets.token_urlsafe(32)
    digest = hashlib.sha256(made.encode()).hexdigest()
    _change("token", name, "", store, kafka, kafka_config, digest)
    out.print(made, markup=False)


def _change(act: str, name: str, why: str, store: str, kafka: str, kafka_config: Path | None, digest: str = "") -> None:
    settings = kafka_settings(kafka_config)
    with opened(store) as held:
        for _ in range(_TRIES):
            before = _needed(held, name)
            after = before.moved(act, now_ms(), why, digest)
            if after is before or held.put_contract(name, len(after.steps), after.text()):
                break
        else:
            raise ServiceUnreachable(f"contract {name} is being changed by others all the time: try again")
        _publish(held, name, kafka, settings)
    say(f"{name}: {after.state_now(now_ms())}{' already' if after is before else ''}")


def _publish(held: Store, name: str, kafka: str, settings: dict[str, str]) -> None:
    try:
        contracts.publish(kafka, settings, name, lambda: _needed(held, name).text())
    except ServiceUnreachable as error:
        raise ServiceUnreachable(f"the store has it, the topic may not: the same command again ({error})") from None


def _known(held: Store, name: str) -> Contract | None:
    return held.contracts().get(name)


def _needed(held: Store, name: str) -> Contract:
    known = _known(held, name)
    if known is None:
        raise UsageError(f"no contract {name} in the store")
    return known


def _dues(known: Contract, at_ms: int) -> dict[str, Any]:
    """Since when a report is missing, and when the next one is due."""
    times = {"report_due_since": known.due_ms(at_ms), "next_report_due": known.duty.next_ms(at_ms)}
    return {name: None if ms is None else rfc3339.format_ms(ms) for name, ms in times.items()}
