"""The options that define a timer, shared by `timers add` and `timers edit`; they follow from the tables in core."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..core.attributes import ATTRIBUTES
from ..core.options import Option, json_value, text, trimmed, word
from ..core.trigger_kinds import (
    TRIGGERS,
    UnreadableTrigger,
    chosen_kind,
    listed,
    plugin_faults,
    trigger_kinds,
    trigger_options,
)
from ..core.triggers import Trigger
from ..errors import TimerError

F = TypeVar("F", bound=Callable[..., Any])

#: How click reads an option, by how the same is read from a list.
_TYPES: Mapping[Callable[[Any], Any], Any] = {
    **dict.fromkeys((text, trimmed, word, json_value), str),
}


def _converting(read: Callable[[Any], Any]) -> Callable[[str], Any]:
    """How click reads any other option: its own message says what is expected."""

    def value(given: str) -> Any:
        try:
            return read(given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return value


def _settings(option: Option) -> dict[str, Any]:
    """The arguments of click.option, besides the names."""
    kind = click.Choice(option.choices) if option.choices else _TYPES.get(option.read) or _converting(option.read)
    return {"type": kind, "metavar": option.metavar, "help": option.help}


def _definition() -> list[Option]:
    """The attributes that have an option, and behind the function the triggers that are built in."""
    options: list[Option] = [attribute for attribute in ATTRIBUTES if attribute.flag]
    behind = [option.name for option in options].index("function") + 1
    return [*options[:behind], *trigger_options(list(TRIGGERS.values())), *options[behind:]]


class DefinitionCommand(click.Command):
    """A command with `definition_options`: it has the options of other packages' triggers, too."""

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
    """The options that define a timer, by name of the attribute; each is None where it was not given."""
    for option in reversed(_definition()):
        command = click.option(*option.flags, option.name, **_settings(option))(command)
    return command


def attributes(given: Mapping[str, Any], *, limit_s: float | None = None) -> dict[str, Any]:
    """The attributes that options give, other than the parameters; `limit_s` is the limit unless one is given."""
    names = [attribute.name for attribute in ATTRIBUTES if attribute.flag and attribute.name != "params"]
    defaults = {} if limit_s is None else {"limit_s": limit_s}
    return defaults | {name: given[name] for name in names if given[name] is not None}


def new_trigger(given: Mapping[str, Any], default_tz: str) -> Trigger:
    """The trigger of a new timer."""
    return _trigger(given, {"tz": default_tz})


def changed_trigger(given: Mapping[str, Any], kept: Trigger, default_tz: str) -> Trigger | None:
    """The trigger of a timer that has one, None where it stays."""
    kinds = trigger_kinds()
    if any(given[kind.options[0].name] is not None for kind in kinds):
        shared = {option.name for option in kept.options[1:]}
        values = {name: value for name, value in kept.option_values().items() if name in shared}
        return _trigger(given, {"tz": default_tz, **values})
    changes = {option.name: given[option.name] for option in trigger_options(kinds) if given[option.name] is not None}
    if not changes:
        return None
    if isinstance(kept, UnreadableTrigger):
        raise TimerError(kept.reason, field="trigger")
    _refuse_others(type(kept), changes)
    return type(kept).from_options(kept.option_values() | changes)


def _trigger(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Trigger:
    kinds = trigger_kinds()
    choices = [kind.options[0] for kind in kinds]
    kind = chosen_kind(given, kinds)
    if kind is None:
        raise TimerError(
            f"a timer has {listed([option.noun for option in choices], 'or')}: give one of "
            + listed([f"{option.flag} {shlex.quote(option.example)}" for option in choices], "and")
        )
    _refuse_others(kind, given)
    # An option given as an empty text, as a script does it, stands for its default.
    values = {option.name: value for option in kind.options if (value := given[option.name]) not in (None, "")}
    return kind.from_options({**defaults, **values})


def _refuse_others(kind: type[Trigger], given: Mapping[str, Any]) -> None:
    """TimerError for an option that the triggers of a kind lack, as an interval lacks a time zone."""
    kinds = trigger_kinds()
    for option in trigger_options(kinds):
        if given.get(option.name) is None or option in kind.options:
            continue
        owners = [other for other in kinds if option in other.options]
        theirs = [str(option.flag) for option in trigger_options(owners)]
        choices = [str(owner.options[0].flag) for owner in owners]
        flags = [flag for flag in theirs if flag not in choices]
        raise TimerError(
            f"{kind.options[0].noun} has no {option.noun}: {listed(flags, 'and')} "
            f"{'goes' if len(flags) == 1 else 'go'} with {listed(choices, 'or')}"
        )
