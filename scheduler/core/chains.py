"""Chains: which timers run when a run of another one has ended, and whether they form a circle. Pure.

claims/chains.py enters the runs that follow; store/chains.py checks the timers of a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from ..errors import TimerError
from .run import Outcome


class ThenOn(StrEnum):
    """How a run has to end for the timers that follow to run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ENDED = "ended"


#: The outcomes of a run that has begun, and after whose last attempt the timers that follow run.
LEADING: Mapping[ThenOn, frozenset[Outcome]] = {
    ThenOn.SUCCEEDED: frozenset({Outcome.SUCCEEDED}),
    ThenOn.FAILED: frozenset({Outcome.FAILED, Outcome.TIMED_OUT}),
    ThenOn.ENDED: frozenset(
        {Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED, Outcome.CANCELLED}
    ),
}


#: A longer circle is not shown in full.
_SHOWN = 12


def check_circle(name: str, followers: Mapping[str, Sequence[str]]) -> None:
    """TimerError if the timers that follow the timer `name`, directly or not, include that one; it shows the circle.

    `followers` has the names of the timers that follow each one, by name.

    >>> check_circle("load", {"load": ["report"], "report": ["extract", "load"]})
    Traceback (most recent call last):
    scheduler.errors.TimerError: timers would follow each other in a circle: load → report → load
    """
    came_from: dict[str, str] = {}
    to_visit = [name]
    while to_visit:
        timer = to_visit.pop()
        for follower in followers.get(timer, ()):
            if follower == name:
                raise TimerError(
                    f"timers would follow each other in a circle: {_way(name, timer, came_from)}", field="then"
                )
            if follower not in came_from:
                came_from[follower] = timer
                to_visit.append(follower)


def _way(name: str, last: str, came_from: Mapping[str, str]) -> str:
    """The way from a timer to the last one before it comes again."""
    names = [name, last]
    while names[-1] != name:
        names.append(came_from[names[-1]])
    way = [name, *reversed(names[1:-1]), name] if last != name else [name, name]
    if len(way) > _SHOWN:
        way[_SHOWN // 2 : -_SHOWN // 2] = ["…"]
    return " → ".join(way)
