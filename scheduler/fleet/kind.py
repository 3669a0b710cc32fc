"""The executor kind `celery`: makes the daemon's side of a fleet, and checks the broker and the workers."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import SchedulerError
from ..executors.kinds import Deployment
from .broker import celery_app, check_broker
from .executor import CeleryExecutor
from .presence import no_worker_serves, serving_workers, silent_workers, stand_still, unserved


def make(deployment: Deployment) -> CeleryExecutor:
    return CeleryExecutor(deployment.store(), deployment.settings["broker"], environments=deployment.environments)


def check(deployment: Deployment) -> Iterator[str]:
    """Connect to the broker, and count the workers."""
    broker = deployment.settings["broker"]
    with deployment.store() as store:
        check_broker(celery_app(broker, store))
        yield f"the broker {broker.partition('://')[0]}:// answers"
        with store.reading() as connection:
            workers, silent = serving_workers(connection), silent_workers(connection)
        if silent:
            raise SchedulerError(stand_still(silent))
        if without := unserved(store, deployment.environments):
            raise SchedulerError(no_worker_serves(without))
        yield ", ".join(f"workers that serve {name}: {workers[name]}" for name in deployment.environments)
