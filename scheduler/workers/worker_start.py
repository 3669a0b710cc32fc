"""The start of a worker process: the descriptors between it and the daemon, and the command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from . import protocol
from .progress_cell import ProgressCell


class Started(NamedTuple):
    """A process that was started, and the daemon's ends of what it has in common with it."""

    process: subprocess.Popen[bytes]
    tasks: socket.socket
    #: The worker's end of the tasks: from it, the daemon takes back what the worker has not read.
    tasks_far: socket.socket
    results: socket.socket
    #: A pipe that ends the worker when the daemon has gone.
    lifeline: int
    progress: ProgressCell
    #: What begins each message of the worker.
    tag: bytes


def start(
    target: str,
    *,
    stdout: int,
    stderr: int,
    environ: Mapping[str, str],
    folder: Path | None,
    sources: int | None,
) -> Started:
    """Start a worker that loads `target`; `sources` is the descriptor of a snapshot of its sources, if there is one.

    OSError where the machine starts no process.
    """
    tasks, tasks_far = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_TYPE)
    results, results_far = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_TYPE)
    lifeline_far, lifeline = os.pipe()
    with tempfile.TemporaryFile() as shared:
        shared.truncate(ProgressCell.SIZE)
        progress = ProgressCell(shared.fileno())
        tag = progress.new_tag()
        passed = [tasks_far.fileno(), results_far.fileno(), shared.fileno(), lifeline_far]
        passed += [] if sources is None else [sources]
        # With -P: no file of the user's folder is to take the place of a module that this program imports.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scheduler.workers.program", target, *map(str, passed)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=passed,
            start_new_session=True,
            cwd=folder,
            env=environ,
        )
    results_far.close()
    os.close(lifeline_far)
    # Not the reading end of the tasks: the flag is shared with the worker, which has to block on it.
    tasks.setblocking(False)
    results.setblocking(False)
    return Started(process, tasks, tasks_far, results, lifeline, progress, tag)
