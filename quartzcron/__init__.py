"""Quartz cron expressions and their fire times.

>>> from datetime import datetime
>>> from quartzcron import CronExpression
>>> weekly = CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai")
>>> print(weekly.next_fire(datetime(2026, 1, 1)))
2026-01-05 08:00:00+08:00

**Fields.** Six or seven, separated by blanks: seconds, minutes, hours, day of month, month, day of week, and optionally
a year (1970-2099). Exactly one of the two day fields is `?`.

    *          every value                      5/15       from 5 on, every 15th (`*/15` and `/15` from the first on)
    1,15       a list                           22-2       a range, which may wrap (not in years)
    JAN, MON   names in any case, whole too     9-17/2     every second value of a range
    L          last day of the month            15W        weekday nearest to the 15th, in the same month
    L-3        three days before that           LW, L-3W   weekday nearest to L, to L-3
    6#3        third Friday of the month        6L, FRIL   last Friday of the month (`L` alone is Saturday)

Days of the week count from Sunday = 1. A list of days of the month may contain all forms: `1,15,L-2,LW`.

**Fire times.** All are whole seconds; `next_fire` is strictly after, `prev_fire` strictly before, `between`,
`count` and `fires` return the fire times after the start up to and including the end.

>>> daily = CronExpression("0 30 9 * * ?")
>>> start, end = datetime(2026, 1, 1), datetime(2027, 1, 1)
>>> daily.count(start, end), daily.nth(100, start), daily.matches(datetime(2026, 1, 1, 9, 30))
(365, datetime.datetime(2026, 4, 10, 9, 30), True)
>>> [fire.day for fire in CronExpression("0 0 8 LW * ?").between(start, datetime(2026, 4, 1))]
[30, 27, 31]
>>> CronExpression("0 0 8 30 2 ?").never_fires
True

**Zones.** A name, or a zoneinfo, pytz, dateutil or fixed-offset tzinfo. An expression without a zone is read in the
zone of the time that is passed; a naive time is plain wall time then. Where clocks change, `dst="vixie"` fires a fixed
time exactly once and an interval expression in both passes; `dst="quartz"` does as Java's Quartz (see dst_policies.py).

>>> in_a_gap = CronExpression("0 30 2 * * ?", tz="America/New_York")
>>> print(in_a_gap.next_fire(datetime(2026, 3, 8)))
2026-03-08 03:00:00-04:00

**Values.** An expression is immutable, and equal to any that fires at the same times; `canonical` is its normal form.

>>> CronExpression("0 0 8 ? * 2 *") == CronExpression("0 0 8 ? * mon")
True
>>> CronExpression("0 */15 9,10,11 1-31 * ?").canonical
'0 0/15 9-11 * * ?'

**Errors.** All are CronError, which is a ValueError; a CronSyntaxError has field, column, text, a hint and the likely
fix.

>>> from quartzcron import CronSyntaxError
>>> try:
...     CronExpression("0 8 * * 1-5")
... except CronSyntaxError as error:
...     print(error.fix)
0 0 8 ? * MON-FRI
"""

import sys

from .expression import CronExpression
from .lazy import Lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    __version__: str
    from .errors import CronError, CronSyntaxError, PolicyError, Problem, UnknownZoneError

__all__ = ["CronError", "CronExpression", "CronSyntaxError", "PolicyError", "Problem", "UnknownZoneError"]


# Modules that pickles of version 0.1.0 name: their earlier names → their present ones.
_MOVED = {
    "contrib.pydantic": "text.pydantic_schema",
    "dialects.errors": "errors",
    "heatmap": "cli.heatmap",
    "value": "search.compiled",
    "zone_names": "zones.lookup",
}
sys.modules.update({f"{__name__}.{old}": Lazy(new) for old, new in _MOVED.items()})  # type: ignore[misc]


def __getattr__(name: str) -> object:
    """Import the errors when one is first used (PEP 562), and look up the version."""
    if name == "__version__":
        from .version import version

        return globals().setdefault(name, version())
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import errors

    return globals().setdefault(name, getattr(errors, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
