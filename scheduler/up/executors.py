"""The executors of `scheduler up`: one for each environment that it serves, of the kind in the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ..core.timer import Environment
from ..engine.environment import variables_of
from ..executors import Executor, Starting
from ..executors.kinds import Deployment
from ..functions.loading import load
from ..functions.registry import Registry
from ..project.handed_on import SERVICE, handed_on
from ..project.preview_sources import PreviewSource
from ..project.project import Project
from ..project.settings import EnvironmentSettings
from ..store.database import Store


@dataclass(frozen=True, slots=True)
class ServedFunctions:
    """The functions that are served over HTTP, for the process that fires timers.

    `registry` loads them into this process, which only an executor with threads needs.
    """

    target: str
    keys: tuple[str, str]
    registry: Callable[[], Registry]
    hook_key: str | None = None


def executors(
    project: Project, served: ServedFunctions, preview: PreviewSource | None, store: Store, stack: ExitStack
) -> dict[Environment, Executor]:
    """An executor for each environment that is served; environments with the same settings share theirs.

    `preview` are the sources of a stage beside it. All executors stop when the stack is closed.
    """
    environments = list(Environment) if preview or project.only_environment is None else [project.only_environment]
    alike: dict[EnvironmentSettings | PreviewSource, list[Environment]] = {}
    for environment in environments:
        settings = project.settings.for_environment(environment)
        sources = preview if environment is Environment.STAGE and settings.kind.can_preview else None
        alike.setdefault(sources or settings, []).append(environment)
    made: dict[EnvironmentSettings | PreviewSource, Executor] = {}
    by_environment: dict[Environment, Executor] = {}
    for made_of, theirs in alike.items():
        settings = project.settings.for_environment(theirs[0])
        sources = preview if made_of == preview else None
        executor = settings.kind.make(_deployment(theirs, settings, sources, served, store))
        stack.callback(executor.stop)
        made[made_of] = executor
        by_environment |= dict.fromkeys(theirs, executor)
    for made_of, executor in made.items():
        # Do not wait for a preview: if it does not load, the live functions start all the same.
        if isinstance(executor, Starting) and made_of != preview:
            executor.start()
    return by_environment


def _deployment(
    environments: Sequence[Environment],
    settings: EnvironmentSettings,
    sources: PreviewSource | None,
    served: ServedFunctions,
    store: Store,
) -> Deployment:
    own_target = sources.target if sources else settings.target

    def registry() -> Registry:
        return load(own_target).registry if own_target else served.registry()

    return Deployment(
        environment=environments[0],
        also=tuple(environments[1:]),
        settings=dict(settings.executor_settings),
        target=lambda: own_target or served.target,
        registry=registry,
        store=lambda: store,
        keys=lambda: served.keys,
        hook_key=lambda: served.hook_key,
        # The functions that `up` serves get the environment in which `up` was started.
        environ=handed_on(variables_of(environments[0].value), SERVICE) if own_target else {},
        folder=sources.folder if sources else None,
    )
