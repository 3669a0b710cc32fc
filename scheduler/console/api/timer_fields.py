"""The models of a timer's definition, made from the tables of attributes and triggers; and the conversion of
a body to a timer.

The models check JSON types and names of fields only. Timer and the triggers check the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, create_model

from ...core.attributes import ATTRIBUTES, Attribute
from ...core.environments import Environment
from ...core.from_now import resolved
from ...core.options import json_value, number, text, trimmed, truth, whole, word
from ...core.timer import Timer
from ...core.timer_checks import check_new_names
from ...core.timestamps import EPOCH
from ...core.trigger_kinds import TRIGGERS, UnreadableTrigger, choices, chosen_kind, listed, trigger_kinds
from ...core.triggers import Trigger, TriggerOption
from ...core.zone_names import zone
from ...errors import TimerError
from ..current import console
from ..typed_times import with_bounds
from .problems import ProblemError

#: The attributes that the address of a timer names.
IN_ADDRESS = ("name", "environment")
_NUMBER = StrictInt | StrictFloat
_BY_READER: Mapping[Callable[[Any], Any], Any] = {
    text: StrictStr,
    trimmed: StrictStr,
    word: StrictStr,
    whole: StrictInt,
    number: _NUMBER,
    truth: StrictBool,
    json_value: dict[str, Any],
}
_TEXT_OR_NUMBER = StrictStr | StrictInt
_TEXTS = StrictStr | list[StrictStr]
#: The types of options whose reader takes several, by name of the option.
_OF_OPTIONS: Mapping[str, Any] = {"every": _TEXT_OR_NUMBER, "at": _TEXTS, "any_of": list[dict[str, Any]]}


def json_type(attribute: Attribute) -> Any:
    """The JSON type of an attribute, by its default."""
    field = Timer.__dataclass_fields__[attribute.name]
    given = field.default_factory() if callable(field.default_factory) else field.default
    if attribute.name in ("name", "function"):
        return StrictStr
    value = attribute.to_json(given)
    found: Any = StrictStr
    for of, type_ in ((bool, StrictBool), (int, StrictInt), (float, _NUMBER), (list, list[StrictStr])):
        if isinstance(value, of):
            found = type_
            break
    if isinstance(value, dict):
        found = dict[str, Any]
    if value is None and attribute.sql in (int, float, bool):
        found = {int: StrictInt, float: _NUMBER, bool: StrictBool}[attribute.sql]
    return found | None if attribute.is_optional else found


def _schema(option: Any) -> dict[str, Any]:
    return {"enum": list(option.choices)} if option.choices else {}


def _attribute_fields(names: Callable[[str], bool]) -> dict[str, Any]:
    """The fields of the attributes with these names; None stands for one that is not given."""
    fields: dict[str, Any] = {}
    for attribute in ATTRIBUTES:
        if names(attribute.name):
            extra = _schema(attribute)
            about = Field(None, description=attribute.help or None, json_schema_extra=cast(Any, extra or None))
            fields[attribute.name] = (json_type(attribute), about)
    return fields


def options_by_field() -> dict[str, TriggerOption]:
    """The options of all kinds of triggers, by their names in a body and in the JSON of a timer."""
    found: dict[str, TriggerOption] = {}
    for kind in trigger_kinds():
        for option in kind.options:
            for name in (option.name, option.key):
                if name:
                    found.setdefault(name, option)
    return found


def _trigger_fields() -> dict[str, Any]:
    fields = {}
    for name, option in options_by_field().items():
        found = _OF_OPTIONS.get(option.name) or _BY_READER.get(option.read, Any)
        extra = {"enum": [*option.choices, None]} if option.choices else None
        about = Field(None, description=option.help or None, json_schema_extra=cast(Any, extra))
        fields[name] = (found | None if found is not Any else Any, about)
    return fields


_STRICT = ConfigDict(extra="forbid")
_WHY = (StrictStr, Field("", description="The reason, for the record of changes.", max_length=500))

if TYPE_CHECKING:

    class TriggerFields(BaseModel):
        """For type checkers: the fields are those of the tables."""

    class TimerBody(TriggerFields):
        """The same."""

        why: str

    class TimerChanges(TriggerFields):
        """The same."""

        why: str

else:
    TriggerFields = create_model("TriggerFields", __config__=_STRICT, **_trigger_fields())
    TimerBody = create_model(
        "TimerBody",
        __doc__="A timer: one of cron, every, at, rrule and any_of, a function, and what differs from the defaults.",
        __config__=_STRICT,
        **{
            **_trigger_fields(),
            **_attribute_fields(lambda _: True),
            "function": (StrictStr, Field(description="Function to call.")),
            "why": _WHY,
        },
    )
    TimerChanges = create_model(
        "TimerChanges",
        __doc__="The attributes to change; a new name renames the timer.",
        __config__=_STRICT,
        **{**_trigger_fields(), **_attribute_fields(lambda name: name != "environment"), "why": _WHY},
    )


def attributes_of(body: BaseModel) -> dict[str, Any]:
    """The attributes that a body gives, by name."""
    names = {attribute.name for attribute in ATTRIBUTES}
    return {name: getattr(body, name) for name in body.model_fields_set if name in names}


def options_of(body: BaseModel) -> dict[str, Any]:
    """The option values of a trigger that a body gives, by name of the option; TimerError for an unreadable one."""
    options = options_by_field()
    found: dict[str, Any] = {}
    for name in sorted(body.model_fields_set & options.keys()):
        given = getattr(body, name)
        if given is None:
            continue
        option = options[name]
        if option.name in found:
            raise TimerError(f"{name} and {option.name} are the same; give one of them", field=name)
        try:
            found[option.name] = option.read(given)
        except ValueError as error:
            raise TimerError(str(error), field=name) from None
    return found


def trigger_of(given: Mapping[str, Any]) -> Trigger:
    """The trigger with these option values; one that names no time zone has that of the settings."""
    kinds = trigger_kinds()
    kind = chosen_kind(given, kinds)
    if kind is None:
        chosen = [option.name for option in choices(kinds) if option.name in given]
        if len(chosen) > 1:
            raise TimerError(f"give one of {listed(chosen, 'and')}; any_of unites several", field=chosen[1])
        nouns = listed([option.noun for option in choices(kinds)], "or")
        raise TimerError(
            f"a timer has {nouns}: give one of {listed([option.name for option in choices(kinds)], 'and')}",
            field=choices(kinds)[0].name,
        )
    _refuse_others(kind, given)
    values = dict(given)
    if any(option.name == "tz" for option in kind.options):
        values.setdefault("tz", console().settings.tz)
    tz = zone(values.get("tz") or console().settings.tz)
    try:
        return kind.from_options(resolved(kind, values, now=console().now(), tz=tz))
    except TimerError:
        raise
    except Exception as error:
        if kind in TRIGGERS.values():
            raise
        # A class of another package may raise anything.
        raise TimerError(str(error), field=kind.options[0].name) from error


def changed_trigger(given: Mapping[str, Any], kept: Trigger) -> Trigger:
    """The trigger of a timer after some of its options have changed; another kind keeps time zone and policy."""
    shared = {option.name for option in kept.options[1:]}
    if any(option.name in given and option.name not in shared for option in choices(trigger_kinds())):
        kind = chosen_kind(given, trigger_kinds())
        theirs = {option.name for option in kind.options} if kind else set()
        values = {name: value for name, value in kept.option_values().items() if name in shared & theirs}
        return trigger_of({**{name: value for name, value in values.items() if value is not None}, **given})
    if isinstance(kept, UnreadableTrigger):
        raise TimerError(kept.reason, field="trigger")
    _refuse_others(type(kept), given)
    return type(kept).from_options(kept.option_values() | dict(given))


def _refuse_others(kind: type[Trigger], given: Mapping[str, Any]) -> None:
    known = {option.name for option in kind.options}
    options = {option.name: option for option in options_by_field().values()}
    for name in given:
        if name not in known:
            raise TimerError(
                f"{kind.options[0].noun} has no {options[name].noun or name}: leave {name} out", field=name
            )


def timer_of(body: BaseModel, environment: Environment, name: str) -> Timer:
    """The timer of a body, under the name of its address."""
    given = attributes_of(body)
    for attribute, here in zip(IN_ADDRESS, (name, environment.value), strict=True):
        if attribute in given and given.pop(attribute) != here:
            raise ProblemError(
                "invalid", f"{attribute} differs from the address; PATCH with a new name renames", field=attribute
            )
    given.setdefault("limit_s", console().settings.limit_s)
    trigger = trigger_of(options_of(body))
    given = with_bounds(given, now=console().now(), tz=zone_of(trigger))
    timer = Timer(name=name, environment=environment, trigger=trigger, **given)
    check_new_names(timer.name, timer.function)
    return timer


def zone_of(trigger: Trigger) -> tzinfo:
    """The zone of a trigger, or else that of the settings."""
    return zone(trigger.tz or console().settings.tz)


def differences(kept: Timer, new: Timer) -> dict[str, Any]:
    """The attributes in which a timer differs from the stored one; an interval keeps its anchor."""
    found = {row.name: getattr(new, row.name) for row in ATTRIBUTES if _kept_as(row, new) != _kept_as(row, kept)}
    if new.trigger.anchored(EPOCH) != kept.trigger.anchored(EPOCH):
        found["trigger"] = new.trigger
    return found


def _kept_as(attribute: Attribute, timer: Timer) -> Any:
    return attribute.from_store(attribute.to_store(getattr(timer, attribute.name)))


def with_state(timer: Timer, *, enabled: bool) -> Timer:
    """The same timer, enabled or not."""
    return timer if timer.enabled is enabled else replace(timer, enabled=enabled)
