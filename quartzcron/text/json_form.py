"""The JSON form of an expression: its text, or, if it has a zone or a policy, an object of expression, tz and dst."""

from __future__ import annotations

from ..errors import CronError
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..search.compiled import CompiledExpression

PARTS = ("expression", "tz", "dst")


def read(value: object) -> tuple[str, Any, Any]:
    """Text, zone and policy of a decoded JSON value; raises CronError for a value of another form.

    >>> read({"expression": "0 0 8 ? * MON", "tz": "Asia/Shanghai"})
    ('0 0 8 ? * MON', 'Asia/Shanghai', 'vixie')
    """
    if isinstance(value, str):
        return value, None, VIXIE
    if isinstance(value, dict) and isinstance(value.get("expression"), str) and set(value) <= set(PARTS):
        return value["expression"], value.get("tz"), value.get("dst", VIXIE)
    raise CronError("a cron expression must be a text, or an object of expression, tz and dst")


def write(expression: CompiledExpression) -> str | dict[str, str]:
    """The JSON form of an expression; raises CronError if it excludes days or its zone has no name.

    >>> from quartzcron import CronExpression
    >>> write(CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai"))
    {'expression': '0 0 8 ? * MON', 'tz': 'Asia/Shanghai', 'dst': 'vixie'}
    """
    if expression._days.excluded is not None:
        raise CronError("an expression that leaves out the days of a calendar has no JSON form")
    if expression.tz is None:
        return expression.text if expression.dst == VIXIE else {"expression": expression.text, "dst": expression.dst}
    name = zone_name(expression.tz)
    if name is None:
        raise CronError(f"the zone {expression.tz!r} has no name to write down")
    return {"expression": expression.text, "tz": name, "dst": expression.dst}
