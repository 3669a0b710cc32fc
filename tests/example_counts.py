"""How many examples a property is tried on that is not tried on the profile's own number of them."""

from __future__ import annotations

from hypothesis import settings

#: Of a property that names no number of its own, but in a second run.
_USUAL = 100
#: Fewer find little more than the simplest example, which is always tried first.
_LEAST = 5


def examples(number: int) -> int:
    """The number, of which a second run (tests/conftest.py) tries as great a part as of the usual number."""
    share = settings().max_examples / _USUAL
    return max(min(number, _LEAST), round(number * share))
