"""A recorded change as one line of text: the action, each attribute before and after, and the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.attributes import ATTRIBUTES
from ..core.trigger_kinds import read_trigger
from ..store.change_pages import ChangeRecord
from ..store.change_recording import Action, NewChange

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
    """What a change does."""
    return " ".join(part for part in (_action(change), details(change)) if part)


def _action(record: ChangeRecord | NewChange) -> str:
    match record.action:
        case Action.RENAMED:
            return f"renamed from {record.former_name}" + (":" if details(record) else "")
        case Action.RESET:
            return "closed the breaker"
        case Action.REQUESTED:
            return f"requested run {(record.after or {}).get('run')}"
        case action:
            return action.value


def details(record: ChangeRecord | NewChange) -> str:
    """The attributes that differ, before and after, without the action; empty if the action says all."""
    before, after = record.before, record.after
    if record.action is Action.REQUESTED:
        return ""
    if before is None or after is None:
        return _whole(after or before or {})
    names = [name for name in _ORDER if name in after] + [name for name in after if name not in _ORDER]
    said = _SAID.get(record.action, set())
    shown = [name for name in names if name not in said and _differs(name, before.get(name), after[name])]
    return ", ".join(f"{name} {_value(name, before.get(name))} → {_value(name, after[name])}" for name in shown)


def _differs(name: str, before: Any, after: Any) -> bool:
    """Whether a value differs; for a breaker, whether its state does, because a line does not show its failures."""
    if name == "breaker":
        return _value(name, before) != _value(name, after)
    return bool(before != after)


def _whole(values: Mapping[str, Any]) -> str:
    """A short description of an added or removed timer."""
    if "function" not in values or "trigger" not in values:
        return _value("", values) if values else ""
    state = "" if values.get("enabled") else ", disabled"
    return f"calls {values['function']}, {_value('trigger', values['trigger'])}{state}"


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
    fields = {name: part for name, part in value.items() if name != "kind"}
    return str(read_trigger(str(value.get("kind")), json.dumps(fields)))
