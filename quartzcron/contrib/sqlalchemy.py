"""A column type for SQLAlchemy 2: `schedule: Mapped[CronExpression] = mapped_column(CronType(tz="Asia/Shanghai"))`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

from ..errors import CronError
from ..expression import CronExpression
from ..policies import VIXIE
from ..zone_names import zone_key


class CronType(TypeDecorator[CronExpression]):
    """Holds an expression as its text; zone and policy are the column's.

    Texts are accepted and validated too. Raises CronError for a text that is no expression, and for an expression of
    another zone or policy, which the column could not give back.

    >>> CronType(tz="Asia/Shanghai").process_result_value("0 0 8 ? * MON", None)
    CronExpression('0 0 8 ? * MON', tz='Asia/Shanghai')
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int = 255, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> None:
        super().__init__(length)
        self.length, self.tz, self.dst = length, tz, dst

    def process_bind_param(self, value: CronExpression | str | None, dialect: Dialect | None) -> str | None:  # noqa: ARG002
        """The text of an expression."""
        if value is None:
            return None
        found = value if isinstance(value, CronExpression) else self._read(value)
        if hasattr(found, "calendar"):
            raise CronError("an expression that leaves out the days of a calendar is not held by its text")
        expected = self._read(found.text)
        if (zone_key(found.tz), found.dst) != (zone_key(expected.tz), expected.dst):
            raise CronError(f"{found!r} has another zone or policy than its column")
        return found.text

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> CronExpression | None:  # noqa: ARG002
        """The expression of a text."""
        return None if value is None else self._read(value)

    @property
    def python_type(self) -> type[Any]:
        """CronExpression."""
        return CronExpression

    def _read(self, text: str) -> CronExpression:
        return CronExpression(text, tz=self.tz, dst=self.dst)
