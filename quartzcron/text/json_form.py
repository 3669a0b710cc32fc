"""The JSON form of an expression: its text, or, if it has a zone or a policy, an object of expression, tz and dst."""

from __future__ import annotations

from ..errors import CronError
from ..expression import CronExpression
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_name

PARTS = ("expression", "tz", "dst")


def from_json(value: object, *, cls: type[CronExpression] = CronExpression) -> CronExpression:
    """The expression of a decoded JSON value; raises CronError for a value of another form.

    >>> from_json({"expression": "0 0 8 ? * MON", "tz": "Asia/Shanghai"})
    CronExpression('0 0 8 ? * MON', tz='Asia/Shanghai')
    """
    if isinstance(value, str):
        return cls(value)
    if isinstance(value, dict) and isinstance(value.get("expression"), str) and set(value) <= set(PARTS):
        try:
            return cls(value["expression"], tz=value.get("tz"), dst=value.get("dst", VIXIE))
        except TypeError as error:
            raise CronError(str(error)) from None
    raise CronError("a cron expression is a text, or an object of expression, tz and dst")


def to_json(expression: CronExpression) -> str | dict[str, str]:
    """What JSON holds of an expression; raises CronError where that is not all, as with a calendar.

    >>> to_json(CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai"))
    {'expression': '0 0 8 ? * MON', 'tz': 'Asia/Shanghai', 'dst': 'vixie'}
    """
    if hasattr(expression, "calendar"):
        raise CronError("an expression that leaves out the days of a calendar has no JSON form")
    if expression.tz is None:
        return expression.text if expression.dst == VIXIE else {"expression": expression.text, "dst": expression.dst}
    name = zone_name(expression.tz)
    if name is None:
        raise CronError(f"the zone {expression.tz!r} has no name to write down")
    return {"expression": expression.text, "tz": name, "dst": expression.dst}
