"""The start of a worker process: the descriptors between it and the daemon, and the command."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..own_programs import command
from . import protocol
from .progress_cell import ProgressCell
from .strays import strays


class Started(NamedTuple):
    """A started process, and the daemon's ends of the channels between the two."""

    process: subprocess.Popen[bytes]
    tasks: socket.socket
    #: The worker's end of the task channel, from which the daemon takes back messages that the worker has not read.
    tasks_far: socket.socket
    results: socket.socket
    #: A pipe whose closing ends the worker when the daemon dies.
    lifeline: int
    progress: ProgressCell
    #: The first bytes of each message of the worker.
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

    OSError if the machine cannot start a process.
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
        with strays.starting() as workers:
            process = subprocess.Popen(
                command("scheduler.workers.program", target, *map(str, passed)),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=passed,
                start_new_session=True,
                cwd=folder,
                env=environ,
            )
            workers.append(process)
    results_far.close()
    os.close(lifeline_far)
    # Not `tasks_far`: both processes share its flags, and the worker has to block on it.
    tasks.setblocking(False)
    results.setblocking(False)
    return Started(process, tasks, tasks_far, results, lifeline, progress, tag)
