"""The chains of a store's timers: refuses circles and unknown followers, and writes a timer's new name into the timers
that it follows.

A change of `then` is checked in its transaction, before or after it is written; the caller has the mutex. A follower
may be removed later: a run that would lead to it says so (claims/chains.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select, text, update

from ..core.chains import check_circle
from ..core.timer import Environment, Timer
from ..errors import TimerError, UnknownTimerError, error_of
from .change_recording import NewChange
from .schema import CHAINED, timers
from .statements import Among
from .stored_timer import stored_timer_of
from .timer_changes import edited

if TYPE_CHECKING:
    from .database import Store

_FOLLOWERS = select(timers.c.name, timers.c.then).where(text(CHAINED))
_KNOWN = Among(select(timers.c.environment, timers.c.name), timers.c.name)


def check_chains(
    connection: Connection,
    written: Iterable[Timer],
    planned: Mapping[tuple[str, str], Timer | None] | None = None,
    *,
    among: int = 1,
) -> None:
    """TimerError if one of these timers, which are written already, follows itself, or an unknown timer follows it.

    `planned` are timers that are about to be written, by environment and name; None for one to be removed.
    An error names the timer if it is one `among` several.
    """
    chained = [timer for timer in written if timer.then]
    if not chained:
        return
    planned = planned or {}
    names = sorted({name for timer in chained for name in timer.then})
    known = {(row.environment, row.name) for row in _KNOWN.rows(connection, names)}
    known = (known | planned.keys()) - {key for key, timer in planned.items() if timer is None}
    followers = {
        environment: {**_followers(connection, environment)} for environment in {t.environment for t in chained}
    }
    for (environment, name), timer in planned.items():
        if environment in followers:
            followers[Environment(environment)][name] = () if timer is None else timer.then
    for timer in chained:
        check_circle(timer.name, followers[timer.environment])
        with error_of(timer.name, timer.environment, among=among):
            for name in timer.then:
                if (timer.environment.value, name) not in known:
                    raise _unknown(connection, name, timer.environment, planned)


def check_declared_chain(connection: Connection, timer: Timer, declared: Collection[tuple[str, str]]) -> None:
    """The same for a timer that is about to be written; the `declared` ones, by environment and name, are too."""
    if not timer.then:
        return
    check_circle(timer.name, {**_followers(connection, timer.environment), timer.name: timer.then})
    known = {(row.environment, row.name) for row in _KNOWN.rows(connection, sorted(timer.then))}
    for name in timer.then:
        if (timer.environment.value, name) not in known | {*declared}:
            raise _unknown(connection, name, timer.environment)


def lock_with_leaders(connection: Connection, name: str, environment: Environment) -> Sequence[Row[Any]]:
    """Lock a timer and those that it follows, in the order of their ids; returns the latter."""
    leaders = [row.id for row in connection.execute(_leaders(environment)) if name in json.loads(row.then)]
    both = timers.c.id.in_(leaders) | (timers.c.environment == environment) & (timers.c.name == name)
    rows = connection.execute(select(timers).where(both).order_by(timers.c.id).with_for_update(key_share=True)).all()
    return [row for row in rows if row.id in leaders]


def rename_in_leaders(connection: Connection, leaders: Sequence[Row[Any]], name: str, new_name: str) -> list[NewChange]:
    """Write the new name of a timer into those that it follows, which are locked; returns the changes."""
    for row in leaders:
        then = [new_name if follower == name else follower for follower in json.loads(row.then)]
        values = {"then": json.dumps(then, ensure_ascii=False, separators=(",", ":"))}
        connection.execute(update(timers).where(timers.c.id == row.id).values(**values, revision=timers.c.revision + 1))
    query = select(timers).where(timers.c.id.in_([row.id for row in leaders])).order_by(timers.c.id)
    pairs = zip(leaders, connection.execute(query).all(), strict=True)
    states = [(stored_timer_of(before, connection), stored_timer_of(after, connection)) for before, after in pairs]
    return [change for before, after in states for change in edited(before, after)]


def with_known_followers(store: Store, exported: Sequence[Timer]) -> list[Timer]:
    """These timers without the followers that were removed, for a list that an import would otherwise refuse."""
    names = sorted({name for timer in exported for name in timer.then})
    if not names:
        return [*exported]
    with store.reading() as connection:
        known = {(row.environment, row.name) for row in _KNOWN.rows(connection, names)}
    return [
        replace(timer, then=tuple(name for name in timer.then if (timer.environment.value, name) in known))
        for timer in exported
    ]


def _followers(connection: Connection, environment: Environment) -> Mapping[str, Sequence[str]]:
    """The names of the timers that follow each timer of an environment, by its name; only where there are any."""
    rows = connection.execute(_FOLLOWERS.where(timers.c.environment == environment))
    return {row.name: json.loads(row.then) for row in rows}


def _leaders(environment: Environment) -> Any:
    return select(timers.c.id, timers.c.then).where(text(CHAINED), timers.c.environment == environment)


def _unknown(
    connection: Connection,
    name: str,
    environment: Environment,
    planned: Mapping[tuple[str, str], Timer | None] = MappingProxyType({}),
) -> TimerError:
    known = {*connection.execute(select(timers.c.name).where(timers.c.environment == environment)).scalars()}
    known |= {timer for where, timer in planned if where == environment}
    known -= {timer for (where, timer), written in planned.items() if where == environment and written is None}
    return TimerError(f"then: {UnknownTimerError(name, environment, sorted(known))}", field="then")
