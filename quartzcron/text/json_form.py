"""The JSON form of an expression: its text, or, if it has a zone, a policy or calendars of working days, an object.

The object has `expression`, `tz` and `dst`, and, for calendars, `on`: a list of objects with `working_days` and `roll`.
"""

from __future__ import annotations

from ..errors import CronError
from ..lazy import Lazy
from ..wall.rolls import Roll
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..search import working_days
    from ..search.compiled import CompiledExpression
    from ..search.working_days import WorkingDays
else:
    working_days = Lazy("search.working_days")

PARTS = ("expression", "tz", "dst", "on")
_ROLL_PARTS = {"working_days", "roll"}


def read(value: object) -> tuple[str, Any, Any, list[tuple[WorkingDays, str]]]:
    """Text, zone, policy and calendars of a decoded JSON value; raises CronError for a value of another form.

    >>> read({"expression": "0 0 8 ? * MON", "tz": "Asia/Shanghai"})
    ('0 0 8 ? * MON', 'Asia/Shanghai', 'vixie', [])
    """
    if isinstance(value, str):
        return value, None, VIXIE, []
    if isinstance(value, dict) and isinstance(value.get("expression"), str) and set(value) <= set(PARTS):
        return value["expression"], value.get("tz"), value.get("dst", VIXIE), _rolls(value.get("on", []))
    raise CronError("a cron expression must be a text, or an object of expression, tz, dst and on")


def _rolls(value: object) -> list[tuple[WorkingDays, str]]:
    wrong = "on must be a list of objects of working_days and roll"
    if not isinstance(value, list):
        raise CronError(wrong)
    found = []
    for one in value:
        if not isinstance(one, dict) or "working_days" not in one or not set(one) <= _ROLL_PARTS:
            raise CronError(wrong)
        roll = one.get("roll", "skip")
        if not isinstance(roll, str):
            raise CronError(wrong)
        found.append((working_days.WorkingDays.from_json(one["working_days"]), roll))
    return found


def write(expression: CompiledExpression) -> str | dict[str, Any]:
    """The JSON form of an expression; raises CronError if it excludes days or its zone has no name.

    >>> from quartzcron import CronExpression
    >>> write(CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai"))
    {'expression': '0 0 8 ? * MON', 'tz': 'Asia/Shanghai', 'dst': 'vixie'}
    """
    value: dict[str, Any] = {"expression": expression.text}
    if expression.tz is not None:
        name = zone_name(expression.tz)
        if name is None:
            raise CronError(f"the zone {expression.tz!r} has no name to write down")
        value["tz"] = name
    if expression.tz is not None or expression.dst != VIXIE:
        value["dst"] = expression.dst
    rolls = []
    for layer in expression._days.layers:
        if not isinstance(layer, Roll):
            raise CronError("an expression that leaves out the days of a calendar has no JSON form")
        calendar: Any = layer.working_days
        rolls.append({"working_days": calendar.to_json(), "roll": layer.convention})
    if rolls:
        value["on"] = rolls
    return value if len(value) > 1 else expression.text
