"""A column type for SQLAlchemy 2: `schedule: Mapped[CronExpression] = mapped_column(CronType(tz="Asia/Shanghai"))`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Dialect, String, type_coerce
from sqlalchemy.sql import operators
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from ..errors import CronError
from ..expression import CronExpression
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_key, zone_name

_COMPARISONS: set[Any] = {
    *(operators.eq, operators.ne, operators.lt, operators.le, operators.gt, operators.ge),
    *(operators.in_op, operators.not_in_op, operators.between_op, operators.not_between_op),
    *(operators.is_distinct_from, operators.is_not_distinct_from),
}


class _Comparator(TypeDecorator.Comparator[Any], String.Comparator[Any]):
    """What is added to a text is a text, and no expression any more."""

    def operate(self, op: OperatorType, *other: Any, **options: Any) -> ColumnElement[Any]:
        if op in (operators.add, operators.concat_op):
            return type_coerce(self.expr, String()).operate(op, *other, **options)
        return super().operate(op, *other, **options)


class CronType(TypeDecorator[CronExpression]):
    """Holds an expression as its text; zone and policy are the column's.

    Texts are accepted and validated too. Raises CronError for a text that is no expression, and for an expression of
    another zone or policy, which the column could not give back. The database compares texts: `0 0 8 ? * 2` is another
    one than `0 0 8 ? * MON`, also where the ORM asks what has changed. LIKE and its kin take any text.

    >>> CronType(tz="Asia/Shanghai").process_result_value("0 0 8 ? * MON", None)
    CronExpression('0 0 8 ? * MON', tz='Asia/Shanghai')
    """

    impl = String
    cache_ok = True
    comparator_factory = _Comparator

    # None of these is keyword-only, since SQLAlchemy makes none of those a part of its cache key.
    def __init__(self, length: int = 255, tz: str | tzinfo | None = None, dst: str = VIXIE) -> None:
        super().__init__(length)
        self.length, self.dst = length, dst
        self.tz = zone_name(tz) or tz if isinstance(tz, tzinfo) else tz  # which hashes, as dateutil's zones do not
        self._read("* * * * * ?")  # a wrong zone or policy is told here

    def process_bind_param(self, value: CronExpression | str | None, dialect: Dialect | None) -> str | None:  # noqa: ARG002
        """The text of an expression."""
        if value is None:
            return None
        found = value if isinstance(value, CronExpression) else self._read(value)
        if found.calendar is not None:
            raise CronError("an expression that leaves out the days of a calendar is not held by its text")
        expected = self._read(found.text)
        if (zone_key(found.tz), found.dst) != (zone_key(expected.tz), expected.dst):
            raise CronError(f"{found!r} has another zone or policy than its column")
        return found.text

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> CronExpression | None:  # noqa: ARG002
        """The expression of a text."""
        return None if value is None else self._read(value)

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        """Patterns and pieces of a text are plain texts; what it is equal to is an expression."""
        return String() if isinstance(value, str) and op not in _COMPARISONS else self

    def compare_values(self, x: Any, y: Any) -> bool:
        """Whether the database would hold the same text."""
        return bool(getattr(x, "text", x) == getattr(y, "text", y))

    @property
    def python_type(self) -> type[Any]:
        """CronExpression."""
        return CronExpression

    def _read(self, text: str) -> CronExpression:
        return CronExpression(text, tz=self.tz, dst=self.dst)
