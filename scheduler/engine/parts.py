"""EngineParts: the part of an engine that answering a request needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..functions.registry import Registry
from .execution import Execution


@dataclass(frozen=True, slots=True)
class EngineParts:
    """The functions of an engine, how they are run, and its settings."""

    registry: Registry
    execution: Execution
    fetch_user: Callable[[str], Any] | None
    auth: bool
    environment: str | None
    expose_errors: bool
    function_limit_s: float
    hook_limit_s: float
    max_body_bytes: int
    max_age_s: float | None
