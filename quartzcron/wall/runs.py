"""TODO-DOC"""

from __future__ import annotations

from .times import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


# A stretch of values with the same distance from each to the next: first, last, distance. A lone value has distance 0.
Run = tuple[int, int, int]


def runs(values: Sequence[int], *, steps: bool = True, pairs: bool = False) -> list[Run]:
    """Values in order as runs: all of them as one, if they are evenly spaced; else neighbours together, others alone.

    Two neighbours make a run only with `pairs`; a distance above 1 takes four values, and `steps`.
    """
    if steps and len(values) > 3:
        step = values[1] - values[0]
        if step > 1 and list(values) == list(range(values[0], values[-1] + 1, step)):
            return [(values[0], values[-1], step)]
    found: list[list[int]] = []
    for value in values:
        if found and value == found[-1][-1] + 1:
            found[-1].append(value)
        else:
            found.append([value])
    spans: list[Run] = []
    for run in found:
        if len(run) > 2 or pairs:
            spans.append((run[0], run[-1], 1 if len(run) > 1 else 0))
        else:
            spans += [(value, value, 0) for value in run]
    return spans


def wrapped_runs(values: int, low: int, high: int, *, wrap: bool) -> list[Run]:
    """Runs of months or days of the week; with `wrap`, one that reaches the end goes on at the beginning."""
    found = runs([value for value in members(values) if low <= value <= high], steps=False, pairs=True)
    if wrap and len(found) > 1 and found[0][0] == low and found[-1][1] == high:
        first, last = found[0], found.pop()
        found[0] = (last[0], first[1], 1)
    split: list[Run] = []
    for first_value, last_value, step in found:
        length = (last_value - first_value) % (high - low + 1) + 1
        alone = [(first_value + n - low) % (high - low + 1) + low for n in range(length)] if length < 3 else []
        split += [(value, value, 0) for value in alone] or [(first_value, last_value, step)]
    return sorted(split) if all(run[0] <= run[1] for run in split) else split
