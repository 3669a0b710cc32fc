"""Which faults are made when: drawn from a seed, and made shorter by leaving faults out. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One fault: begins `at_s` seconds after the start and lasts `lasts_s`.

    `target` chooses the process, `pick` one of its children as a fraction of them, and `amount` is in -1..1.
    """

    number: int
    kind: str
    at_s: float
    lasts_s: float
    target: int
    pick: float
    amount: float

    def __str__(self) -> str:
        return (
            f"{self.number:3} {self.at_s:6.2f} s {self.kind}, {self.lasts_s:.2f} s, "
            f"target {self.target}, pick {self.pick:.2f}, amount {self.amount:+.2f}"
        )


class Range(NamedTuple):
    """How long a kind of fault lasts, and the resource of which there may be one at a time; "" for none."""

    shortest_s: float
    longest_s: float
    resource: str = ""
    #: How many resources of that name there are: as many as targets, or one.
    is_per_target: bool = False

    def resource_of(self, target: int) -> str:
        """The resource that a fault of a target needs."""
        return f"{self.resource} {target}" if self.resource and self.is_per_target else self.resource


def drawn(seed: int, kinds: Mapping[str, Range], *, seconds: float, targets: int, per_second: float) -> list[Fault]:
    """Faults in the order in which they begin; all of them end within `seconds`."""
    dice = random.Random(seed)
    free_from: dict[str, float] = {}
    faults: list[Fault] = []
    at_s = 0.2
    while at_s < seconds:
        kind = dice.choice(sorted(kinds))
        span = kinds[kind]
        lasts_s = dice.uniform(span.shortest_s, span.longest_s)
        fault = Fault(len(faults), kind, at_s, lasts_s, dice.randrange(targets), dice.random(), dice.uniform(-1.0, 1.0))
        resource = span.resource_of(fault.target)
        fits = at_s + lasts_s <= seconds and free_from.get(resource, 0.0) <= at_s
        if fits:
            faults.append(fault)
            if resource:
                # So that what was broken stands for a moment before it is broken again.
                free_from[resource] = at_s + lasts_s + 0.3
        at_s += dice.expovariate(per_second) if fits else 0.05
    return faults


def shortened(faults: Sequence[Fault], fails: Callable[[Sequence[Fault]], bool], *, tries: int) -> list[Fault]:
    """Fewer faults with which it still fails, found in at most so many tries."""
    kept = list(faults)
    size = max(1, len(kept) // 2)
    while tries > 0 and len(kept) > 1:
        has_shrunk = False
        for begin in range(0, len(kept), size):
            rest = kept[:begin] + kept[begin + size :]
            if tries == 0 or not rest:
                break
            tries -= 1
            if fails(rest):
                kept, has_shrunk = rest, True
                break
        if not has_shrunk:
            if size == 1:
                break
            size = max(1, size // 2)
    return kept
