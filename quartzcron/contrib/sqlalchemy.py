"""A column type for SQLAlchemy 2: `schedule: Mapped[CronExpression] = mapped_column(CronType(tz="Asia/Shanghai"))`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Dialect, String, type_coerce
from sqlalchemy.sql import operators
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from ..expression import CronExpression
from ..schedules import Schedule
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_name
from .stored_text import read, stored_text

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


class CronType(TypeDecorator[CronExpression | Schedule]):
    """Stores an expression as its text; zone and policy are the column's.

    A schedule of several expressions is stored as `0 0 8 ? * SAT#1 || 0 0 8 ? * SAT#3`. Texts are accepted and
    validated too. Raises CronError for an invalid text, and for an expression of another zone or policy, which the
    column could not return. The database compares texts: `0 0 8 ? * 2` differs from `0 0 8 ? * MON`,
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

    def process_bind_param(self, value: CronExpression | Schedule | str | None, dialect: Dialect | None) -> str | None:  # noqa: ARG002
        """The text of an expression."""
        if value is None:
            return None
        if not isinstance(value, (CronExpression, Schedule)):
            value = self._read(value)
        return stored_text(value, tz=self.tz, dst=self.dst, where="column")

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> CronExpression | Schedule | None:  # noqa: ARG002
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

    def __repr__(self) -> str:
        """As a migration writes it."""
        tz = "" if self.tz is None else f", tz={self.tz!r}"
        dst = "" if self.dst == VIXIE else f", dst={self.dst!r}"
        return f"CronType(length={self.length}{tz}{dst})"

    def _read(self, text: str) -> CronExpression | Schedule:
        return read(text, tz=self.tz, dst=self.dst)
