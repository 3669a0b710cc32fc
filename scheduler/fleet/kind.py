"""The executor kind `celery`: how the daemon's side of a fleet is made, and checked."""

from __future__ import annotations

from collections.abc import Iterator

from ..executors.kinds import Deployment
from .broker import celery_app, check_broker
from .executor import CeleryExecutor


def make(deployment: Deployment) -> CeleryExecutor:
    return CeleryExecutor(deployment.store(), deployment.settings["broker"])


def check(deployment: Deployment) -> Iterator[str]:
    """Connect to the broker."""
    broker = deployment.settings["broker"]
    with deployment.store() as store:
        check_broker(celery_app(broker, store))
    yield f"the broker {broker.partition('://')[0]}:// answers"
