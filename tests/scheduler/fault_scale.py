"""How long the tests of faults take: the quick form by default, the long one under SCHEDULER_FAULTS=long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

IS_LONG = os.environ.get("SCHEDULER_FAULTS") == "long"


def scaled(quick: Value, long: Value) -> Value:
    """The first value in the quick form, the second in the long one."""
    return long if IS_LONG else quick


def peak_mb(pid: int) -> float:
    """The most memory that a process has used so far, in megabytes."""
    words = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()
    return int(words[0]) * 1024 / 1e6
