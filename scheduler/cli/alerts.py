"""scheduler alerts: the alerts of a store, and a test of the rules in the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import tzinfo

import click

from ..alerts.delivery import try_rule
from ..core.alerts import AlertRule
from ..core.zone_names import zone
from ..errors import ConfigError
from ..formats import display
from ..formats.json import alert_json, print_json
from ..project.project import current_project
from ..project.suggestions import did_you_mean
from ..store.alert_queue import AlertQueue, StoredAlert
from .options import json_option, store_option
from .subcommands import Subcommands

_COLUMNS = ("ALERT", "RULE", "AT", "WHAT", "COUNT", "STATE", "MESSAGE")


@click.group("alerts", cls=Subcommands)
def command() -> None:
    """Show alerts, and test the rules [[alerts]] of scheduler.toml."""


@command.command("list", short_help="Show the latest alerts.")
@click.option("--rule", metavar="NAME", help="Alerts of one rule only.")
@click.option(
    "-n", "--limit", metavar="N", default=20, type=click.IntRange(1, 100_000), help="Most alerts shown (default 20)."
)
@store_option
@json_option
def list_alerts(*, rule: str | None, limit: int, store: str | None, as_json: bool) -> None:
    """Show the latest alerts, newest first: what has happened, how often, and whether it was delivered.

    Alerts are kept as long as runs.
    """
    project = current_project(store=store)
    tz = zone(project.settings.tz)
    with project.open_store() as opened:
        alerts = AlertQueue(opened).list(limit, rule)
    if as_json:
        print_json([alert_json(alert, tz) for alert in alerts])
    elif not alerts:
        click.echo(_nothing(project.settings.alerts, rule))
    else:
        display.print_table(_COLUMNS, (_row(alert, tz) for alert in alerts))


@command.command("test", short_help="Send a test alert by the rules of scheduler.toml.")
@click.argument("name", required=False)
@json_option
def test_rules(*, name: str | None, as_json: bool) -> None:
    """Send a test alert to the targets of a rule, or of all rules, and show their answers.

    Exit status 1 if one was not accepted.
    """
    rules = _chosen(current_project().settings.alerts, name)
    answers = [(rule, *target) for rule in rules for target in asyncio.run(try_rule(rule))]
    if as_json:
        print_json(
            [
                {"rule": rule.name, "target": target, "accepted": answer.is_accepted, "answer": answer.text}
                for rule, target, answer in answers
            ]
        )
    else:
        for rule, target, answer in answers:
            state = "accepted" if answer.is_accepted else "NOT accepted"
            click.echo(f"{rule.name}: {target}: {state}: {display.plain(answer.text)}")
    if not all(answer.is_accepted for _, _, answer in answers):
        raise SystemExit(1)


def _nothing(rules: Sequence[AlertRule], name: str | None) -> str:
    """What is printed if there is no alert: the rules that may raise some."""
    names = [rule.name for rule in rules]
    if name is not None:
        unknown = "" if name in names else f"; {did_you_mean(name, names) or 'scheduler.toml has no such rule'}"
        return f"no alerts of {name}{unknown}"
    if not rules:
        return "no alerts, and no rules: there are no [[alerts]] in scheduler.toml"
    return f"no alerts yet; {display.number(len(rules), 'rule')}: {', '.join(names)}"


def _chosen(rules: Sequence[AlertRule], name: str | None) -> Sequence[AlertRule]:
    """The rules to test; ConfigError if there are none."""
    if not rules:
        raise ConfigError("there are no [[alerts]] in scheduler.toml")
    chosen = [rule for rule in rules if name in (None, rule.name)]
    if not chosen:
        names = [rule.name for rule in rules]
        hint = did_you_mean(name or "", names) or f"there are {', '.join(names)}"
        raise ConfigError(f"no alert has the name {name!r}; {hint}")
    return chosen


def _row(alert: StoredAlert, tz: tzinfo) -> tuple[str, ...]:
    """An alert as cells, in the order of _COLUMNS."""
    where = f" ({alert.environment})" if alert.environment not in ("", "production") else ""
    state = alert.state if alert.error is None else f"{alert.state}: {alert.error}"
    return (
        str(alert.id),
        alert.rule,
        display.instant(alert.at, tz),
        f"{alert.subject}{where} {alert.cause}",
        f"{alert.count:,}" + (" so far" if alert.is_open else ""),
        state,
        alert.message,
    )
