"""Variables with addresses that may hold passwords: processes that run the user's code do not leave them to it.

Its functions need neither the store nor the broker, and what they start and print goes anywhere. Settings are read from
here all the same, whenever this process reads them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

WITHHELD = ("SCHEDULER_STORE", "SCHEDULER_BROKER")

_taken: dict[str, str] = {}


def withhold() -> None:
    """Take these variables out of the environment of this process, and of those that it starts."""
    for name in WITHHELD:
        if (value := os.environ.pop(name, None)) is not None:
            _taken[name] = value


def variables() -> Mapping[str, str]:
    """The environment with what was taken out."""
    return {**_taken, **os.environ}
