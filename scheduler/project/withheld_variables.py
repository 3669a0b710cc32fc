"""Removes variables with addresses that may contain passwords from the environment of the user's code.

Functions need neither the store nor the broker, and may pass the environment to other programs or print it. This
process still reads its settings from these variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

WITHHELD = ("SCHEDULER_STORE", "SCHEDULER_BROKER")

_taken: dict[str, str] = {}


def withhold() -> None:
    """Remove these variables from the environment of this process, and of those that it starts."""
    for name in WITHHELD:
        if (value := os.environ.pop(name, None)) is not None:
            _taken[name] = value


def variables() -> Mapping[str, str]:
    """The environment with the removed variables."""
    return {**_taken, **os.environ}
