"""The checks of a timer's attributes: functions that return the normalised value, or raise TimerError."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeGuard

from ..errors import ConfigError, TimerError, shown
from .alerts import check_url
from .options import json_fault

MAX_NAME_LENGTH = 200
MAX_PARAMS_BYTES = 65_536
MAX_LIMIT_S = 86_400.0
MAX_JITTER_S = 86_400
MAX_RETRIES = 100
MAX_RUNS = 1_000_000_000
MAX_CONCURRENT = 10_000
MAX_LATE_S = 31_536_000
MAX_BACKOFF_S = 86_400.0
MAX_DESCRIPTION_LENGTH = 2_000
MAX_TAGS, MAX_TAG_LENGTH = 20, 100
MAX_FOLLOWERS = 20

_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def check_name(what: str, name: object) -> str:
    """Refuse a name that is empty, too long, or contains control characters."""
    if not isinstance(name, str) or not name.strip():
        own = getattr(name, "__name__", None)
        hint = f"; give its name, {own!r}" if callable(name) and isinstance(own, str) else ""
        given = "a function" if hint else shown(name)
        raise TimerError(f"a timer needs a {what}: expected text that is not blank, got {given}{hint}", field=what)
    if len(name) > MAX_NAME_LENGTH:
        raise TimerError(f"{what} has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed", field=what)
    # A member of an enum, or of another subclass of str, formats as something else than its text.
    return _check_printable(what, name if type(name) is str else str.__str__(name), what)


def _check_printable(what: str, text: str, field: str) -> str:
    if text.isprintable():
        return text
    for column, character in enumerate(text, start=1):
        # Cc: control, Cf: format (bidirectional overrides), Cs: lone surrogates, Zl/Zp: line separators
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise TimerError(
                f"{what} {shown(text, 80)} has the control character U+{ord(character):04X} at column {column}",
                field=field,
            )
    return text


def check_new_names(name: str, function: str) -> None:
    """Refuse leading or trailing whitespace, `.` and `..`.

    For new timers and new names only: a store may hold older ones.
    """
    if name in (".", ".."):
        raise TimerError(f"name {name!r} is a folder in the address of a timer; use another one", field="name")
    for what, given in (("name", name), ("function", function)):
        if given != given.strip():
            raise TimerError(f"{what} {given!r} has leading or trailing whitespace; use {given.strip()!r}", field=what)
    if not unicodedata.is_normalized("NFC", name):
        # For example, an é of two characters, which looks like the é of one.
        composed = unicodedata.normalize("NFC", name)
        raise TimerError(f"name {name!a} is not in Unicode's form NFC; use {composed!a}", field="name")


def check_description(text: object) -> str:
    if not isinstance(text, str):
        raise TimerError(f"a description must be text, got {shown(text, 80)}", field="description")
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise TimerError(
            f"a description has {len(text):,} characters; at most {MAX_DESCRIPTION_LENGTH:,} are allowed",
            field="description",
        )
    for line in text.split("\n"):
        _check_printable("description", line, "description")
    return text


def check_calendar_name(name: object) -> str | None:
    """The name of a calendar; None if it is empty."""
    return None if name is None or name == "" else check_name("calendar", name)


def check_roll(roll: str, calendar: str | None) -> None:
    """Refuse a roll convention other than skip where no calendar says which days are off."""
    if calendar is None and roll != "skip":
        raise TimerError(f"roll {str(roll)!r} needs a calendar, which says which days are off", field="roll")


def check_ping_url(url: object) -> str | None:
    """The ping address of a timer, None where it is empty."""
    if url is None or url == "":
        return None
    try:
        return check_url("ping_url", url)
    except ConfigError as error:
        raise TimerError(str(error), field="ping_url") from None


def check_tags(tags: object) -> tuple[str, ...]:
    """Tags as a sorted tuple without duplicates."""
    if tags == ():
        return ()
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise TimerError(f"tags must be a list of texts, got {shown(tags, 80)}", field="tags")
    given = sorted({check_tag(tag) for tag in tags})
    if len(given) > MAX_TAGS:
        raise TimerError(f"a timer has at most {MAX_TAGS} tags, got {len(given)}", field="tags")
    # Return the same object if nothing changes.
    return tags if tags == (checked := tuple(given)) and isinstance(tags, tuple) else checked


def check_tag(tag: object) -> str:
    if not isinstance(tag, str) or not tag.strip():
        raise TimerError(f"a tag must be text that is not blank, got {shown(tag, 80)}", field="tags")
    if len(tag) > MAX_TAG_LENGTH:
        raise TimerError(f"a tag has {len(tag)} characters; at most {MAX_TAG_LENGTH} are allowed", field="tags")
    if "," in tag:
        raise TimerError(f"the tag {tag!r} has a comma, which separates tags", field="tags")
    return _check_printable("the tag", tag, "tags").strip()


def read_tags(value: Any) -> tuple[str, ...]:
    """Tags of a list, or of a text in which commas separate them."""
    if isinstance(value, str):
        return tuple(tag.strip() for tag in value.split(",") if tag.strip())
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tuple(value)
    raise ValueError(f"expected tags as in 'billing, nightly', got {shown(value)}")


def check_then(names: object) -> tuple[str, ...]:
    """The names of the timers that follow, in their order, without duplicates; a text is one name."""
    if names == ():
        return ()
    given = (names,) if isinstance(names, str) else names
    if not isinstance(given, Iterable):
        raise TimerError(f"then must be a list of names of timers, got {shown(names, 80)}", field="then")
    checked = tuple(dict.fromkeys(_check_follower(name) for name in given))
    if len(checked) > MAX_FOLLOWERS:
        raise TimerError(f"at most {MAX_FOLLOWERS} timers follow one, got {len(checked)}", field="then")
    # Return the same object if nothing changes.
    return names if isinstance(names, tuple) and names == checked else checked


def _check_follower(name: object) -> str:
    try:
        return check_name("name", name)
    except TimerError as error:
        raise TimerError(f"then: {error}", field="then") from None


def read_then(value: Any) -> tuple[str, ...]:
    """Names of a list, of a text in which commas separate them, or of a JSON array, for names with commas."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"invalid JSON: {json_fault(error)}") from None
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError(f"expected names of timers as in 'load, report', got {shown(value)}")


def then_text(names: tuple[str, ...]) -> str:
    """Names as a text that `read_then` reads: a JSON array where one has a comma, say."""
    text = ", ".join(names)
    is_plain = not text.lstrip().startswith("[") and read_then(text) == names
    return text if is_plain else _COMPACT.encode(list(names))


def params_text(params: Mapping[str, Any]) -> str:
    """The parameters as JSON text; TimerError unless they are a JSON object of at most 64 KiB."""
    if type(params) is dict and not params:
        return "{}"
    if not isinstance(params, Mapping):
        raise TimerError(f"parameters must be a JSON object, got {type(params).__name__}", field="params")
    for key in params:
        if not isinstance(key, str):
            raise TimerError(f"parameter names must be strings, got {shown(key)}", field="params")
    try:
        encoded = _COMPACT.encode(dict(params))
        size = len(encoded.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TimerError(
            f"{_not_json(params)} cannot be encoded as JSON: {json_fault(error)}", field="params"
        ) from error
    if size > MAX_PARAMS_BYTES:
        raise TimerError(
            f"parameters take {size} bytes, at most {MAX_PARAMS_BYTES} are allowed; store them and pass a reference",
            field="params",
        )
    return encoded


def _not_json(params: Mapping[str, Any]) -> str:
    """The first parameter that is not JSON, for a message."""
    for name, value in params.items():
        try:
            _COMPACT.encode({name: value}).encode()
        except (TypeError, ValueError, RecursionError):
            return f"the parameter {name!r:.80}"
    return "parameters"


def check_params(params: Mapping[str, Any]) -> Mapping[str, Any]:
    params_text(params)
    return params


def check_limit(limit_s: object) -> float:
    if not _is_number(limit_s) or not 0 < limit_s <= MAX_LIMIT_S:
        raise TimerError(
            f"a time limit must be more than 0 s and at most {MAX_LIMIT_S:.0f} s, got {_plain(limit_s)}",
            field="limit_s",
        )
    return limit_s


def check_choice(name: str, choices: Mapping[str, StrEnum], value: str) -> StrEnum:
    try:
        return choices[value]
    except (KeyError, TypeError):
        raise TimerError(f"{name} must be one of {', '.join(choices)}; got {shown(value)}", field=name) from None


def check_count(what: str, value: object) -> int:
    """Refuse what is not a number of things to return."""
    if not _is_whole(value):
        raise TypeError(f"{what} must be a whole number, got {type(value).__name__}")
    if value < 0:
        raise TimerError(f"{what} must be 0 or more, got {value}")
    return value


def check_jitter(jitter_s: object) -> int:
    if not _is_whole(jitter_s) or not 0 <= jitter_s <= MAX_JITTER_S:
        raise TimerError(
            f"a jitter must be a whole number of seconds from 0 to {MAX_JITTER_S}, got {shown(jitter_s)}",
            field="jitter_s",
        )
    return jitter_s


def check_gap(jitter_s: int, gap: timedelta | None) -> None:
    """Refuse a jitter that would move a fire time past the next one; `gap` is the shortest time between two."""
    if gap is not None and jitter_s > gap.total_seconds():
        raise TimerError(
            f"a jitter of {jitter_s} s is longer than the shortest time between two fires, {gap.total_seconds():.0f} s",
            field="jitter_s",
        )


def check_backoff(backoff_s: object) -> float:
    if not _is_number(backoff_s) or not 0 < backoff_s <= MAX_BACKOFF_S:
        raise TimerError(
            f"a back-off must be more than 0 s and at most {MAX_BACKOFF_S:.0f} s, got {_plain(backoff_s)}",
            field="retry_backoff_s",
        )
    return backoff_s


def check_whole(name: str, most: int, value: object) -> int:
    """Refuse anything but a whole number from 0 to `most`."""
    if not _is_whole(value) or not 0 <= value <= most:
        raise TimerError(f"{name} must be a whole number from 0 to {most:,}, got {shown(value)}", field=name)
    return value


def check_seconds(name: str, value: object) -> float:
    """Refuse anything but a number of seconds from 0 to a year."""
    if not _is_number(value) or not 0 <= value <= MAX_LATE_S:
        raise TimerError(f"{name} must be a number of seconds from 0 to {MAX_LATE_S:,}, got {shown(value)}", field=name)
    return value


def check_truth(name: str, value: object) -> bool:
    """Refuse anything but True and False."""
    if not isinstance(value, bool):
        raise TimerError(f"{name} must be True or False, got {shown(value)}", field=name)
    return value


def check_threshold(threshold: object) -> int:
    if not _is_whole(threshold) or not 0 <= threshold <= 1_000_000:
        raise TimerError(
            f"a breaker threshold must be from 1 to 1,000,000 failures, or 0 = never; got {shown(threshold)}",
            field="breaker_threshold",
        )
    return threshold


def _is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is an int; True and False are not meant as numbers."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(number: object) -> str:
    """A number as the user wrote it, 0 and not 0.0; the repr of anything else."""
    return f"{number:g}" if isinstance(number, float) else shown(number)
