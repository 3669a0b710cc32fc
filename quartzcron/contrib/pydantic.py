"""CronExpression as a field of a pydantic model (2.x): validated, in the JSON schema, there and back through JSON.

Nothing has to be imported from here: `schedule: CronExpression` is enough. The JSON form is the text, or, where the
expression has a zone or a policy of its own, an object of `expression`, `tz` and `dst`.
"""

from __future__ import annotations

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from ..errors import CronError
from ..expression import CronExpression
from ..policies import QUARTZ, VIXIE
from ..zone_names import zone_name

_TEXT = {"type": "string", "format": "quartz-cron", "examples": ["0 0 8 ? * MON-FRI"]}
_PARTS = ("expression", "tz", "dst")


def schema_of(cls: type[CronExpression]) -> core_schema.CoreSchema:
    """How pydantic validates and serializes an expression of this class."""

    def validated(value: object) -> CronExpression:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, dict) and isinstance(value.get("expression"), str) and set(value) <= set(_PARTS):
            try:
                return cls(value["expression"], tz=value.get("tz"), dst=value.get("dst", VIXIE))
            except TypeError as error:  # which pydantic would let through
                raise ValueError(str(error)) from None
        raise ValueError("a cron expression is a text, or an object of expression, tz and dst")

    serialization = core_schema.plain_serializer_function_ser_schema(json_of, when_used="json")
    return core_schema.no_info_plain_validator_function(validated, serialization=serialization)


def json_of(expression: CronExpression) -> str | dict[str, str]:
    """The JSON form of an expression; raises CronError where it has none, as with a calendar.

    >>> json_of(CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai"))
    {'expression': '0 0 8 ? * MON', 'tz': 'Asia/Shanghai', 'dst': 'vixie'}
    """
    if hasattr(expression, "calendar"):
        raise CronError("an expression that leaves out the days of a calendar has no JSON form")
    if expression.tz is None and expression.dst == VIXIE:
        return expression.text
    found = {"expression": expression.text, "dst": expression.dst}
    if expression.tz is not None:
        name = zone_name(expression.tz)
        if name is None:
            raise CronError(f"the zone {expression.tz!r} has no name to write down")
        found = {"expression": expression.text, "tz": name, "dst": expression.dst}
    return found


def json_schema_of(schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:  # noqa: ARG001
    """What a JSON schema says of a field: the text, or the object with a zone."""
    tz = {"type": "string", "description": "a time zone, such as Asia/Shanghai"}
    properties = {"expression": _TEXT, "tz": tz, "dst": {"enum": [VIXIE, QUARTZ], "default": VIXIE}}
    long = {"type": "object", "properties": properties, "required": ["expression"], "additionalProperties": False}
    return {"title": "Quartz cron expression", "anyOf": [_TEXT, long]}
