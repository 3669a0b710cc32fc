"""CronExpression as a field of a pydantic model (2.x): validation, serialization, and the JSON schema.

Programs import nothing from here: pydantic finds the two functions through the class, so `schedule: CronExpression` in
a model is enough. The JSON form is that of json_form.py.
"""

from __future__ import annotations

from typing import Protocol, Self

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from ..errors import CronError, CronSyntaxError
from ..wall.rolls import CONVENTIONS
from ..zones.dst_policies import QUARTZ, VIXIE

_ROLL = {
    "type": "object",
    "properties": {"working_days": {"type": "object"}, "roll": {"enum": list(CONVENTIONS), "default": CONVENTIONS[0]}},
    "required": ["working_days"],
    "additionalProperties": False,
}
_ON = {"type": "array", "items": _ROLL, "description": "calendars of working days, and what becomes of days off"}
_TEXT = {"type": "string", "format": "quartz-cron", "examples": ["0 0 8 ? * MON-FRI"]}


class FromJson(Protocol):
    """A class with a JSON form, such as CronExpression, which is above this room and not imported here."""

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The object of a decoded JSON value."""

    def to_json(self) -> object:
        """The JSON value of the object."""


def schema_of(cls: type[FromJson]) -> core_schema.CoreSchema:
    """How pydantic validates and serializes an expression of this class."""

    def validated(value: object) -> FromJson:
        if isinstance(value, cls):
            return value
        try:
            return cls.from_json(value)
        except CronError as error:
            raise _refusal(error) from None

    def serialized(value: object) -> object:
        """The JSON form; a default is the text that the model was given, since pydantic does not validate it."""
        return value.to_json() if isinstance(value, cls) else value

    # In a union of types, pydantic puts this name into the place of an error: function-plain[CronExpression()].
    validated.__name__ = validated.__qualname__ = cls.__name__
    serialization = core_schema.plain_serializer_function_ser_schema(serialized, when_used="json")
    return core_schema.no_info_plain_validator_function(validated, serialization=serialization)


def _refusal(error: CronError) -> PydanticCustomError:
    """The error as pydantic's own value_error, but with plain values: web frameworks write its context as JSON.

    `error` is last in the context, since pydantic puts one value after another into the template.
    """
    context: dict[str, object] = {}
    if isinstance(error, CronSyntaxError):
        context = {"field": error.field, "column": error.column, "fix": error.fix}
    return PydanticCustomError("value_error", "Value error, {error}", {**context, "error": str(error)})


def json_schema_of(schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:  # noqa: ARG001
    """The JSON schema of a field: the text, or the object with zone, policy and calendars."""
    tz = {"type": "string", "description": "a time zone, such as Asia/Shanghai"}
    properties = {"expression": _TEXT, "tz": tz, "dst": {"enum": [VIXIE, QUARTZ], "default": VIXIE}, "on": _ON}
    long = {"type": "object", "properties": properties, "required": ["expression"], "additionalProperties": False}
    return {"title": "Quartz cron expression", "anyOf": [_TEXT, long]}
