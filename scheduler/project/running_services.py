"""RunningService: the port, environments and default zone of a running `scheduler up`, as its record shows them.

A command in another terminal may have other variables, and so other settings than the service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..core.timer import Environment, Timer
from ..errors import listed
from ..formats import display
from .project import Project
from .serving_record import serving_records

_MOST_NAMED = 5


class RunningService(NamedTuple):
    """A `scheduler up` of the project; `pid` is the id in its container."""

    pid: int
    host: str
    port: int
    environments: frozenset[str]
    tz: str


def running_services(project: Project) -> list[RunningService]:
    """The services that this folder's records show; earlier versions recorded less, and are left out."""
    services = []
    for record in serving_records(project):
        match record:
            case {"pid": int(pid), "host": str(host), "port": int(port), "environments": list(served), "tz": str(tz)}:
                services.append(RunningService(pid, host, port, frozenset(map(str, served)), tz))
    return services


def unserved_timers(services: Sequence[RunningService], timers: Sequence[Timer]) -> list[str]:
    """A sentence for each environment of enabled timers that no running service serves; their runs fail there."""
    if not services:
        return []
    served = {environment for service in services for environment in service.environments}
    sentences = []
    for environment in Environment:
        names = [timer.name for timer in timers if timer.enabled and timer.environment is environment]
        if not names or environment in served:
            continue
        named = display.plain(listed(names, _MOST_NAMED))
        is_one = len(names) == 1
        how = "start it with --stage PORT" if environment is Environment.STAGE else "start it without --env"
        sentences.append(
            f"{named} {'is' if is_one else 'are'} of {environment}, which the running `scheduler up` (process "
            f"{services[0].pid}) does not serve, so {'its' if is_one else 'their'} runs will fail; {how}"
        )
    return sentences


def other_zone(services: Sequence[RunningService], project: Project) -> str:
    """A sentence about a running service whose default zone is not that of this command; empty if there is none."""
    tz = project.settings.tz
    for service in services:
        if service.tz != tz:
            return (
                f"the running `scheduler up` (process {service.pid}) has the default time zone {service.tz}, this "
                f"command {tz}: its variables or its folder differ; --tz names a zone"
            )
    return ""
