"""Several expressions as one schedule: a union fires when any of them does, an overlap when all do, a difference when
the first does and none of the others.

Schedules may contain schedules. They have the methods of an expression, except those for dialects, which have no
schedules: convert the parts. In a text, `||` joins the parts of a union and `&&` those of an overlap.
"""

from __future__ import annotations

from .joint import Overlap, Union, difference, overlap, union
from .schedule import Schedule, from_json
from .texts import from_text

__all__ = ["Overlap", "Schedule", "Union", "difference", "from_json", "from_text", "overlap", "union"]
