"""Sorted values as runs of evenly spaced values, from which descriptions and dialects write ranges and steps."""

from __future__ import annotations

from .times import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Values with the same distance from each to the next: first, last, distance. A single value has distance 0.
ValueRun = tuple[int, int, int]


def runs(values: Sequence[int], *, steps: bool = True, pairs: bool = False) -> list[ValueRun]:
    """Sorted values as runs: one run if all are evenly spaced, else a run for each group of neighbours.

    Two neighbours make a run only with `pairs`, else each is a run of its own; a distance above 1 takes four values,
    and `steps`.
    """
    if steps and len(values) > 3:
        step = values[1] - values[0]
        if step > 1 and list(values) == list(range(values[0], values[-1] + 1, step)):
            return [(values[0], values[-1], step)]
    groups: list[list[int]] = []
    for value in values:
        if groups and value == groups[-1][-1] + 1:
            groups[-1].append(value)
        else:
            groups.append([value])
    result: list[ValueRun] = []
    for group in groups:
        if len(group) > 2 or pairs:
            result.append((group[0], group[-1], 1 if len(group) > 1 else 0))
        else:
            result += [(value, value, 0) for value in group]
    return result


def wrapped_runs(values: int, low: int, high: int, *, wrap: bool) -> list[ValueRun]:
    """Runs of months or days of the week; with `wrap`, a run up to the last value continues at the first one."""
    joined = runs([value for value in members(values) if low <= value <= high], steps=False, pairs=True)
    if wrap and len(joined) > 1 and joined[0][0] == low and joined[-1][1] == high:
        first, last = joined[0], joined.pop()
        joined[0] = (last[0], first[1], 1)
    result: list[ValueRun] = []
    for first_value, last_value, step in joined:
        length = (last_value - first_value) % (high - low + 1) + 1
        alone = [(first_value + n - low) % (high - low + 1) + low for n in range(length)] if length < 3 else []
        result += [(value, value, 0) for value in alone] or [(first_value, last_value, step)]
    return sorted(result) if all(run[0] <= run[1] for run in result) else result
