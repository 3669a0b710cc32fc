"""Upkeep: renews the daemon's lease, takes over the runs of dead daemons, and prunes the history."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from ..claims.abandoned_runs import outcome_without_daemon
from ..claims.claims import Claims
from ..claims.leases import Lease
from ..clock import Clock
from ..store.database import Store
from ..store.retention import Retention
from ..store.tzdata_updates import Moved, TzdataUpdates
from .agenda import Agenda
from .dispatch import Dispatch
from .events import log_abandoned
from .start_fires import StartFires

log = logging.getLogger("scheduler.daemon")

#: At its start, a daemon caches the timers that are due within this time, so that their first claims are fast.
PRELOAD = timedelta(minutes=1)
MAX_PRELOADED = 10_000
#: How often the history is pruned, and how soon again where one portion was not enough.
PRUNE_EVERY_S, PRUNE_ON_S = 3600.0, 0.1
#: How many timers a daemon checks for changed rules of their zones: at its start, then in portions, this often.
ZONES_AT_START, ZONES_A_PORTION, ZONES_EVERY_S = 5_000, 100, 0.25


class Upkeep:
    """Keeps the lease of one daemon, whose wake-up socket has `wake_port`."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        claims: Claims,
        dispatch: Dispatch,
        retention: Retention,
        clock: Clock,
        tzdata_updates: TzdataUpdates,
    ) -> None:
        self._store = store
        self._lease = lease
        self._claims = claims
        self._dispatch = dispatch
        self._retention = retention
        self._clock = clock
        self._tzdata_updates = tzdata_updates
        self._start_fires = StartFires(lease, claims)
        #: Whether this daemon has a row in the store.
        self.is_registered = False

    def keep_lease(self, agenda: Agenda, now: datetime, wake_port: int, *, is_stopping: bool) -> None:
        """Register or renew the lease; now and then take over from dead daemons, and prune the history.

        StoreMigratedError if a newer version has migrated the store: it may have what this version would not heed.
        """
        monotonic = self._clock.monotonic()
        if not self.is_registered:
            self._start_fires.registered(self._lease.register(now, wake_port))
            agenda.check_others_at = 0.0
            self.is_registered = True
            agenda.renew_lease_at = 0.0
            # Before the first claim, which trusts the stored fire times.
            self._log_moved(self._tzdata_updates.check_first(ZONES_AT_START))
            self._claims.preload(now + PRELOAD, limit=MAX_PRELOADED)
        if monotonic >= agenda.renew_lease_at:
            self._lease.renew(now)
            agenda.renew_lease_at = monotonic + self._lease.renew_every_s
        self._lease.hold_lock()
        if monotonic >= agenda.check_others_at:
            if not is_stopping:
                self._store.check_version()
            had_others = self._lease.other_daemons
            self._take_over(now)
            if had_others or self._lease.other_daemons:
                # Other daemons send no notification of retries that they enter.
                agenda.read_upcoming_at = 0.0
            agenda.check_others_at = monotonic + self._lease.check_others_in_s
            if not is_stopping and self._start_fires.look(now):
                agenda.read_upcoming_at = 0.0
        if not self._tzdata_updates.is_done and monotonic >= agenda.check_zones_at:
            self._log_moved(self._tzdata_updates.check(ZONES_A_PORTION))
            agenda.check_zones_at = monotonic + ZONES_EVERY_S
        if monotonic >= agenda.prune_at:
            has_more = self._retention.prune(now)
            agenda.prune_at = monotonic + (PRUNE_ON_S if has_more else PRUNE_EVERY_S)

    @staticmethod
    def _log_moved(moves: list[Moved]) -> None:
        for moved in moves:
            timer = moved.timer
            text = "the clock of %s was changed since the next fire of %r in %s was planned: it is now at %s, not at %s"
            log.warning(text, timer.trigger.tz, timer.name, timer.environment, moved.after, moved.before)

    def _take_over(self, now: datetime) -> None:
        abandoned, adopted = self._lease.take_over(now, self._clock.monotonic())
        if abandoned:
            log_abandoned(abandoned)
            self._claims.passed_over.update((row.environment, outcome_without_daemon(row)) for row in abandoned)
        if adopted:
            log.info("adopted %d runs of daemons that have ended", len(adopted))
            self._dispatch.adopt(adopted)
