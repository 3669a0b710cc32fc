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
from ..zones.lookup import same_name_or_zone, zone_name

_COMPARISONS: set[Any] = {
    *(operators.eq, operators.ne, operators.lt, operators.le, operators.gt, operators.ge),
    *(operators.in_op, operators.not_in_op, operators.between_op, operators.not_between_op),
    *(operators.is_distinct_from, operators.is_not_distinct_from),
}


class _Comparator(TypeDecorator.Comparator[Any], String.Comparator[Any]):
    """Operators on the column; the result of a concatenation is a text."""

    def operate(self, op: OperatorType, *other: Any, **options: Any) -> ColumnElement[Any]:
        if op in (operators.add, operators.concat_op):
            return type_coerce(self.expr, String()).operate(op, *other, **options)
        return super().operate(op, *other, **options)


class CronType(TypeDecorator[CronExpression]):
    """Stores an expression as its text; zone and policy are the column's.

    Texts are accepted and validated too. Raises CronError for an invalid text, and for an expression of another zone or
    policy, which the column could not return. The database compares texts: `0 0 8 ? * 2` differs from `0 0 8 ? * MON`,
    also when the ORM looks for changes. LIKE and similar operators take any text.

    >>> CronType(tz="Asia/Shanghai").process_result_value("0 0 8 ? * MON", None)
    CronExpression('0 0 8 ? * MON', tz='Asia/Shanghai')
    """

    impl = String
    cache_ok = True
    comparator_factory = _Comparator

    # No argument is keyword-only, since SQLAlchemy leaves keyword-only arguments out of its cache key.
    def __init__(self, length: int = 255, tz: str | tzinfo | None = None, dst: str = VIXIE) -> None:
        super().__init__(length)
        self.length, self.dst = length, dst
        self.tz = zone_name(tz) or tz if isinstance(tz, tzinfo) else tz  # a name hashes, dateutil's zones do not
        self._read("* * * * * ?")  # raises for an invalid zone or policy

    def process_bind_param(self, value: CronExpression | str | None, dialect: Dialect | None) -> str | None:  # noqa: ARG002
        """The text of an expression."""
        if value is None:
            return None
        expression = value if isinstance(value, CronExpression) else self._read(value)
        if expression.calendar is not None:
            raise CronError("an expression that leaves out the days of a calendar cannot be stored as a text")
        expected = self._read(expression.text)
        if expression.dst != expected.dst or not same_name_or_zone(expression.tz, expected.tz):
            raise CronError(f"{expression!r} has a different zone or policy from its column")
        return expression.text

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> CronExpression | None:  # noqa: ARG002
        """The expression of a text."""
        return None if value is None else self._read(value)

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        """The type of an operand: a text for LIKE and similar operators, an expression for comparisons."""
        return String() if isinstance(value, str) and op not in _COMPARISONS else self

    def compare_values(self, x: Any, y: Any) -> bool:
        """Whether the database would store the same text."""
        return bool(getattr(x, "text", x) == getattr(y, "text", y))

    @property
    def python_type(self) -> type[Any]:
        """CronExpression."""
        return CronExpression

    def _read(self, text: str) -> CronExpression:
        return CronExpression(text, tz=self.tz, dst=self.dst)
