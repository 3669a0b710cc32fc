"""The program of a worker process: load the user's functions, then run the daemon's orders, one at a time.

Started by worker.py as `python -m scheduler.workers.program`. `run_order`, which calls one function, serves the child
processes of a fleet too (fleet/worker.py).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import copy_context
from functools import lru_cache
from typing import Any

from ..core.breaker import Verdict
from ..core.run import Outcome
from ..core.timestamps import instant
from ..errors import FunctionError, SchedulerError, UnknownFunctionError, class_name, is_refusal
from ..executors import outcome
from ..functions import log_records
from ..functions.calling import invoke
from ..functions.context import Call, TimerCall, current_call
from ..functions.loading import load
from ..functions.registry import Registry
from ..functions.source_snapshot import SourceSnapshot, changed_names, current, have_changed, load_from
from ..functions.tracebacks import from_users_frame
from . import process_tree, protocol
from .process_state import ProcessState
from .progress_cell import ProgressCell
from .run_output import RunOutput, RunRecords
from .worker_clock import monotonic_us
from .worker_messages import Sender
from .zombies import LOOK_EVERY_US, Reaper, become_reaper


def main() -> None:
    """Serve until the daemon closes the channel."""
    target, tasks_fd, results_fd, progress_fd, lifeline = sys.argv[1], *map(int, sys.argv[2:6])
    process_tree.die_with_parent(lifeline)
    become_reaper()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tasks, results = socket.socket(fileno=tasks_fd), socket.socket(fileno=results_fd)
    for descriptor in (tasks_fd, results_fd, lifeline):
        os.set_inheritable(descriptor, False)
    progress = ProgressCell.shielded(progress_fd)
    sender = Sender(results, progress.tag)
    output = RunOutput(sender.line, monotonic_us)
    output.threads.follow()
    if len(sys.argv) > 6:
        snapshot = SourceSnapshot(int(sys.argv[6]))
        snapshot.close()
        load_from(snapshot)
    sys.stdout, sys.stderr = output.stdout, output.stderr
    # Before the functions are loaded, because they may set other levels.
    logging.getLogger().setLevel(os.environ.get(log_records.LEVEL_VARIABLE, "info").upper())
    log_records.follow(RunRecords(output))
    try:
        registry = load(target).registry
    except SchedulerError as error:
        sender.broken(str(error))
        return
    sender.ready()
    _serve(tasks, sender, progress, registry, output)


def _serve(tasks: socket.socket, sender: Sender, progress: ProgressCell, registry: Registry, output: RunOutput) -> None:
    own_pid = os.getpid()
    reaper, look_at = Reaper(), 0
    state = ProcessState()
    while message := tasks.recv(protocol.MAX_MESSAGE):
        chunk, orders = protocol.chunk_number(message), protocol.orders_in(message)
        if chunk == protocol.WARM_UP:
            _warm_up(orders, output)
            progress.warmed_up()
            continue
        for index, order in enumerate(orders):
            progress.begin(chunk, index, monotonic_us())
            if progress.is_revoked(chunk):
                progress.withdraw(chunk, index)
                break
            ending = run_order(registry, output, order)
            if os.getpid() != own_pid:
                # A function forked and both processes returned: only the parent is the worker.
                os._exit(0)
            if ending[2:] == _PLAIN_SUCCESS:
                progress.end(chunk, index, ending[0], ending[1])
            else:
                sender.ended(chunk, index, ending)
            state.restore()
        is_restored = state.restore_rest()
        sender.done(chunk)
        if not is_restored:
            sender.line(0, monotonic_us(), "warning", _CHANGED_FOR_GOOD)
            os._exit(0)
        if (now_us := monotonic_us()) >= look_at:
            reaper.look()
            look_at = now_us + LOOK_EVERY_US
        progress.show_left_over(threading.active_count() > 1 or reaper.has_children)


_CHANGED_FOR_GOOD = "another worker replaces this one: a function has changed its user, priority or limits"


def _warm_up(orders: list[protocol.Order], output: RunOutput) -> None:
    """Process orders without calling functions: on an idle processor, the first orders take three times as long."""
    for order in orders:
        run_order(_NO_OPS, output, order._replace(run_id=0, params="{}"))


class _NoOpRegistry(Registry):
    """A registry in which every name is a function that does nothing."""

    def get(self, _: str) -> Callable[..., Any]:
        return _no_op


def _no_op() -> None:
    pass


_NO_OPS = _NoOpRegistry()
#: The fields of a PackedEnding of a run that succeeded and returned None.
_RETURNED_NONE = (Outcome.SUCCEEDED.value, Verdict.GOOD.value, None, None)
#: The fields after the two instants, for such a run that dropped no line.
_PLAIN_SUCCESS = (*_RETURNED_NONE, 0)
#: Many runs share a fire time.
_fire_time = lru_cache(maxsize=16)(instant)


def run_order(registry: Registry, output: RunOutput, order: protocol.Order) -> tuple[Any, ...]:
    """Call the function of an order, and return the fields of a PackedEnding, as a plain tuple because that is faster.

    The instants are those of `output`'s clock. It raises nothing, whatever the function raises.
    """
    output.begin(order.run_id)
    call = Call(
        function=order.function,
        request_id=order.request_id,
        deadline=monotonic_us() / 1_000_000 + order.limit_s,
        timer=TimerCall(order.timer, _fire_time(order.fire_at), order.attempt, order.past_due),
    )
    now_us = output.now_us
    started_at = now_us()
    end = copy_context().run(_call, registry, output, order, call)
    return started_at, now_us(), *end, output.end()


def _call(
    registry: Registry, output: RunOutput, order: protocol.Order, call: Call
) -> tuple[str, str, str | None, str | None]:
    current_call.set(call)
    end = outcome.of_call(lambda: _invoke(registry, output, order))
    if end is outcome.RETURNED_NONE:
        return _RETURNED_NONE
    if end.verdict is Verdict.NEUTRAL:
        output.add_line("warning", str(end.error))
    return end.outcome.value, end.verdict.value, end.error, end.result


def _unknown(error: UnknownFunctionError) -> FunctionError:
    """The error for an unknown function; it says if the sources have changed since they were loaded."""
    snapshot = current()
    if snapshot is None or not (names := changed_names(snapshot.loaded())):
        return error
    what = f"{have_changed(names)} since the functions were loaded"
    return FunctionError(f"{error}; {what}: restart `scheduler up`, or use --reload")


def _invoke(registry: Registry, output: RunOutput, order: protocol.Order) -> Any:
    try:
        return invoke(registry.get(order.function), json.loads(order.params) if order.params != "{}" else {})
    except UnknownFunctionError as error:
        raise _unknown(error) from None
    except SchedulerError:
        raise
    except BaseException as error:
        if not is_refusal(error):
            _print_traceback(error, output)
        raise


def _print_traceback(error: BaseException, output: RunOutput) -> None:
    """Write the traceback, from the user's first frame on, to the run's lines."""
    try:
        text = "".join(traceback.format_exception(from_users_frame(error)))
    except BaseException as another:
        text = f"{class_name(error)}, whose text raises {class_name(another)}\n"
    output.add_error(text)


if __name__ == "__main__":
    main()
