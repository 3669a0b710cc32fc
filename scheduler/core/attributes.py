"""The attributes of a timer, each a row of one table: what it may be, where it is kept, and what it is called.

From ATTRIBUTES follow the checks of Timer, the columns of the store and their values, the CSV and JSON lists, `timers
list --json`, the options of `timers add` and `timers edit`, and those of `@engine.timer`. A new attribute is a row
here, a field of Timer, and a migration. The trigger is not among them: it has options of its own, see triggers.py.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from ..errors import TimerError
from .misfire import MisfirePolicy
from .options import Option, json_value, number, text, truth, whole, word
from .overlap import OverlapPolicy
from .timestamps import instant_or_none, stamp_or_none
from .window import check_instant, read_instant

MAX_NAME_LENGTH = 200
MAX_PARAMS_BYTES = 65_536
MAX_LIMIT_S = 86_400.0
MAX_JITTER_S = 86_400
MAX_RETRIES = 100
MAX_BACKOFF_S = 86_400.0
MAX_DESCRIPTION_LENGTH = 2_000
MAX_TAGS, MAX_TAG_LENGTH = 20, 100

_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Environment(StrEnum):
    """Which deployment of the functions a timer calls."""

    PRODUCTION = "production"
    STAGE = "stage"


class Delivery(StrEnum):
    """Whether a run that was abandoned is run again."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"


#: LeanCloud's own words for its environments, beside ours.
ENVIRONMENTS = {
    "production": Environment.PRODUCTION,
    "prod": Environment.PRODUCTION,
    "1": Environment.PRODUCTION,
    "生产环境": Environment.PRODUCTION,
    "stage": Environment.STAGE,
    "staging": Environment.STAGE,
    "0": Environment.STAGE,
    "预备环境": Environment.STAGE,
}
#: Those of them that stand in LeanCloud's console: a list that has them comes from there.
CONSOLE_WORDS = frozenset({"生产环境", "预备环境"})


# Validators: each returns the normalised value or raises TimerError


def check_name(what: str, name: object) -> str:
    """Refuse a name that is empty, too long, or contains control characters."""
    if not isinstance(name, str) or not name.strip():
        raise TimerError(f"a timer needs a {what}: expected text that is not blank, got {name!r}", field=what)
    if len(name) > MAX_NAME_LENGTH:
        raise TimerError(f"{what} has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed", field=what)
    return _check_printable(what, name, what)


def _check_printable(what: str, text: str, field: str) -> str:
    if text.isprintable():
        return text
    for column, character in enumerate(text, start=1):
        # Cc: control, Cf: format (bidirectional overrides), Cs: lone surrogates, Zl/Zp: line separators
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise TimerError(
                f"{what} {text!r:.80} has the control character U+{ord(character):04X} at column {column}", field=field
            )
    return text


def _check_description(text: object) -> str:
    if not isinstance(text, str):
        raise TimerError(f"a description must be text, got {text!r:.80}", field="description")
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise TimerError(
            f"a description has {len(text):,} characters; at most {MAX_DESCRIPTION_LENGTH:,} are allowed",
            field="description",
        )
    for line in text.split("\n"):
        _check_printable("description", line, "description")
    return text


def _check_tags(tags: object) -> tuple[str, ...]:
    """Tags as a sorted tuple without duplicates."""
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise TimerError(f"tags must be a list of texts, got {tags!r:.80}", field="tags")
    given = sorted({_check_tag(tag) for tag in tags})
    if len(given) > MAX_TAGS:
        raise TimerError(f"a timer has at most {MAX_TAGS} tags, got {len(given)}", field="tags")
    # The same object where nothing changes, so that a timer is as it was given.
    return tags if tags == (checked := tuple(given)) and isinstance(tags, tuple) else checked


def _check_tag(tag: object) -> str:
    if not isinstance(tag, str) or not tag.strip():
        raise TimerError(f"a tag must be text that is not blank, got {tag!r:.80}", field="tags")
    if len(tag) > MAX_TAG_LENGTH:
        raise TimerError(f"a tag has {len(tag)} characters; at most {MAX_TAG_LENGTH} are allowed", field="tags")
    if "," in tag:
        raise TimerError(f"the tag {tag!r} has a comma, which separates tags", field="tags")
    return _check_printable("the tag", tag, "tags").strip()


def _read_tags(value: Any) -> tuple[str, ...]:
    """Tags of a list, or of a text in which commas separate them."""
    if isinstance(value, str):
        return tuple(tag.strip() for tag in value.split(",") if tag.strip())
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tuple(value)
    raise ValueError(f"expected tags as in 'billing, nightly', got {value!r:.40}")


def params_text(params: Mapping[str, Any]) -> str:
    """The parameters as JSON text; TimerError unless they are a JSON object of at most 64 KiB."""
    if not isinstance(params, Mapping):
        raise TimerError(f"parameters must be a JSON object, got {type(params).__name__}", field="params")
    for key in params:
        if not isinstance(key, str):
            raise TimerError(f"parameter names must be strings, got {key!r}", field="params")
    try:
        encoded = _COMPACT.encode(dict(params))
        size = len(encoded.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TimerError(f"parameters cannot be encoded as JSON: {error}", field="params") from error
    if size > MAX_PARAMS_BYTES:
        raise TimerError(
            f"parameters take {size} bytes, at most {MAX_PARAMS_BYTES} are allowed; store them and pass a reference",
            field="params",
        )
    return encoded


def _check_params(params: Mapping[str, Any]) -> Mapping[str, Any]:
    params_text(params)
    return params


def _check_enabled(enabled: object) -> bool:
    if not isinstance(enabled, bool):
        raise TimerError(f"enabled must be True or False, got {enabled!r}", field="enabled")
    return enabled


def _check_limit(limit_s: object) -> float:
    if isinstance(limit_s, bool) or not isinstance(limit_s, int | float) or not 0 < limit_s <= MAX_LIMIT_S:
        raise TimerError(
            f"a time limit must be more than 0 s and at most {MAX_LIMIT_S:.0f} s, got {_plain(limit_s)}",
            field="limit_s",
        )
    return limit_s


def _check_choice(name: str, choices: Mapping[str, StrEnum], value: str) -> StrEnum:
    try:
        return choices[value]
    except (KeyError, TypeError):
        raise TimerError(f"{name} must be one of {', '.join(choices)}; got {value!r}", field=name) from None


def _check_jitter(jitter_s: object) -> int:
    if isinstance(jitter_s, bool) or not isinstance(jitter_s, int) or not 0 <= jitter_s <= MAX_JITTER_S:
        raise TimerError(
            f"a jitter must be a whole number of seconds from 0 to {MAX_JITTER_S}, got {jitter_s!r}", field="jitter_s"
        )
    return jitter_s


def _check_retries(retries: object) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MAX_RETRIES:
        raise TimerError(f"retries must be a whole number from 0 to {MAX_RETRIES}, got {retries!r}", field="retries")
    return retries


def _check_backoff(backoff_s: object) -> float:
    if isinstance(backoff_s, bool) or not isinstance(backoff_s, int | float) or not 0 < backoff_s <= MAX_BACKOFF_S:
        raise TimerError(
            f"a back-off must be more than 0 s and at most {MAX_BACKOFF_S:.0f} s, got {_plain(backoff_s)}",
            field="retry_backoff_s",
        )
    return backoff_s


def _check_threshold(threshold: int) -> int:
    if not 0 <= threshold <= 1_000_000:
        raise TimerError(
            f"a breaker threshold must be from 1 to 1,000,000 failures, or 0 = never; got {threshold}",
            field="breaker_threshold",
        )
    return threshold


def _plain(number: object) -> str:
    """A number as it was given, 0 and not 0.0; anything else as it is in Python."""
    return f"{number:g}" if isinstance(number, float) else repr(number)


# The table


def _environment(value: Any) -> Environment:
    environment = ENVIRONMENTS.get(str(value).strip().lower())
    if environment is None:
        raise ValueError(f"expected production or stage, got {value!r:.40}")
    return environment


def _by_word(choices: type[StrEnum]) -> Mapping[str, StrEnum]:
    return {choice.value: choice for choice in choices}


def _lower(value: bool) -> str:
    return str(value).lower()


def as_kept(value: Any) -> Any:
    """The value of an attribute, where it has the same form everywhere."""
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute(Option):
    """An attribute of a timer.

    `check` returns a value as the timer keeps it. The store has a column of the attribute's name and of the type `sql`;
    `to_store` and `from_store` turn a value into what stands there, and back, `to_json` into what JSON shows. One that
    `is_secret` may be long or confidential, so messages name it without its value. One that `is_rule` decides which
    fire times there are, or which of them run. One that `is_optional` may be None.
    """

    check: Callable[[Any], Any]
    sql: type = str
    to_store: Callable[[Any], Any] = as_kept
    from_store: Callable[[Any], Any] = as_kept
    to_json: Callable[[Any], Any] = as_kept
    is_secret: bool = False
    is_rule: bool = False
    is_optional: bool = False


def _policy(name: str, choices: type[StrEnum], help: str, *, is_rule: bool = True) -> Attribute:
    """The row of an attribute that is one of a few words."""
    return Attribute(
        name=name,
        check=partial(_check_choice, name, _by_word(choices)),
        to_store=str,
        flag=f"--{name}",
        read=word,
        choices=tuple(map(str, choices)),
        help=help,
        is_rule=is_rule,
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
        # A command line has no other word for None.
        read=_read_bound,
        cell=lambda instant: _iso(instant) or "",
        metavar="TIME",
        help=help,
        is_rule=True,
        is_optional=True,
    )


def _read_bound(value: Any) -> datetime | str:
    return read_instant(value) or ""


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


#: In the order in which the command line offers them; lists and JSON keep the order of version 0.1.0 and go on with it.
ATTRIBUTES: tuple[Attribute, ...] = (
    # The name is an argument of every command, the environment its --env, and `enabled` the --enable of `timers add`.
    Attribute(name="name", check=partial(check_name, "name")),
    Attribute(
        name="environment",
        check=partial(_check_choice, "environment", _by_word(Environment)),
        to_store=str,
        read=_environment,
        synonyms=("env",),
    ),
    Attribute(name="enabled", check=_check_enabled, sql=bool, from_store=bool, read=truth, cell=_lower),
    Attribute(
        name="function",
        check=partial(check_name, "function"),
        flag="--function",
        read=text,
        help="Function to call.",
    ),
    Attribute(
        name="params",
        check=_check_params,
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
        check=_check_limit,
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
        check=_check_jitter,
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
        check=_check_retries,
        sql=int,
        flag="--retries",
        read=whole,
        metavar="N",
        help="Further attempts after a failed run (default 0).",
    ),
    Attribute(
        name="retry_backoff_s",
        check=_check_backoff,
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
        check=_check_threshold,
        sql=int,
        column="breaker",
        # `timers list --json` has it in the object of the breaker.
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
        check=_check_description,
        flag="--description",
        read=text,
        metavar="TEXT",
        help="What it is for.",
    ),
    Attribute(
        name="tags",
        check=_check_tags,
        to_store=lambda tags: _COMPACT.encode(list(tags)),
        from_store=lambda kept: tuple(json.loads(kept)),
        to_json=list,
        flag="--tags",
        read=_read_tags,
        cell=", ".join,
        metavar="TAG,TAG",
        help="Up to 20 tags, separated by commas.",
    ),
)
