"""The timers of a Scheduler: added, read, changed and removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from ..clock import Clock
from ..core.timer import Environment, Timer
from ..errors import ConfigError, TimerError
from ..functions.binding import bind
from ..functions.registry import Registry
from ..rules import assumed_zone
from ..store.changes import Author, Way
from ..store.database import Store
from ..store.declaration_sync import Change, synchronise
from ..store.declarations import read_declarations
from ..store.timer_apply import Applied, apply_timers
from ..store.timers import StoredTimer, TimerTable


class ManagedTimers:
    """What a Scheduler does with its timers.

    What changes a timer takes `why`, and `by`, the name of who changes it, the user of this program unless given; with
    `expected`, the revision that the timer had when it was read, it raises TimerChangedError if somebody else has
    changed it since.
    """

    store: Store
    _timetable: TimerTable
    _clock: Clock
    _quota: int | None
    #: None where the functions are not known in this process.
    _registry: Registry | None

    def add(self, *timers: Timer, why: str = "", by: str | None = None) -> list[StoredTimer]:
        """Add timers, all or none; the enabled ones fire from now on.

        If `functions` is an Engine or a Registry, UnknownFunctionError for a timer of another function, and
        ArgumentError for parameters that its function does not accept.
        """
        self._check(timers)
        return self._timetable.add(timers, now=self._clock.now(), quota=self._quota, by=author_of(by, why))

    def synchronise(self, environment: Environment = Environment.PRODUCTION) -> list[Change]:
        """Bring the declared timers (`@engine.timer`) to the store; returns the changes.

        A newly declared timer is added, one whose declaration changed is changed, and one that is no longer declared is
        disabled, see store/declaration_sync.py. TimerError where one is wrong; then nothing is changed.
        ConfigError unless `functions` is an Engine or a Registry.
        """
        if self._registry is None:
            raise ConfigError("declared timers are read from an Engine or a Registry; give the Scheduler that")
        declared = read_declarations(self._registry, environment, assumed_zone())
        for fault in declared.faults:
            raise TimerError(str(fault))
        return synchronise(self.store, declared.timers, environment, now=self._clock.now(), quota=self._quota)

    def timers(self, environment: Environment | None = None) -> list[StoredTimer]:
        """The timers in the store, of one environment or of all."""
        return self._timetable.list(environment)

    def get(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """One timer, as it is in the store; UnknownTimerError where the environment has none of that name."""
        return self._timetable.get(name, environment)

    def next_fires(
        self, name: str, count: int = 5, environment: Environment = Environment.PRODUCTION
    ) -> list[datetime]:
        """The next fire times of a timer; the first may be overdue. None of one that is disabled or finished."""
        return list(islice(self.get(name, environment).next_fires(self._clock.now()), count))

    def apply(
        self,
        timers: Iterable[Timer],
        *,
        prune: Collection[Environment] = (),
        dry_run: bool = False,
        why: str = "",
        by: str | None = None,
    ) -> Applied:
        """Make the timers as given, all or none: add those that are new, edit those that differ; returns what was done.

        The timers of the environments in `prune` that are not given are removed, except declared ones. Under `dry_run`
        nothing is changed. Raises what `add` raises.
        """
        wanted = list(timers)
        self._check(wanted)
        now, author = self._clock.now(), author_of(by, why)
        return apply_timers(self.store, wanted, prune=prune, now=now, quota=self._quota, by=author, dry_run=dry_run)

    def edit(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        why: str = "",
        by: str | None = None,
        expected: int | None = None,
        **changes: Any,
    ) -> StoredTimer:
        """Change attributes of a timer, as in `edit("report", limit_s=30)`, and close its breaker.

        A changed schedule counts from now on; otherwise a fire time that is due stays due. Raises what `add` raises.
        """
        if changes.keys() & {"function", "params"}:
            kept = self.get(name, environment).timer
            named = {key: changes[key] for key in ("function", "params") if key in changes}
            self._check([replace(kept, **named)])
        now = self._clock.now()
        return self._timetable.edit(name, environment, changes, now=now, by=author_of(by, why), expected=expected)

    def rename(
        self,
        name: str,
        new_name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        why: str = "",
        by: str | None = None,
        expected: int | None = None,
    ) -> StoredTimer:
        """Give a timer another name; its history, its breaker and what is due stay."""
        now = self._clock.now()
        return self._timetable.rename(name, new_name, environment, now=now, by=author_of(by, why), expected=expected)

    def copy(
        self,
        name: str,
        new_name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        to: Environment | None = None,
        why: str = "",
        by: str | None = None,
    ) -> StoredTimer:
        """Add a timer like another one, disabled, in its environment or in `to`."""
        timer = self.get(name, environment).timer
        copied = replace(timer, name=new_name, environment=to or environment, enabled=False)
        (added,) = self.add(copied, why=why, by=by)
        return added

    def enable(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        why: str = "",
        by: str | None = None,
        expected: int | None = None,
    ) -> StoredTimer:
        """Have a timer fire from now on."""
        now = self._clock.now()
        return self._timetable.enable(name, environment, now=now, by=author_of(by, why), expected=expected)

    def disable(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        why: str = "",
        by: str | None = None,
        expected: int | None = None,
        until: datetime | None = None,
    ) -> StoredTimer:
        """Stop a timer from firing; with `until`, it is enabled again at that time."""
        now, author = self._clock.now(), author_of(by, why)
        return self._timetable.disable(name, environment, now=now, by=author, expected=expected, until=until)

    def remove(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        why: str = "",
        by: str | None = None,
        expected: int | None = None,
    ) -> None:
        """Delete a timer; its runs are kept."""
        now = self._clock.now()
        self._timetable.remove(name, environment, now=now, by=author_of(by, why), expected=expected)

    def _check(self, timers: Iterable[Timer]) -> None:
        """Refuse timers whose functions, where they are known, are missing or do not accept the parameters."""
        if self._registry is not None:
            for timer in timers:
                bind(self._registry.get(timer.function), timer.params)


def author_of(name: str | None, why: str) -> Author:
    return Author.of_process(Way.LIBRARY, why) if name is None else Author(name, Way.LIBRARY, why)
