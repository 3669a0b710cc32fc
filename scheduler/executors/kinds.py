"""The table of executor kinds: the name of each in the settings, how to make it, and how `scheduler doctor` checks it.

A new kind is a file, or a room, with `make` and `check`, and one row of KINDS. A kind that another distribution brings
is an entry point instead of a row, and `executor = "NAME"` uses it:

    [project.entry-points."scheduler.executors"]
    NAME = "package.module:KIND"          # an ExecutorKind
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from . import Executor

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ..core.timer import Environment
    from ..functions.registry import Registry

GROUP = "scheduler.executors"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSetting:
    """A setting of an executor: `name = …` in scheduler.toml, and the environment variable SCHEDULER_NAME.

    A whole number within `bounds`, or a text if `bounds` is None. If it `is_of_environment`, each environment may have
    a value of its own.
    """

    name: str
    default: Any = None
    bounds: tuple[int, int] | None = None
    is_of_environment: bool = False
    #: For a required setting: an example of a value, and its meaning.
    needed: str = ""
    #: The help of the option of `scheduler up`; without it, there is no option.
    help: str = ""
    metavar: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The parts for making an executor. Each is loaded or opened only when its function is called."""

    environment: Environment
    #: The values of the kind's settings, by name.
    settings: Mapping[str, Any]
    #: The name of the cloud.py or module:attribute with the functions; TargetError if there is none.
    target: Callable[[], str]
    #: The functions, loaded into this process.
    registry: Callable[[], Registry]
    #: The store, a scheduler.store.Store.
    store: Callable[[], Any]
    #: The application's id and key.
    keys: Callable[[], tuple[str, str]]
    #: Its hook key, which proves that a call comes from the application itself.
    hook_key: Callable[[], str | None] = lambda: None
    #: Environment variables for processes that load the functions, and their working folder.
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    #: Further environments with the same settings, which share the executor.
    also: tuple[Environment, ...] = ()

    @property
    def environments(self) -> tuple[Environment, ...]:
        """All environments whose functions the executor runs."""
        return (self.environment, *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorKind:
    """One kind of executor."""

    make: Callable[[Deployment], Executor]
    #: Yields a line for each check that passes; raises a SchedulerError, with the fix, for one that fails.
    check: Callable[[Deployment], Iterator[str]]
    settings: tuple[ExecutorSetting, ...] = ()
    #: Whether it runs the functions of another program instead of those of `Deployment.target`.
    has_own_functions: bool = False
    #: Whether it can run functions from another folder, as a preview needs.
    can_preview: bool = False
    #: Whether the store shows that a run has begun before it ends.
    shows_begins: bool = False


def _late(name: str) -> Callable[[Deployment], Any]:
    """A function of this package, named as `module:function`; the first call imports its module.

    So this room does not import the rooms that its rows name, and no command imports an executor that it does not use.
    """

    def call(deployment: Deployment) -> Any:
        module, _, function = name.partition(":")
        return getattr(import_module(f".{module}", "scheduler"), function)(deployment)

    return call


_MAX_WORKERS = ExecutorSetting(name="max_workers", default=32, bounds=(1, 1_000))

KINDS: Mapping[str, ExecutorKind] = {
    "process": ExecutorKind(
        make=_late("workers.kind:make"),
        check=_late("workers.kind:check"),
        settings=(
            ExecutorSetting(
                name="workers",
                default=2,
                bounds=(1, 1_000),
                help="Worker processes kept ready (default 2).",
                metavar="N",
            ),
            _MAX_WORKERS,
            ExecutorSetting(
                name="load_timeout_s",
                default=300,
                bounds=(1, 86_400),
                help="Seconds that a worker process may take to load the functions (default 300).",
                metavar="SECONDS",
            ),
            ExecutorSetting(name="worker_max_runs", default=0, bounds=(0, 1_000_000_000)),
            ExecutorSetting(name="worker_max_mb", default=0, bounds=(0, 1_000_000)),
        ),
        can_preview=True,
    ),
    "thread": ExecutorKind(
        make=_late("executors.thread:make"), check=_late("executors.thread:check"), settings=(_MAX_WORKERS,)
    ),
    "http": ExecutorKind(
        make=_late("executors.http:make"),
        check=_late("executors.http:check"),
        settings=(
            ExecutorSetting(
                name="remote_engine",
                is_of_environment=True,
                needed='"https://…", the engine to call',
                help="Engine that the executor http calls.",
                metavar="URL",
            ),
        ),
        has_own_functions=True,
    ),
    "celery": ExecutorKind(
        make=_late("fleet.kind:make"),
        check=_late("fleet.kind:check"),
        settings=(
            ExecutorSetting(
                name="broker",
                default="pgmq://",
                help="Broker of the executor celery: pgmq:// (the store itself, the default), amqp://… or redis://….",
                metavar="URL",
            ),
        ),
        shows_begins=True,
    ),
}


def kind_names() -> list[str]:
    """The names of all kinds; those of other distributions come last."""
    return [*KINDS, *_entry_points()]


def kind(name: str) -> ExecutorKind:
    """The kind of that name; ConfigError if there is none, or if its entry point does not load."""
    if name in KINDS:
        return KINDS[name]
    if name not in _entry_points():
        raise ConfigError(f"unknown executor {name!r}: expected {' or '.join(kind_names())}")
    entry_point = _entry_points()[name]
    try:
        loaded = entry_point.load()
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(f"the executor {name!r} cannot be loaded from {entry_point.value}: {what}") from error
    if not isinstance(loaded, ExecutorKind):
        raise ConfigError(
            f"the executor {name!r}: {entry_point.value} is a {type(loaded).__name__}, not an ExecutorKind"
        )
    return loaded


@cache
def _entry_points() -> Mapping[str, EntryPoint]:
    """Read once, and only for an executor that is not in the table, because it takes some 10 ms."""
    from importlib.metadata import entry_points

    return {entry_point.name: entry_point for entry_point in entry_points(group=GROUP) if entry_point.name not in KINDS}
