"""The table of a timer's attributes: the check, the storage, and the names of each.

ATTRIBUTES determines the checks of Timer, the columns of the store and their values, the CSV and JSON lists, `timers
list --json`, the options of `timers add` and `timers edit`, and those of `@engine.timer`. A new attribute is a row
here, a field of Timer, and a migration. The trigger is not in the table: its kind defines its options (triggers.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from .calendars import RollConvention
from .chains import ThenOn
from .environments import Environment, read_environment
from .misfire import MisfirePolicy
from .options import Option, json_value, number, text, trimmed, truth, whole, word
from .overlap import OverlapPolicy
from .timer_checks import (
    MAX_CONCURRENT,
    MAX_RETRIES,
    MAX_RUNS,
    check_backoff,
    check_calendar_name,
    check_choice,
    check_description,
    check_jitter,
    check_limit,
    check_name,
    check_params,
    check_ping_url,
    check_seconds,
    check_tags,
    check_then,
    check_threshold,
    check_truth,
    check_whole,
    params_text,
    read_tags,
    read_then,
    then_text,
)
from .timestamps import check_instant, instant_or_none, read_instant, stamp_or_none

_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Delivery(StrEnum):
    """Whether a run that a crash interrupted is run again.

    `at_most_once`: no, it is recorded as abandoned; `at_least_once`: yes, at most five times in all.
    """

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"


# The table


def _by_word(choices: type[StrEnum]) -> Mapping[str, StrEnum]:
    return {choice.value: choice for choice in choices}


def _lower(value: bool) -> str:
    return str(value).lower()


def as_kept(value: Any) -> Any:
    """The value itself, for attributes that have the same form everywhere."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute(Option):
    """An attribute of a timer.

    `check` normalises a value. The store has a column with the attribute's name and the type `sql`; `to_store` and
    `from_store` convert a value to that column and back, `to_json` to JSON. A value that `is_secret` may be long or
    confidential, so messages do not show it. An attribute that `is_rule` decides which fire times there are, or which
    of them run. One that `is_optional` may be None.
    """

    check: Callable[[Any], Any]
    sql: type = str
    to_store: Callable[[Any], Any] = as_kept
    from_store: Callable[[Any], Any] = as_kept
    to_json: Callable[[Any], Any] = as_kept
    is_secret: bool = False
    is_rule: bool = False
    is_optional: bool = False


def _names_text(names: tuple[str, ...]) -> str:
    return _COMPACT.encode(list(names)) if names else "[]"


def _stored_names(kept: str) -> tuple[str, ...]:
    return () if kept == "[]" else tuple(json.loads(kept))


def _policy(name: str, choices: type[StrEnum], help: str, *, is_rule: bool = True) -> Attribute:
    """The row of an attribute whose value is one of `choices`."""
    return Attribute(
        name=name,
        check=partial(check_choice, name, _by_word(choices)),
        to_store=str,
        flag=f"--{name.replace('_', '-')}",
        read=word,
        choices=tuple(map(str, choices)),
        help=help,
        is_rule=is_rule,
    )


def _switch(name: str, help: str) -> Attribute:
    """The row of an attribute that is True or False."""
    return Attribute(
        name=name,
        check=partial(check_truth, name),
        sql=bool,
        from_store=bool,
        flag=f"--{name.replace('_', '-')}",
        read=truth,
        cell=_lower,
        metavar="true|false",
        help=help,
    )


def _bound(name: str, help: str) -> Attribute:
    """The row of an instant that bounds the window of a timer."""
    return Attribute(
        name=name,
        check=partial(check_instant, name),
        sql=datetime,
        to_store=stamp_or_none,
        from_store=instant_or_none,
        to_json=_iso,
        flag=f"--{name.replace('_', '-')}",
        # On a command line, the empty text means None.
        read=read_bound,
        cell=lambda instant: _iso(instant) or "",
        metavar="TIME",
        help=help,
        is_rule=True,
        is_optional=True,
    )


def read_bound(value: Any) -> datetime | str:
    """An instant in ISO 8601, and the empty text for none."""
    return read_instant(value) or ""


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


#: In the order of the command line's help; lists and JSON begin with the columns of version 0.1.0 in its order.
ATTRIBUTES: tuple[Attribute, ...] = (
    # Commands take the name as an argument, the environment as --env, and `enabled` as --enable of `timers add`.
    Attribute(name="name", check=partial(check_name, "name")),
    Attribute(
        name="environment",
        check=partial(check_choice, "environment", _by_word(Environment)),
        to_store=str,
        read=read_environment,
        synonyms=("env",),
    ),
    Attribute(
        name="enabled", check=partial(check_truth, "enabled"), sql=bool, from_store=bool, read=truth, cell=_lower
    ),
    Attribute(
        name="function",
        check=partial(check_name, "function"),
        flag="--function",
        read=text,
        help="Function to call.",
    ),
    Attribute(
        name="params",
        check=check_params,
        to_store=params_text,
        from_store=json.loads,
        to_json=dict,
        flag="--params",
        read=json_value,
        cell=params_text,
        metavar="JSON",
        help="Parameters as a JSON object.",
        is_secret=True,
    ),
    Attribute(
        name="limit_s",
        check=check_limit,
        sql=float,
        to_store=float,
        flag="--limit",
        read=number,
        metavar="S",
        help="Time limit of a run in seconds (default 15).",
        synonyms=("limit",),
    ),
    _policy("misfire", MisfirePolicy, "What happens to missed fire times (default fire_once)."),
    _policy("overlap", OverlapPolicy, "What happens at a fire time while a run is in progress (default skip)."),
    _policy("delivery", Delivery, "Whether an abandoned run is repeated (default at_most_once).", is_rule=False),
    Attribute(
        name="jitter_s",
        check=check_jitter,
        sql=int,
        flag="--jitter",
        read=whole,
        metavar="S",
        help="Fire later by less than S seconds, always the same (default 0).",
        synonyms=("jitter",),
        is_rule=True,
    ),
    Attribute(
        name="retries",
        check=partial(check_whole, "retries", MAX_RETRIES),
        sql=int,
        flag="--retries",
        read=whole,
        metavar="N",
        help="Further attempts after a failed run (default 0).",
    ),
    Attribute(
        name="retry_backoff_s",
        check=check_backoff,
        sql=float,
        to_store=float,
        flag="--retry-backoff",
        read=number,
        metavar="S",
        help="Seconds before the first further attempt, doubled for each next one (default 10).",
        synonyms=("retry_backoff",),
    ),
    Attribute(
        name="breaker_threshold",
        check=check_threshold,
        sql=int,
        column="breaker",
        # In `timers list --json`, it is part of the breaker's object.
        key=None,
        flag="--breaker",
        read=whole,
        metavar="N",
        help="Failures in a row that open the breaker; 0 = never (default 5).",
        synonyms=("breaker_threshold",),
    ),
    _bound("starts_at", "Fire from this time on; without an offset, a time of the timer's zone; empty for none."),
    _bound("ends_at", "Fire before this time only; the timer is finished then; empty for none."),
    Attribute(
        name="description",
        check=check_description,
        flag="--description",
        read=text,
        metavar="TEXT",
        help="What it is for.",
    ),
    Attribute(
        name="tags",
        check=check_tags,
        to_store=_names_text,
        from_store=_stored_names,
        to_json=list,
        flag="--tags",
        read=read_tags,
        cell=", ".join,
        metavar="TAG,TAG",
        help="Up to 20 tags, separated by commas.",
    ),
    Attribute(
        name="calendar",
        check=check_calendar_name,
        flag="--calendar",
        # A command line has no other word for None.
        read=trimmed,
        cell=lambda name: name or "",
        metavar="NAME",
        help="Calendar of working days, see scheduler calendars; empty for none.",
        is_rule=True,
        is_optional=True,
    ),
    _policy("roll", RollConvention, "What happens to a fire on a day off of the calendar (default skip)."),
    Attribute(
        name="max_runs",
        check=partial(check_whole, "max_runs", MAX_RUNS),
        sql=int,
        flag="--max-runs",
        read=whole,
        metavar="N",
        help="Finished after N scheduled runs; 0 = never (default).",
    ),
    Attribute(
        name="max_concurrent",
        check=partial(check_whole, "max_concurrent", MAX_CONCURRENT),
        sql=int,
        flag="--max-concurrent",
        read=whole,
        metavar="N",
        help="With --overlap allow, at most N runs at a time; 0 = any number (default).",
        is_rule=True,
    ),
    Attribute(
        name="grace_s",
        check=partial(check_seconds, "grace_s"),
        sql=float,
        to_store=float,
        flag="--grace",
        read=number,
        metavar="S",
        help="A fire up to S seconds late is not missed (default 5).",
        synonyms=("grace",),
        is_rule=True,
    ),
    Attribute(
        name="catch_up_s",
        check=partial(check_seconds, "catch_up_s"),
        sql=float,
        to_store=float,
        flag="--catch-up",
        read=number,
        metavar="S",
        help="A missed fire more than S seconds late does not run, whatever --misfire says; 0 = no limit (default).",
        synonyms=("catch_up",),
        is_rule=True,
    ),
    Attribute(
        name="pause_on_failure",
        check=partial(check_truth, "pause_on_failure"),
        sql=bool,
        from_store=bool,
        flag="--pause-on-failure",
        read=truth,
        cell=_lower,
        metavar="true|false",
        help="Disable the timer when a scheduled run has failed, after its retries (default false).",
    ),
    Attribute(
        name="ping_url",
        check=check_ping_url,
        flag="--ping-url",
        # A command line has no other word for None.
        read=trimmed,
        cell=lambda url: url or "",
        metavar="URL",
        help="Address to which each run reports its start and its end, as Healthchecks expects it; empty for none.",
        is_optional=True,
        # With it, another program could report in the timer's place.
        is_secret=True,
    ),
    Attribute(
        name="then",
        check=check_then,
        to_store=_names_text,
        from_store=_stored_names,
        to_json=list,
        flag="--then",
        read=read_then,
        cell=then_text,
        metavar="NAME,NAME",
        help="Timers to run when a run of this one has ended, see --then-on; empty for none.",
    ),
    _policy("then_on", ThenOn, "How a run has to end for --then (default succeeded).", is_rule=False),
    _switch("remove_when_finished", "Remove the timer when it is finished and its last run has ended (default false)."),
    _switch("fire_on_enable", "Also run once when the timer is enabled (default false)."),
    _switch("fire_on_start", "Also run once when a daemon starts and no other one serves the store (default false)."),
)
