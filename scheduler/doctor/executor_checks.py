"""The checks of executors: whether the executor of each environment can run its functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.timer import Environment
from ..engine.credentials import our_keys
from ..executors.kinds import Deployment
from ..functions.loading import load
from ..project.project import Project
from ..project.settings import EnvironmentSettings
from ..project.slow_loading import reporting_while_loading
from .findings import Finding


def check_workers(project: Project, target: str | None) -> Iterator[Finding]:
    """Check the executor of every environment that is served; executors with the same settings once."""
    served = [project.only_environment] if project.only_environment else list(Environment)
    checked: set[EnvironmentSettings] = set()
    for environment in served:
        settings = project.settings.for_environment(environment)
        if settings not in checked:
            checked.add(settings)
            alike = [other for other in served if project.settings.for_environment(other) == settings]
            with reporting_while_loading("the functions in a worker"):
                for text in settings.kind.check(_deployment(project, target, alike, settings)):
                    yield Finding.ok("workers", text)


def _deployment(
    project: Project, target: str | None, environments: Sequence[Environment], settings: EnvironmentSettings
) -> Deployment:
    def target_name() -> str:
        return settings.target or project.required_target_name(target)

    def keys() -> tuple[str, str]:
        known = our_keys()
        return known.app_id or "", known.app_key or ""

    return Deployment(
        environment=environments[0],
        also=tuple(environments[1:]),
        settings=dict(settings.executor_settings),
        target=target_name,
        registry=lambda: load(target_name()).registry,
        store=project.open_store,
        keys=keys,
    )
