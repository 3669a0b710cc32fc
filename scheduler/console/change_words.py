"""A recorded change in the words of the page: its object, and what differs; the action is the title beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ..formats.changes import details
from ..store.change_pages import ChangeRecord
from ..store.change_recording import Action, Subject
from .rendering import instant, say, t

#: What of a calendar is recorded, with the keys of the words for it.
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
    if record.action is Action.REQUESTED:
        return t("run.title", id=_values(record).get("run"))
    former = [f"{record.former_name} → {record.name}"] if record.action is Action.RENAMED else []
    return ", ".join(part for part in (*former, details(record)) if part)


def _of_pause(record: ChangeRecord) -> str:
    if record.action is not Action.ADDED:
        return ""
    until = _values(record).get("until")
    return t("pauses.until_resumed") if until is None else t("pause.until", at=instant(datetime.fromisoformat(until)))


def _of_token(record: ChangeRecord) -> str:
    role = _values(record).get("role")
    return "" if role is None else f"{t('settings.token.role')}: {say(f'role.{role}', role)}"


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
}
