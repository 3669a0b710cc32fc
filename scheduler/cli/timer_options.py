"""The options that define a timer, for `timers add` and `timers edit`, made from the tables in core."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, TypeVar

import click

from ..core.any_of import AnyOf
from ..core.at import At, read_instants
from ..core.attributes import ATTRIBUTES, read_bound
from ..core.calendrical import Calendrical
from ..core.from_now import from_now
from ..core.human_times import read_human
from ..core.options import Option, json_value, text, trimmed, word
from ..core.trigger_kinds import (
    TRIGGERS,
    UnreadableTrigger,
    choices,
    chosen_kind,
    listed,
    plugin_faults,
    trigger_kinds,
    trigger_options,
)
from ..core.triggers import Every, Trigger, TriggerOption, is_calendrical
from ..core.zone_names import zone
from ..errors import TimerError

F = TypeVar("F", bound=Callable[..., Any])

#: The type of an option for click, by its reader for lists.
_TYPES: Mapping[Callable[[Any], Any], Any] = {
    **dict.fromkeys((text, trimmed, word, json_value, read_instants, read_bound), str),
}


def _converting(read: Callable[[Any], Any]) -> Callable[[str], Any]:
    """The type of any other option for click; the error says what is expected."""

    def value(given: str) -> Any:
        try:
            return read(given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return value


def _settings(option: Option) -> dict[str, Any]:
    """The arguments of click.option, besides the names."""
    kind = click.Choice(option.choices) if option.choices else _TYPES.get(option.read) or _converting(option.read)
    is_repeatable = isinstance(option, TriggerOption) and option.is_repeatable
    return {"type": kind, "metavar": option.metavar, "help": option.help, "multiple": is_repeatable}


def _definition() -> list[Option]:
    """The attributes that have an option, and behind the function the triggers that are built in."""
    options: list[Option] = [attribute for attribute in ATTRIBUTES if attribute.flag]
    behind = [option.name for option in options].index("function") + 1
    triggers = [option for option in trigger_options(list(TRIGGERS.values())) if option.flag]
    return [*options[:behind], *triggers, *options[behind:]]


class DefinitionCommand(click.Command):
    """A command with `definition_options`, including the options of other packages' triggers."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        built_in = trigger_options(list(TRIGGERS.values()))
        further = [option for option in trigger_options(trigger_kinds()) if option not in built_in and option.flag]
        return [
            *super().get_params(ctx),
            *(click.Option([*option.flags, option.name], **_settings(option)) for option in further),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not (faults := plugin_faults()):
                raise
            raise click.UsageError("; ".join([error.format_message(), *faults]), ctx) from error


def definition_options(command: F) -> F:
    """The options that define a timer, by name of the attribute; None, or an empty tuple, if not given."""
    for option in reversed(_definition()):
        command = click.option(*option.flags, option.name, **_settings(option))(command)
    return command


def allow_past_option(command: F) -> F:
    """--allow-past, for --at."""
    return click.option("--allow-past", is_flag=True, help="Accept times of --at that are past.")(command)


def attributes(given: Mapping[str, Any], tz: str, *, now: datetime, limit_s: float | None = None) -> dict[str, Any]:
    """The attributes from the options, without the parameters; `limit_s` is the default limit.

    Times such as `in 2 days` are relative to `now`, in the time zone of the timer.
    """
    names = [attribute.name for attribute in ATTRIBUTES if attribute.flag and attribute.name != "params"]
    defaults = {} if limit_s is None else {"limit_s": limit_s}
    values = defaults | {name: given[name] for name in names if given[name] is not None}
    return values | {name: _bound(values[name], zone(tz), now) for name in _BOUNDS if name in values}


_BOUNDS = tuple(attribute.name for attribute in ATTRIBUTES if attribute.read is read_bound)


def _bound(text: str, tz: tzinfo, now: datetime) -> datetime | str:
    """A bound of the window: an instant in ISO 8601, or as people write it, the next one."""
    try:
        return read_bound(text)
    except ValueError:
        return read_human(text, now=now, tz=tz)


def new_trigger(given: Mapping[str, Any], default_tz: str, *, now: datetime, allow_past: bool = False) -> Trigger:
    """The trigger of a new timer; times are relative to `now`."""
    return _Given(given, now, allow_past=allow_past).trigger({"tz": default_tz})


def changed_trigger(
    given: Mapping[str, Any], kept: Trigger, default_tz: str, *, now: datetime, allow_past: bool = False
) -> Trigger | None:
    """The new trigger of an existing timer; None if the options do not change it."""
    kinds = trigger_kinds()
    shared = {option.name for option in kept.options[1:]}
    if any(_is_given(given, option) for option in choices(kinds) if option.name not in shared):
        values = {name: value for name, value in kept.option_values().items() if name in shared and value is not None}
        return _Given(given, now, allow_past=allow_past).trigger({"tz": kept.tz or default_tz, **values})
    changes = {option.name: given[option.name] for option in trigger_options(kinds) if _is_given(given, option)}
    if not changes:
        return None
    if isinstance(kept, UnreadableTrigger):
        raise TimerError(kept.reason, field="trigger")
    refuse_others([type(kept)], changes)
    return type(kept).from_options(kept.option_values() | changes)


def _is_given(given: Mapping[str, Any], option: Option) -> bool:
    return given.get(option.name) not in (None, ())


#: The options of an interval by the calendar.
_OF_CALENDAR = ("at", "on", "start")


class _Given:
    """The options of a command that define one trigger, or several that are united."""

    def __init__(self, given: Mapping[str, Any], now: datetime, *, allow_past: bool) -> None:
        self._kinds = trigger_kinds()
        self._now, self._allow_past = now, allow_past
        choosing = choices(self._kinds)
        self._repeated = {option.name: list(given[option.name] or ()) for option in choosing if option.is_repeatable}
        # An empty text, as from a script, means the default.
        self._single = {
            option.name: value
            for option in trigger_options(self._kinds)
            if option.name not in self._repeated and (value := given.get(option.name)) not in (None, "")
        }
        self._given = {**self._single, **{name: values for name, values in self._repeated.items() if values}}

    def trigger(self, defaults: Mapping[str, Any]) -> Trigger:
        """The trigger; `defaults` are the values of options that are not given."""
        alternatives = list(self._alternatives(defaults))
        if not alternatives:
            offered = [option for option in choices(self._kinds) if option.flag]
            raise TimerError(
                f"a timer has {listed([option.noun for option in offered], 'or')}: give one of "
                + listed([f"{option.flag} {shlex.quote(option.example)}" for option in offered], "and")
            )
        kinds = [self._kind(values, defaults) for values in alternatives]
        refuse_others(kinds, self._given)
        triggers = [
            kind.from_options({**_of_kind(kind, defaults), **_of_kind(kind, self._in_full(kind, values, defaults))})
            for kind, values in zip(kinds, alternatives, strict=True)
        ]
        return triggers[0] if len(triggers) == 1 else AnyOf(*triggers)

    def _alternatives(self, defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The option values of each trigger."""
        of_calendar: dict[str, Any] = {name: self._given.get(name) or defaults.get(name) for name in _OF_CALENDAR}
        times = self._repeated.get("at", [])
        for name, values in self._repeated.items():
            for value in values if name != "at" else ():
                yield {**self._shared(name), name: value}
        if times and not any(is_calendrical({**of_calendar, "every": value}) for value in self._repeated["every"]):
            if self._repeated["every"]:
                raise TimerError("--at goes with an interval of days, weeks, months or years, as in --every '2 weeks'")
            yield {**self._shared("at"), "at": times}
        for option in choices(self._kinds):
            if not option.is_repeatable and option.name in self._single:
                yield {**self._shared(option.name), option.name: self._single[option.name]}

    def _shared(self, chosen: str) -> dict[str, Any]:
        """The options besides the one that selects the kind."""
        choosing = {option.name for option in choices(self._kinds)}
        beside = {name: value for name, value in self._single.items() if name not in choosing}
        return beside | ({"at": self._repeated["at"]} if chosen == "every" and self._repeated["at"] else {})

    def _kind(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> type[Trigger]:
        if "every" in values:
            return Calendrical if is_calendrical({**defaults, **values}) else Every
        kind = chosen_kind(values, self._kinds)
        assert kind is not None
        return kind

    def _in_full(self, kind: type[Trigger], values: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The same with times relative to now resolved, and with the beginning of an interval by the calendar."""
        tz = zone(values.get("tz") or defaults["tz"])
        if kind is At:
            instants = [read_human(text, now=self._now, tz=tz) for text in values["at"]]
            if not self._allow_past and (past := [at for at in instants if at <= self._now]):
                raise TimerError(
                    f"{past[0].astimezone(tz).isoformat(sep=' ')} is past; --allow-past keeps such times of a list",
                    field="at",
                )
            return {**values, "at": instants}
        return from_now({**defaults, **values}, self._now.astimezone(tz)) if kind is Calendrical else values


def _of_kind(kind: type[Trigger], values: Mapping[str, Any]) -> dict[str, Any]:
    return {option.name: values[option.name] for option in kind.options if option.name in values}


def refuse_others(chosen: Sequence[type[Trigger]], given: Mapping[str, Any]) -> None:
    """TimerError for an option that these kinds of triggers lack, as an interval has no time zone."""
    kinds = trigger_kinds()
    known = {option.name for kind in chosen for option in kind.options}
    for option in trigger_options(kinds):
        if not _is_given(given, option) or option.name in known:
            continue
        owners = [other for other in kinds if option.name in {own.name for own in other.options}]
        flags = [str(own.flag) for own in trigger_options(owners) if own.noun == option.noun and own.flag]
        taken = {kind.options[0].name for kind in chosen}
        first = [
            _shown(kind.options[0], in_full=kind.options[0].name in taken) for kind in owners if kind.options[0].flag
        ]
        theirs = [flag for flag in flags if flag not in first]
        raise TimerError(
            f"{chosen[0].options[0].noun} has no {option.noun}: {listed(theirs, 'and')} "
            f"{'goes' if len(theirs) == 1 else 'go'} with {listed(first, 'or')}"
        )


def _shown(option: TriggerOption, *, in_full: bool) -> str:
    return f"{option.flag} {shlex.quote(option.example)}" if in_full else str(option.flag)
