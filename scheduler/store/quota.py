"""check_quota: the most timers of an environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, or_, select

from ..core.timer import Timer
from ..default_rules import assumed_quota
from ..errors import TimerQuotaError
from .schema import timers
from .stored_timer import StoredTimer


def check_quota(
    connection: Connection, wanted: Sequence[Timer], quota: int | None, removed: Iterable[StoredTimer] = ()
) -> None:
    """TimerQuotaError if an environment would hold more than `quota` timers; 0 = no limit, None = that of the rules.

    A declared timer that is disabled because it is no longer declared does not count; nor do those to be `removed`.
    """
    quota = assumed_quota() if quota is None else quota
    if not quota:
        return
    leaving = Counter(entry.timer.environment for entry in removed if entry.timer.enabled or not entry.has_vanished)
    for environment in sorted({timer.environment for timer in wanted}):
        new = sum(timer.environment == environment for timer in wanted)
        query = select(func.count()).select_from(timers).where(timers.c.environment == environment, _COUNTS)
        if connection.execute(query).scalar_one() - leaving[environment] + new > quota:
            raise TimerQuotaError(environment, quota)


#: Whether a timer counts for the quota.
_COUNTS = or_(timers.c.suspended.is_(None), timers.c.enabled)
