"""The program of the processes of `scheduler up`: `python -m scheduler.up.program ROLE`, started by the supervisor."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sys
import traceback
from collections.abc import Callable, Mapping

from quartzcron import CronError

from ..errors import SchedulerError
from ..formats.error_text import explained
from ..functions.source_snapshot import SourceSnapshot, load_from
from ..importing import imported
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
    try:
        orders.follow()
        options = UpOptions(**handover.options)
        if handover.sources is not None:
            load_from(snapshot := SourceSnapshot(handover.sources))
            if role not in _START_WORKERS:
                snapshot.close()
        log_to_stderr(options.project().settings)
        module, _, function = role.partition(":")
        serve: Callable[[Handover, UpOptions, Channel, Orders], int]
        serve = getattr(imported(f".{module}", __package__), function)
        return serve(handover, options, channel, orders)
    except (SchedulerError, CronError) as error:
        channel.send(refusal=explained(error))
        return 2
    except (OSError, RuntimeError) as error:
        if not (refusal := _exhausted(error)):
            raise
        channel.send(refusal=refusal)
        return 2


def _exhausted(error: Exception) -> str:
    """The message for an error that means that a limit of the system is reached; empty for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"too many open files: this process may have {limit}; raise it with: ulimit -n 4096"
    if (isinstance(error, OSError) and error.errno == errno.EAGAIN) or "can't start new thread" in str(error):
        return (
            "no further thread can be started; the limits are "
            f"{_limit('ulimit -u', resource.RLIMIT_NPROC)} for all threads of this user, "
            f"{_limit('ulimit -v', resource.RLIMIT_AS)}, and that of a container (pids): raise the one that is reached"
        )
    return ""


def _limit(name: str, number: int) -> str:
    """A limit of this process as the shell shows it."""
    value, _ = resource.getrlimit(number)
    per = 1024 if number == resource.RLIMIT_AS else 1
    return f"{name} {'unlimited' if value == resource.RLIM_INFINITY else value // per}"


if __name__ == "__main__":
    main()
