"""What a timer is, in options: shared by `timers add` and `timers edit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..core.timer import Delivery, MisfirePolicy, OverlapPolicy
from ..core.triggers import Cron, Every
from ..errors import TimerError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: tuple[Any, ...] = (
    click.option("--function", help="The function to call."),
    click.option("--cron", metavar="EXPR", help="Fire on a Quartz expression, as in '0 0 8 ? * MON'."),
    click.option("--every", type=int, metavar="SECONDS", help="Fire every so many seconds."),
    click.option("--tz", metavar="ZONE", help="The time zone of the expression; Asia/Shanghai unless set."),
    click.option("--dst", type=click.Choice(("vixie", "quartz")), help="What gaps and overlaps of the clock do."),
    click.option("--params", metavar="JSON", help="Parameters as a JSON object."),
    click.option("--limit", "limit_s", type=float, metavar="S", help="Time limit of a run in seconds; 15 unless set."),
    click.option(
        "--misfire", type=click.Choice([str(policy) for policy in MisfirePolicy]), help="What missed fire times do."
    ),
    click.option(
        "--overlap",
        type=click.Choice([str(policy) for policy in OverlapPolicy]),
        help="What fires do while the last run goes on.",
    ),
    click.option(
        "--delivery",
        type=click.Choice([str(delivery) for delivery in Delivery]),
        help="Whether an abandoned run is run again.",
    ),
    click.option("--jitter", "jitter_s", type=int, metavar="S", help="Fire up to S seconds later, always the same; 0."),
    click.option("--retries", type=int, metavar="N", help="How often a failed run is tried again; 0 unless set."),
    click.option(
        "--retry-backoff",
        "retry_backoff_s",
        type=float,
        metavar="S",
        help="Seconds before the first retry, doubled for each further one; 10 unless set.",
    ),
    click.option("--breaker", type=int, metavar="N", help="Failures in a row that open the breaker; 0 = never."),
)

#: Attributes of a timer that an option gives as they are.
_AS_GIVEN = ("function", "misfire", "overlap", "delivery", "jitter_s", "retries", "retry_backoff_s")


def definition_options(command: F) -> F:
    """The options that say what a timer is; each is None where it was not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def attributes(given: dict[str, Any], *, limit_s: float | None = None) -> dict[str, Any]:
    """The attributes that options give, the trigger and the parameters excepted."""
    found = {name: given[name] for name in _AS_GIVEN if given[name] is not None}
    if (limit := given["limit_s"] if given["limit_s"] is not None else limit_s) is not None:
        found["limit_s"] = limit
    if given["breaker"] is not None:
        found["breaker_threshold"] = given["breaker"]
    return found


def trigger(given: dict[str, Any], default_tz: str) -> Cron | Every:
    """The trigger of a new timer."""
    cron, every = given["cron"], given["every"]
    if (cron is None) == (every is None):
        raise TimerError(
            "a timer fires on an expression or at an interval: give one of --cron '0 0 8 ? * MON' and --every 60"
        )
    if every is not None:
        _refuse_zone(given)
        return Every(every)
    return Cron(cron, given["tz"] or default_tz, given["dst"] or "vixie")


def changed_trigger(given: dict[str, Any], kept: Cron | Every, default_tz: str) -> Cron | Every | None:
    """The trigger of a timer that has one, None where it stays."""
    if given["cron"] is not None or given["every"] is not None:
        zoned = {"tz": kept.tz, "dst": kept.dst} if isinstance(kept, Cron) and given["every"] is None else {}
        return trigger(given | {name: given[name] or value for name, value in zoned.items()}, default_tz)
    if given["tz"] is None and given["dst"] is None:
        return None
    if not isinstance(kept, Cron):
        _refuse_zone(given)
        return None
    return Cron(kept.expression, given["tz"] or kept.tz, given["dst"] or kept.dst)


def _refuse_zone(given: dict[str, Any]) -> None:
    if given["tz"] is not None or given["dst"] is not None:
        raise TimerError("an interval has no time zone: --tz and --dst go with --cron")
