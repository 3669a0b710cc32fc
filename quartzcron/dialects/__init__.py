"""Other dialects of cron ↔ Quartz: crontab, Spring, EventBridge, systemd's OnCalendar.

Each conversion is exact, wall time by wall time, or refused with a DialectError that names the part which the other
side cannot say. Both directions go by the sets of days and times, never by rewriting text: Spring's `0 0 8 1-7 * MON`
becomes `0 0 8 ? * MON#1`, and `0 0 8 L 12 ?` the crontab line `0 8 31 12 *`. What a dialect leaves to its host, such as
the time zone of a crontab or what happens where clocks change, is no part of the conversion.
"""

from ..errors import DialectError
from .crontab import from_crontab, to_crontab
from .eventbridge import from_eventbridge, to_eventbridge
from .oncalendar import from_oncalendar, to_oncalendar
from .spring import from_spring, to_spring

__all__ = [
    "DialectError",
    "from_crontab",
    "from_eventbridge",
    "from_oncalendar",
    "from_spring",
    "to_crontab",
    "to_eventbridge",
    "to_oncalendar",
    "to_spring",
]
