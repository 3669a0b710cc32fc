"""A recorded change in the words of the page: its object, and what differs; the action is the title beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ..core.triggers import Cron, Trigger
from ..formats.changes import OF_RUNS, differing, recorded_trigger
from ..store.change_pages import ChangeRecord
from ..store.change_recording import Action, Subject
from .reader import reader
from .rendering import instant, say, t
from .trigger_words import words_of

#: The most characters of a value.
_MOST = 80
#: The recorded parts of a calendar, with the keys of their words.
_OF_CALENDAR = {
    "week": "calendars.week",
    "holidays": "calendars.holidays",
    "worked": "calendars.worked",
    "known_until": "calendars.known",
    "source": "calendars.source",
}


def object_of(record: ChangeRecord) -> str:
    """The name of the changed object; for a pause, what it covers."""
    if record.subject is not Subject.PAUSE:
        return record.name
    tag = _values(record).get("tag")
    parts = []
    if record.environment is not None:
        environment = say(f"environment.{record.environment}", record.environment)
        parts.append(t("changes.of_environment", environment=environment))
    if tag is not None:
        parts.append(t("changes.of_tag", tag=tag))
    return ", ".join(parts) or t("pause.all")


def kind_of(record: ChangeRecord) -> str:
    """The kind of the changed object: calendar, pause, token, sign-in link."""
    kind = _values(record).get("kind")
    if record.subject is not Subject.TOKEN or kind is None:
        return say(f"subject.{record.subject}", record.subject)
    return t("changes.link") if kind == "link" else say(f"token.{kind}", kind)


def differences(record: ChangeRecord) -> str:
    """What differs, or the attributes of an object that was added or removed; empty if the title says all."""
    return _DIFFERENCES.get(record.subject, _of_other)(record)


def _values(record: ChangeRecord) -> Mapping[str, Any]:
    return record.after or record.before or {}


def _of_timer(record: ChangeRecord) -> str:
    if record.action in OF_RUNS:
        return _of_runs(_values(record))
    if record.before is None or record.after is None:
        return _whole_timer(_values(record))
    parts = [f"{record.former_name} → {record.name}"] if record.action is Action.RENAMED else []
    for name, before, after in differing(record):
        label = say(f"attribute.{name}", name)
        parts.append(f"{label}: {attribute_text(name, before)} → {attribute_text(name, after)}")
    return "; ".join(parts)


def _of_runs(values: Mapping[str, Any]) -> str:
    if "run" in values:
        return t("run.title", id=values["run"])
    if "backfilled" in values:
        return t("changes.backfilled_runs", n=values["backfilled"])
    ends = [instant(datetime.fromisoformat(values[end])) for end in ("first", "last") if end in values]
    return f"{t('count.runs', n=values.get('runs', 0))}, {' – '.join(dict.fromkeys(ends))}"


def _whole_timer(values: Mapping[str, Any]) -> str:
    """A short description of an added or removed timer."""
    if "function" not in values or "trigger" not in values:
        return ""
    parts = [f"{t('timer.calls')} {values['function']}", attribute_text("trigger", values["trigger"])]
    return "; ".join(parts if values.get("enabled") else [*parts, t("state.disabled")])


def attribute_text(name: str, value: Any) -> str:
    """The value of a timer's attribute, in words where it has some."""
    if name == "breaker":
        state = "closed" if value is None else value.get("state")
        return say(f"breaker.{state}", str(state))
    if name == "trigger" and isinstance(value, Mapping):
        return _of_trigger(recorded_trigger(value))
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return say(f"choice.{value}", _cut(value)) if value else "–"
    if isinstance(value, list):
        return _cut(", ".join(map(str, value))) or "–"
    return "–" if value is None else _cut(json.dumps(value, ensure_ascii=False))


def _of_trigger(trigger: Trigger) -> str:
    if not isinstance(trigger, Cron):
        return words_of(trigger, reader().language)
    return f"{trigger.expression} {trigger.tz} ({words_of(trigger, reader().language)})"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


def _of_pause(record: ChangeRecord) -> str:
    if record.action is not Action.ADDED:
        return ""
    until = _values(record).get("until")
    return t("pauses.until_resumed") if until is None else t("pause.until", at=instant(datetime.fromisoformat(until)))


def _of_token(record: ChangeRecord) -> str:
    role = _values(record).get("role")
    return "" if role is None else f"{t('settings.token.role')}: {say(f'role.{role}', role)}"


def _of_function(record: ChangeRecord) -> str:
    params = _values(record).get("params")
    return f"{t('attribute.params')}: {attribute_text('params', params)}" if params else ""


def _of_calendar(record: ChangeRecord) -> str:
    shown = _lines(record, {name: t(key) for name, key in _OF_CALENDAR.items()})
    is_change = record.before is not None and record.after is not None
    if is_change and not shown and _differs(record, "digest"):
        return t("changes.days")
    return "; ".join(shown)


def _of_other(record: ChangeRecord) -> str:
    return "; ".join(_lines(record, {name: name for name in _values(record)}))


def _lines(record: ChangeRecord, labels: Mapping[str, str]) -> list[str]:
    return list(_changed(record, labels) if record.before and record.after else _whole(_values(record), labels))


def _whole(values: Mapping[str, Any], labels: Mapping[str, str]) -> Iterable[str]:
    for name, label in labels.items():
        if values.get(name) not in (None, "", 0):
            yield f"{label}: {values[name]}"


def _changed(record: ChangeRecord, labels: Mapping[str, str]) -> Iterable[str]:
    before, after = record.before or {}, record.after or {}
    for name, label in labels.items():
        if _differs(record, name):
            yield f"{label}: {_shown(before.get(name))} → {_shown(after.get(name))}"


def _differs(record: ChangeRecord, name: str) -> bool:
    return (record.before or {}).get(name) != (record.after or {}).get(name)


def _shown(value: object) -> str:
    return "–" if value in (None, "") else str(value)


_DIFFERENCES: Mapping[Subject, Callable[[ChangeRecord], str]] = {
    Subject.TIMER: _of_timer,
    Subject.PAUSE: _of_pause,
    Subject.TOKEN: _of_token,
    Subject.CALENDAR: _of_calendar,
    Subject.FUNCTION: _of_function,
}
