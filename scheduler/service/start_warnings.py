"""Warns of programs in which a Scheduler fires nothing, makes processes hang, or starts in every process."""

from __future__ import annotations

import logging
import sys
from typing import Any

from ..functions.loading import being_loaded

log = logging.getLogger("scheduler.daemon")


def warn_of_host_server() -> None:
    """Log a warning if the program is a uWSGI process in which threads do not run, or from which others are forked."""
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is None or not isinstance(options := getattr(uwsgi, "opt", None), dict):
        return
    given = {name.decode() if isinstance(name, bytes) else str(name) for name in options}
    if not given & {"enable-threads", "threads"}:
        log.warning("uWSGI runs no threads, so no timer fires: start it with --enable-threads --lazy-apps")
    elif "master" in given and not given & {"lazy-apps", "lazy"} and uwsgi.worker_id() == 0:
        log.warning(
            "this is the master process of uWSGI, and a worker that it forks while a timer fires may hang: "
            "start it with --lazy-apps"
        )


def warn_of_loading() -> None:
    """Log a warning if a Scheduler starts while a cloud.py is loaded, because every process of a service loads it."""
    if (target := being_loaded()) is not None:
        log.warning(
            "a Scheduler starts while %s is loaded, so each process that loads it fires timers: "
            "start it in another file, which imports the engine from there",
            target,
        )
