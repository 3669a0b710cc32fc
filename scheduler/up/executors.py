"""The executors of `scheduler up`: for each environment that it serves, the one that the settings name."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from ..core.timer import Environment
from ..engine.credentials import our_keys
from ..executors import Executor
from ..executors.http import HttpExecutor
from ..executors.thread import ThreadExecutor
from ..fleet.executor import CeleryExecutor
from ..functions.loading import Target, load
from ..project.preview_sources import PreviewSource
from ..project.project import Project
from ..project.settings import EnvironmentSettings
from ..store.database import Store
from ..workers.executor import ProcessExecutor


def executors(
    project: Project, loaded: Target, preview: PreviewSource | None, store: Store, stack: ExitStack
) -> dict[Environment, Executor]:
    """An executor for each environment that is served; environments of the same settings share theirs.

    `loaded` is what `up` itself serves, `preview` the sources of a stage beside it. All end with the stack.
    """
    served = list(Environment) if preview or project.only_environment is None else [project.only_environment]
    made: dict[object, Executor] = {}
    for environment in served:
        key = _key(project, environment, preview)
        if key not in made:
            made[key] = _made(project, environment, loaded, preview, store)
            stack.callback(made[key].stop)
    for made_of, executor in made.items():
        # A preview is not waited for: one that does not load must not keep what is live from starting.
        if isinstance(executor, ProcessExecutor) and made_of != preview:
            executor.start()
    return {environment: made[_key(project, environment, preview)] for environment in served}


def _key(
    project: Project, environment: Environment, preview: PreviewSource | None
) -> EnvironmentSettings | PreviewSource:
    deployment = project.settings.for_environment(environment)
    is_preview = preview is not None and environment is Environment.STAGE and deployment.executor == "process"
    return preview if preview is not None and is_preview else deployment


def _made(
    project: Project, environment: Environment, loaded: Target, preview: PreviewSource | None, store: Store
) -> Executor:
    settings = project.settings
    key = _key(project, environment, preview)
    processes = partial(ProcessExecutor, workers=settings.workers, max_workers=settings.max_workers)
    own = {"LEANCLOUD_APP_ENV": environment.value}
    if isinstance(key, PreviewSource):
        return processes(key.target, environ=own, folder=key.folder)
    match key.executor:
        case "celery":
            return CeleryExecutor(store, settings.broker)
        case "http":
            keys = our_keys()
            return HttpExecutor(key.remote_engine or "", app_id=keys.app_id or "", app_key=keys.app_key or "")
        case "thread":
            target = load(key.target) if key.target else loaded
            return ThreadExecutor(target.registry, max_workers=settings.max_workers)
        case _:
            return processes(key.target or loaded.name, environ=own if key.target else {})
