"""Warns of servers around the program under which a Scheduler fires nothing, or makes processes hang."""

from __future__ import annotations

import logging
import sys
from typing import Any

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
