"""The executors of `scheduler up`: for each environment that it serves, one of the kind that the settings name."""

from __future__ import annotations

from contextlib import ExitStack

from ..core.timer import Environment
from ..engine.credentials import our_keys
from ..executors import Executor, Starting
from ..executors.kinds import Deployment
from ..functions.loading import Target, load
from ..functions.registry import Registry
from ..project.preview_sources import PreviewSource
from ..project.project import Project
from ..project.settings import EnvironmentSettings
from ..store.database import Store


def executors(
    project: Project, loaded: Target, preview: PreviewSource | None, store: Store, stack: ExitStack
) -> dict[Environment, Executor]:
    """An executor for each environment that is served; environments with the same settings share theirs.

    `loaded` are the functions that `up` itself serves, `preview` the sources of a stage beside it. All executors stop
    when the stack is closed.
    """
    served = list(Environment) if preview or project.only_environment is None else [project.only_environment]
    made: dict[EnvironmentSettings | PreviewSource, Executor] = {}
    by_environment: dict[Environment, Executor] = {}
    for environment in served:
        settings = project.settings.for_environment(environment)
        sources = preview if environment is Environment.STAGE and settings.kind.can_preview else None
        if (sources or settings) not in made:
            executor = settings.kind.make(_deployment(environment, settings, sources, loaded, store))
            stack.callback(executor.stop)
            made[sources or settings] = executor
        by_environment[environment] = made[sources or settings]
    for made_of, executor in made.items():
        # Do not wait for a preview: where it does not load, the live functions start all the same.
        if isinstance(executor, Starting) and made_of != preview:
            executor.start()
    return by_environment


def _deployment(
    environment: Environment,
    settings: EnvironmentSettings,
    sources: PreviewSource | None,
    loaded: Target,
    store: Store,
) -> Deployment:
    own_target = sources.target if sources else settings.target

    def registry() -> Registry:
        return (load(own_target) if own_target else loaded).registry

    return Deployment(
        environment=environment,
        settings=dict(settings.executor_settings),
        target=lambda: own_target or loaded.name,
        registry=registry,
        store=lambda: store,
        keys=_keys,
        # The functions that `up` serves see the environment that `up` was started in.
        environ={"LEANCLOUD_APP_ENV": environment.value} if own_target else {},
        folder=sources.folder if sources else None,
    )


def _keys() -> tuple[str, str]:
    keys = our_keys()
    return keys.app_id or "", keys.app_key or ""
