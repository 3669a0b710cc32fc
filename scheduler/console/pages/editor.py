"""The editor: adding and changing a timer, with a preview of its trigger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from flask import Response, make_response, request

from ...core.attributes import ATTRIBUTES
from ...core.environments import Environment
from ...core.timer import Timer
from ...core.trigger_kinds import trigger_kinds, trigger_options
from ...core.triggers import Cron, Trigger
from ...core.zone_names import zone
from ...errors import DuplicateTimerError, TimerChangedError, TimerError, UnknownTimerError
from ...store.calendars import CalendarTable
from ...store.change_recording import Author
from ...store.stored_timer import StoredTimer
from ...store.timer_pages import TimerFilter, page_of_timers
from .. import drawing
from ..current import author, console
from ..links import go
from ..offered_names import offered_names
from ..preview import MAX_TEXT, Preview, faults_of, fires_by_day, preview
from ..rendering import render
from ..timer_form import FIRST, KIND, TimerForm, changes, form_of_request, form_of_timer, more
from ..unknown_functions import is_checked

_ENABLE = "enable"


def show_new() -> str:
    """An empty form, or one with the values of the address."""
    form = _form(request.args)
    form.values.setdefault("tz", console().settings.tz)
    form.values.setdefault("environment", Environment.PRODUCTION.value)
    return _page(form, "new")


def _form(given: Mapping[str, str]) -> TimerForm:
    return form_of_request(given, now=console().now(), default_tz=console().settings.tz)


def show_copy(environment: str, name: str) -> str:
    """The form of a new timer, with the values of another one."""
    form = form_of_timer(console().timers.get(name, Environment(environment)).timer)
    form.values["name"] = f"{name} 2"
    return _page(form, "new")


def show_edit(environment: str, name: str) -> str:
    """The form of a timer."""
    entry = console().timers.get(name, Environment(environment))
    return _page(form_of_timer(entry.timer), "edit", entry=entry)


def save_new() -> Response | str:
    """Add the timer, disabled unless it is to be enabled."""
    form = _form(request.form)
    if request.form.get("do") == "look":
        return _page(form, "new")
    limit = {} if form.value("limit_s").strip() else {"limit_s": console().settings.limit_s}
    timer = form.timer(enabled=request.form.get("do") == _ENABLE, **limit)
    if timer is not None:
        try:
            console().timers.add([timer], now=console().now(), quota=console().settings.max_timers, by=_author())
        except TimerError as error:
            form.add_error(error.field, str(error))
        else:
            return go("timer", environment=timer.environment, name=timer.name, did=_done("created", timer))
    else:
        _check_name_is_free(form)
        _check_calendar(form)
    return _refused(form, "new")


def save_edit(environment: str, name: str) -> Response | str:
    """Save the differing attributes; if the timer was changed since the form was shown, ask first."""
    entry = console().timers.get(name, Environment(environment))
    form = _form(request.form)
    form.kept_trigger = form_of_timer(entry.timer).kept_trigger
    form.values["environment"] = environment
    if request.form.get("do") == "look":
        return _page(form, "edit", entry=entry)
    timer = form.timer(enabled=entry.timer.enabled)
    if timer is None:
        _check_calendar(form)
        return _refused(form, "edit", entry=entry)
    try:
        _save(entry, timer)
    except TimerChangedError:
        theirs = console().timers.get(name, Environment(environment))
        return _refused(form, "edit", entry=theirs, status=409, theirs=theirs.timer)
    except TimerError as error:
        form.add_error(error.field, str(error))
        return _refused(form, "edit", entry=entry)
    is_other = timer.function != entry.timer.function
    return go("timer", environment=environment, name=timer.name, did=_done("saved", timer) if is_other else "saved")


# What the store would refuse, beside the other errors of a form


def _check_name_is_free(form: TimerForm) -> None:
    name, environment = form.value("name"), form.value("environment")
    if "name" in form.errors or environment not in list(Environment):
        return
    with suppress(UnknownTimerError):
        console().timers.get(name, Environment(environment))
        form.add_error("name", str(DuplicateTimerError(name, environment)))


def _check_calendar(form: TimerForm) -> None:
    name = form.value("calendar").strip()
    if name and "calendar" not in form.errors:
        try:
            CalendarTable(console().store).get(name)
        except TimerError as error:
            form.add_error("calendar", str(error))


def _done(did: str, timer: Timer) -> str:
    """The message after a timer was saved; it says so if its function cannot be checked and no other timer calls it.

    Where functions can be checked, the page of the timer warns of one that is missing.
    """
    if is_checked(console().store, timer):
        return did
    callers = page_of_timers(console().store, TimerFilter(function=timer.function), limit=2)
    return did if len(callers.items) > 1 or callers.next is not None else f"{did}_only_caller"


def _save(entry: StoredTimer, timer: Timer) -> None:
    """Write the differing attributes, if the timer still has the revision of the form."""
    changed = changes(entry.timer, timer)
    if request.form.get("do") == _ENABLE:
        changed["enabled"] = True
    if changed:
        console().timers.edit(
            entry.timer.name,
            entry.timer.environment,
            changed,
            now=console().now(),
            by=_author(),
            expected=request.form.get("was", -1, type=int),
        )


def _author() -> Author:
    return author(request.form.get("why", ""))


def show_preview() -> str:
    """The preview of the form's trigger, as a part of the page."""
    form = _form(request.args)
    return render("preview.html", **_meaning(form))


def _page(form: TimerForm, mode: str, *, entry: StoredTimer | None = None, theirs: Timer | None = None) -> str:
    kinds = trigger_kinds()
    return render(
        "editor.html",
        form=form,
        mode=mode,
        entry=entry,
        version=entry.revision if entry else "",
        theirs=None if theirs is None else form_of_timer(theirs),
        kinds=kinds,
        options=trigger_options(kinds),
        kinds_of=_kinds_of(kinds),
        attributes={attribute.name: attribute for attribute in ATTRIBUTES},
        first=FIRST,
        more=more(),
        kind_field=KIND,
        offered=_offered(),
        why=request.form.get("why", ""),
        defaults=_defaults(),
        **_meaning(form),
    )


def _offered() -> Mapping[str, Sequence[str]]:
    """The names that each field offers; most offer none."""
    return defaultdict(list, offered_names(console().store))


def _kinds_of(kinds: Sequence[type[Trigger]]) -> dict[str, str]:
    """For each option of a trigger, the kinds that have it."""
    return {
        option.name: " ".join(kind.kind for kind in kinds if option.name in {other.name for other in kind.options})
        for option in trigger_options(kinds)
    }


def _refused(form: TimerForm, mode: str, *, status: int = 422, **values: Any) -> Response:
    return make_response(_page(form, mode, **values), status)


def _defaults() -> dict[str, str]:
    """The defaults of blank fields under "more"."""
    fields = Timer.__dataclass_fields__
    shown = {}
    for attribute in more():
        value = fields[attribute.name].default
        shown[attribute.name] = f"{value:g}" if isinstance(value, float) else attribute.cell(value)
    return shown | {"limit_s": f"{console().settings.limit_s:g}"}


def _meaning(form: TimerForm) -> dict[str, Any]:
    """The contents of the preview: the meaning of the trigger, or its errors."""
    typed = form.value(form.kind.options[0].name).strip()
    values: dict[str, Any] = {"typed": typed, "seen": None, "faults": None, "refusals": [], "year": None, "tz": None}
    values["drawing"] = drawing
    if form.kept_trigger is not None or not typed:
        return values
    if len(typed) > MAX_TEXT:
        return values | {"refusals": [f"at most {MAX_TEXT} characters, got {len(typed):,}"]}
    if issubclass(form.kind, Cron) and (faults := faults_of(typed)):
        return values | {"faults": faults}
    trial = replace(form, values=dict(form.values), errors={})
    trigger = trial.trigger()
    if trigger is None:
        return values | {"refusals": [message for _, message in trial.problems()]}
    seen, year, tz = _seen(trial, trigger)
    return values | {"seen": seen, "year": year, "tz": tz}


#: The fields besides those of the trigger that decide when a timer fires, and its limit.
_OF_SCHEDULE = ("jitter_s", "starts_at", "ends_at", "calendar", "roll", "limit_s", KIND)


def _with_calendar(timer: Timer | None) -> Timer | None:
    """The timer with the working days of its calendar, as the store gives it one."""
    if timer is None or timer.calendar is None:
        return timer
    try:
        return replace(timer, working_days=CalendarTable(console().store).get(timer.calendar).working_days)
    except TimerError:
        return timer


def _seen(form: TimerForm, trigger: Any) -> tuple[Preview, drawing.YearDrawing, Any]:
    """The meaning with the jitter and window of the form, if these are valid."""
    now = console().now()
    tz = zone(trigger.tz or console().settings.tz)
    whole = {name: form.value(name) for name in _OF_SCHEDULE}
    whole |= {option.name: form.value(option.name) for option in form.kind.options}
    trial = replace(form, values={**whole, "name": form.value("name") or "new", "function": "f"}, errors={})
    trial.values["environment"] = form.value("environment")
    timer = _with_calendar(trial.timer())
    limit_s = timer.limit_s if timer else console().settings.limit_s
    anchored = timer.anchored(now) if timer else None
    schedule = anchored.schedule if anchored else trigger.anchored(now)
    shown = anchored.trigger if anchored else trigger
    year = now.astimezone(tz).year
    return (
        preview(shown, schedule, now=now, limit_s=limit_s),
        drawing.year_drawing(year, fires_by_day(schedule, year, tz)),
        tz,
    )
