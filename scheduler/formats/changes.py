"""A recorded change as one line of text: the action, each attribute before and after, and the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.attributes import ATTRIBUTES
from ..core.trigger_kinds import read_trigger
from ..core.triggers import Trigger
from ..store.change_pages import ChangeRecord
from ..store.change_recording import Action, NewChange
from .display import number

#: Actions about runs of a timer, which change none of its attributes.
OF_RUNS = frozenset({Action.REQUESTED, Action.CANCELLED, Action.BACKFILLED})
#: The most characters of a value that a line shows.
_MOST = 80
#: Attributes whose value is part of the action, or next to it.
_SAID = {
    Action.ENABLED: {"enabled", "trigger", "breaker"},
    Action.DISABLED: {"enabled", "breaker"},
    Action.RENAMED: {"name"},
    Action.RESET: {"breaker"},
}


def change_text(record: ChangeRecord) -> str:
    """The action, the changed attributes, and the reason.

    `changed limit_s 15 → 30, tags … → … (the mail server is slow)`
    """
    text = described(record)
    return f"{text} ({record.why})" if record.why else text


def described(change: ChangeRecord | NewChange) -> str:
    """The action of a change, in words."""
    return " ".join(part for part in (_action(change), details(change)) if part)


def _action(record: ChangeRecord | NewChange) -> str:
    match record.action:
        case Action.RENAMED:
            return f"renamed from {record.former_name}" + (":" if details(record) else "")
        case Action.RESET:
            return "closed the breaker"
        case Action.REQUESTED:
            return f"requested run {(record.after or {}).get('run')}"
        case Action.CANCELLED:
            return _cancelled(record.after or {})
        case Action.BACKFILLED:
            return _backfilled(record.after or {})
        case action:
            return action.value


def _cancelled(after: Mapping[str, Any]) -> str:
    if "run" in after:
        return f"cancelled run {after['run']}"
    return f"cancelled {number(int(after.get('backfilled', 0)), 'backfilled run')}"


def _backfilled(after: Mapping[str, Any]) -> str:
    count = number(int(after.get("runs", 0)), "run")
    return f"backfilled {count} from {after.get('first')} to {after.get('last')}"


def details(record: ChangeRecord | NewChange) -> str:
    """The attributes that differ, before and after, without the action; empty if the action says all."""
    if record.action in OF_RUNS:
        return ""
    if record.before is None or record.after is None:
        return _whole(record.after or record.before or {})
    found = differing(record)
    texts = [
        f"{name} {_value(name, before)} → {_value(name, after)}" for name, before, after in found if name != _DIGEST
    ]
    # That of a calendar, which says nothing to a reader, except that something differs.
    return ", ".join(texts) or ("days" if found else "")


def differing(record: ChangeRecord | NewChange) -> list[tuple[str, Any, Any]]:
    """The attributes that differ and are no part of the action, with their values before and after."""
    before, after = record.before or {}, record.after or {}
    names = [name for name in _ORDER if name in after] + [name for name in after if name not in _ORDER]
    said = _SAID.get(record.action, set())
    shown = [name for name in names if name not in said and _differs(name, before.get(name), after[name])]
    return [(name, before.get(name), after[name]) for name in shown]


def _differs(name: str, before: Any, after: Any) -> bool:
    """Whether a value differs; for a breaker, whether its state does, because a line does not show its failures."""
    if name == "breaker":
        return _value(name, before) != _value(name, after)
    return bool(before != after)


def _whole(values: Mapping[str, Any]) -> str:
    """A short description of an added or removed timer."""
    if values.keys() == {"kind", "role"}:
        return f"a {_KINDS.get(str(values['kind']), values['kind'])} for the role {values['role']}"
    if "week" in values and _DIGEST in values:
        return _calendar(values)
    if values.keys() == {"tag", "until"}:  # the name of the change says what the pause covers
        return "a pause" if values["until"] is None else f"a pause until {values['until']}"
    if "function" not in values or "trigger" not in values:
        return _value("", values) if values else ""
    state = "" if values.get("enabled") else ", disabled"
    return f"calls {values['function']}, {_value('trigger', values['trigger'])}{state}"


def _calendar(values: Mapping[str, Any]) -> str:
    """A short description of a calendar, whose digest says nothing to a reader."""
    days = (
        f"{number(int(values.get('holidays', 0)), 'holiday')}, {number(int(values.get('worked', 0)), 'worked day')} off"
    )
    known = f", known until {values['known_until']}" if values.get("known_until") else ""
    return f"a calendar of {values['week']}, {days}{known}"


#: The attribute of a calendar that differs if any of its days does.
_DIGEST = "digest"
#: The words for what signs people in at the console.
_KINDS = {"link": "sign-in link"}
#: The attributes in the order of their table, behind the trigger.
_ORDER = ("trigger", *(attribute.name for attribute in ATTRIBUTES))


def _value(name: str, value: Any) -> str:
    """The value of an attribute, cut to _MOST characters."""
    if name == "trigger" and isinstance(value, Mapping):
        text = _trigger(value)
    elif name == "breaker":
        text = "closed" if value is None else str(value.get("state", value))
    elif value is None or value in ("", []):
        text = "none"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


def _trigger(value: Mapping[str, Any]) -> str:
    return str(recorded_trigger(value))


def recorded_trigger(value: Mapping[str, Any]) -> Trigger:
    """The trigger of a recorded change."""
    fields = {name: part for name, part in value.items() if name != "kind"}
    return read_trigger(str(value.get("kind")), json.dumps(fields))
