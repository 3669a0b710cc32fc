"""The program of the processes of `scheduler up`: `python -m scheduler.up.program ROLE`, started by the supervisor."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import resource
import sys
import traceback
from collections.abc import Callable, Mapping

from quartzcron import CronError

from ..errors import SchedulerError
from ..formats.error_text import explained
from ..functions.source_snapshot import SourceSnapshot, load_from
from .handover import Channel, Handover, received_handover
from .log_setup import log_to_stderr
from .nonblocking_output import nonblocking_stdio
from .options import UpOptions
from .orders import Orders

#: Role → the function that serves it; only that of this process is imported.
ROLES: Mapping[str, str] = {
    "web": "web:serve",
    "daemon": "daemon:serve_timers",
    "stage": "web:serve",
    "service": "one_process:serve_all",
    "console": "console:serve",
}
#: The roles that pass the sources to workers.
_START_WORKERS = (ROLES["daemon"], ROLES["service"])


def main() -> None:
    """Serve in the role that the arguments name, and end."""
    handover = received_handover()
    if handover is None:
        sys.exit("only scheduler up starts this program")
    if handover.terminal:
        # Not line-buffered, because the streams that replace them are.
        out, err = handover.terminal
        sys.stdout, sys.stderr = os.fdopen(out, "w", closefd=False), os.fdopen(err, "w", closefd=False)
    try:
        status = _run(ROLES[sys.argv[1]], handover)
    except Exception:
        traceback.print_exc()
        status = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Do not wait for threads that the user's code has started.
    os._exit(status)


@nonblocking_stdio()
def _run(role: str, handover: Handover) -> int:
    channel = Channel(handover.channel)
    orders = Orders(channel)
    orders.follow()
    options = UpOptions(**handover.options)
    if handover.sources is not None:
        load_from(snapshot := SourceSnapshot(handover.sources))
        if role not in _START_WORKERS:
            snapshot.close()
    try:
        log_to_stderr(options.project().settings)
        module, _, function = role.partition(":")
        serve: Callable[[Handover, UpOptions, Channel, Orders], int]
        serve = getattr(importlib.import_module(f".{module}", __package__), function)
        return serve(handover, options, channel, orders)
    except (SchedulerError, CronError) as error:
        channel.send(refusal=explained(error))
        return 2
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        channel.send(refusal=f"too many open files: this process may have {limit}; raise it with: ulimit -n 4096")
        return 2


if __name__ == "__main__":
    main()
