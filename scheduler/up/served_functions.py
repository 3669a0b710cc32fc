"""Writes the functions that `scheduler up` serves into the catalogue of the store, for the console."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..core.timer import Environment
from ..errors import SchedulerError
from ..functions.descriptions import from_report
from ..project.project import Project
from ..store.catalogue import replace_functions
from ..store.database import Store

log = logging.getLogger("scheduler.up")


def record_functions(store: Store, functions: Mapping[str, Any], project: Project) -> None:
    """Replace the functions of each environment that is served here; a failure is logged, since timers fire without."""
    preview = functions.get("preview_catalogue")
    for environment in Environment:
        is_of_preview = environment is Environment.STAGE and preview is not None
        if is_of_preview or project.settings.for_environment(environment).runs_what_is_served:
            record(store, environment, preview if is_of_preview else functions.get("catalogue"))


def record(store: Store, environment: Environment, reported: Any) -> None:
    """Replace the functions of one environment by those that another process has reported."""
    try:
        replace_functions(store, environment, from_report(reported or ()))
    except (SchedulerError, TypeError) as error:
        log.warning("the console does not know the functions of %s: %s", environment.value, error)
