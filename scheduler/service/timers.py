"""ManagedTimers: adds, reads, changes and removes the timers of a Scheduler."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from ..clock import Clock
from ..core.timer import Environment, Timer
from ..core.timer_checks import check_count
from ..default_rules import assumed_zone
from ..errors import ConfigError, TimerError
from ..functions.binding import bind
from ..functions.declarations import read_declarations
from ..functions.registry import Registry
from ..store.change_recording import Author, Way
from ..store.database import Store
from ..store.declaration_sync import Change, synchronise
from ..store.stored_timer import StoredTimer
from ..store.timer_apply import Applied, apply_timers
from ..store.timers import TimerTable


class ManagedTimers:
    """The methods of a Scheduler for its timers.

    Methods that take a name raise UnknownTimerError if the environment has no timer of that name. Methods that change a
    timer take `why`, and `by`, the name of the author, by default the user of this program. With `expected`, the
    revision of the timer when it was read, they raise TimerChangedError if it was changed since.
    """

    store: Store
    _timetable: TimerTable
    _clock: Clock
    _quota: int | None
    #: None if this process does not know the functions.
    _registry: Registry | None

    def add(self, *timers: Timer, why: str = "", by: str | None = None) -> list[StoredTimer]:
        """Add timers: all or none; the enabled ones fire from now on. Returns them as they are stored, in this order.

        DuplicateTimerError for a name that exists already, TimerQuotaError for more timers than an environment may
        have. If `functions` is an Engine or a Registry, UnknownFunctionError for a timer of another function, and
        ArgumentError for parameters that its function does not accept.
        """
        self._check(timers)
        return self._timetable.add(timers, now=self._clock.now(), quota=self._quota, by=author_of(by, why))

    def synchronise(self, environment: Environment = Environment.PRODUCTION) -> list[Change]:
        """Synchronize the store with the declared timers (`@engine.timer`); returns the changes.

        A newly declared timer is added, one whose declaration changed is changed, and one that is no longer declared is
        disabled, see store/declaration_sync.py. TimerError if one is invalid; then nothing is changed.
        ConfigError unless `functions` is an Engine or a Registry.
        """
        if self._registry is None:
            raise ConfigError("declared timers are read from an Engine or a Registry; give the Scheduler that")
        declared = read_declarations(self._registry, environment, assumed_zone())
        for fault in declared.faults:
            raise TimerError(str(fault))
        return synchronise(self.store, declared.timers, environment, now=self._clock.now(), quota=self._quota)

    def timers(self, environment: Environment | None = None) -> list[StoredTimer]:
        """The timers in the store, of one environment or of all, sorted by environment and name."""
        return self._timetable.list(environment)

    def get(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """One timer of the store; UnknownTimerError if the environment has none of that name."""
        return self._timetable.get(name, environment)

    def next_fires(
        self, name: str, count: int = 5, environment: Environment = Environment.PRODUCTION
    ) -> list[datetime]:
        """The next fire times of a timer, aware; the first may be overdue. Empty for a disabled or finished one."""
        wanted = check_count("count", count)
        return list(islice(self.get(name, environment).next_fires(self._clock.now()), wanted))

    def apply(
        self,
        timers: Iterable[Timer],
        *,
        prune: Collection[Environment] = (),
        dry_run: bool = False,
        why: str = "",
        by: str | None = None,
    ) -> Applied:
        """Make the timers of the store equal to these, all or none: add new ones, edit others; returns the changes.

        It removes other timers of the environments in `prune`, except declared ones. With `dry_run` nothing is changed.
        Raises the errors of `add`.
        """
        if isinstance(prune, (bool, str)):  # an Environment is a text, too
            raise TypeError(f"prune must be a collection, as in [Environment.PRODUCTION], got {prune!r}")
        wanted = list(timers)
        self._check(wanted)
        now, author = self._clock.now(), author_of(by, why)
        return apply_timers(self.store, wanted, prune=prune, now=now, quota=self._quota, by=author, dry_run=dry_run)

    def edit(
        self,
        /,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        why: str = "",
        by: str | None = None,
        expected: int | None = None,
        **changes: Any,
    ) -> StoredTimer:
        """Change attributes of a timer, as in `edit("report", limit_s=30)`, and close its breaker.

        A changed schedule counts from now on; otherwise a fire time that is due stays due. Raises the errors of `add`.
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
        """Give a timer another name; its history, its breaker and its due fire times are kept.

        DuplicateTimerError if the name exists already, TimerError for a declared timer, which has its name in the code.
        """
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
        """Add a copy of a timer, disabled, in its environment or in `to`. Raises the errors of `add`."""
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
        """Let a timer fire from now on, and close its breaker; for an enabled one, only close the breaker.

        TimerError for a timer without a further fire time.
        """
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
        """Stop a timer from firing; runs in progress continue. With `until`, a daemon enables it again at that time.

        A fire time that a daemon has claimed already, up to a quarter of a second ahead, still runs. TimerError if
        `until` is not an aware time to come.
        """
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
        """Delete a timer; its runs are kept, and those in progress continue."""
        now = self._clock.now()
        self._timetable.remove(name, environment, now=now, by=author_of(by, why), expected=expected)

    def _check(self, timers: Sequence[Timer]) -> None:
        """Refuse timers whose functions are missing or do not accept the parameters, if the functions are known."""
        for timer in timers:
            if not isinstance(timer, Timer):
                raise TypeError(f"a timer must be a Timer, got {type(timer).__name__}; of a list: add(*timers)")
        if self._registry is not None:
            for timer in timers:
                bind(self._registry.get(timer.function), timer.params)


def author_of(name: str | None, why: str) -> Author:
    return Author.of_process(Way.LIBRARY, why) if name is None else Author(name, Way.LIBRARY, why)
