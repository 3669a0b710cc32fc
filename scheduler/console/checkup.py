"""The checks of `scheduler doctor` that need no code of the user: machine, clocks and store."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.zone_names import zone
from ..doctor.findings import Finding
from ..doctor.machine import check_clock, check_versions, check_zone_databases
from ..doctor.store_checks import check_store
from ..project.project import Project
from .current import console


def findings() -> Sequence[Finding]:
    """The findings; they take a moment, and write to the store and take that back, to see whether it works."""
    store, settings = console().store, console().settings
    tz, file = zone(settings.tz), Project(settings).store_file
    return [
        check_versions(),
        check_clock(tz),
        check_zone_databases(console().now().date()),
        *check_store(store, file if file and file.exists() else None, tz),
    ]
