"""CronExpression as a field of a pydantic model (2.x): validated, in the JSON schema, there and back through JSON.

Nothing has to be imported from here: `schedule: CronExpression` is enough. The JSON form is the text, or, where the
expression has a zone or a policy of its own, an object of `expression`, `tz` and `dst`.
"""

from __future__ import annotations

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from ..expression import CronExpression
from ..text.json_form import from_json, to_json
from ..zones.dst_policies import QUARTZ, VIXIE

_TEXT = {"type": "string", "format": "quartz-cron", "examples": ["0 0 8 ? * MON-FRI"]}


def schema_of(cls: type[CronExpression]) -> core_schema.CoreSchema:
    """How pydantic validates and serializes an expression of this class."""

    def validated(value: object) -> CronExpression:
        return value if isinstance(value, cls) else from_json(value, cls=cls)

    serialization = core_schema.plain_serializer_function_ser_schema(to_json, when_used="json")
    return core_schema.no_info_plain_validator_function(validated, serialization=serialization)


def json_schema_of(schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:  # noqa: ARG001
    """What a JSON schema says of a field: the text, or the object with a zone."""
    tz = {"type": "string", "description": "a time zone, such as Asia/Shanghai"}
    properties = {"expression": _TEXT, "tz": tz, "dst": {"enum": [VIXIE, QUARTZ], "default": VIXIE}}
    long = {"type": "object", "properties": properties, "required": ["expression"], "additionalProperties": False}
    return {"title": "Quartz cron expression", "anyOf": [_TEXT, long]}
