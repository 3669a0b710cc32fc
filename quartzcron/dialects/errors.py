"""What a conversion between dialects is refused with."""

from __future__ import annotations

from ..errors import CronError, shortened


class DialectError(CronError):
    """A text that a dialect does not have, or a meaning that the other side cannot say.

    `dialect` is whose text it is or would be, `part` the field in question (None for the whole), `reason` the rest.

    >>> from quartzcron import CronExpression
    >>> CronExpression("0 0 8 LW * ?").to_crontab()
    Traceback (most recent call last):
        ...
    quartzcron.dialects.errors.DialectError: crontab, day of month: it has no L and no W
    """

    def __init__(self, dialect: str, part: str | None, reason: str) -> None:
        reason = shortened(reason)
        super().__init__(dialect, part, reason)
        self.dialect, self.part, self.reason = dialect, part, reason

    def __str__(self) -> str:
        return f"{self.dialect}, {self.part}: {self.reason}" if self.part else f"{self.dialect}: {self.reason}"
