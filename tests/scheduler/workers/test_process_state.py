"""What a function changes in its process is put back before the next run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from scheduler.core.run import Outcome
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.workers.test_executor import run

FUNCTIONS = """
import gc
import io
import os
import resource
import signal
import socket
import sys
import threading
import time

from scheduler.functions import Registry

registry = Registry()
define = registry.define
os.environ["SET_WHEN_LOADED"] = "yes"


@define
def shows():
    return {
        "folder": os.getcwd(),
        "umask": os.umask(0o022) and "other" or "none",
        "variables": {name: os.environ.get(name) for name in ("PATH", "SET_WHEN_LOADED", "NEW", "TZ")},
        "inherited": os.popen("echo $SET_WHEN_LOADED $NEW").read(),
        "zone": time.tzname,
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD)],
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "streams": [type(sys.stdout).__name__, type(sys.stderr).__name__],
        "trace": sys.gettrace() is None and sys.getprofile() is None,
        "recursion": sys.getrecursionlimit(),
        "timeout": socket.getdefaulttimeout(),
        "gc": gc.isenabled(),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "data": resource.getrlimit(resource.RLIMIT_DATA),
        "collection": (gc.get_threshold(), gc.get_debug(), len(gc.callbacks)),
        "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "processors": len(os.sched_getaffinity(0)),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "stdin": sys.stdin is not None,
        "modules": [name in sys.modules for name in ("json", "os", "warnings")],
        "finders": len(sys.meta_path) > 2,
    }


@define
def changes_the_folder():
    os.chdir("/")


@define
def changes_the_folder_and_closes_all_descriptors_of_files():
    os.chdir("/")
    for descriptor in range(3, 64):
        try:
            if os.path.isdir(f"/proc/self/fd/{descriptor}"):
                os.close(descriptor)
        except OSError:
            pass


@define
def changes_the_umask():
    os.umask(0)


@define
def empties_the_environment():
    os.environ.clear()


@define
def replaces_the_environment():
    os.environ = {"NEW": "1"}


@define
def sets_variables():
    os.environ["NEW"] = "1"
    os.environ["PATH"] = "/nowhere"
    del os.environ["SET_WHEN_LOADED"]


@define
def sets_the_time_zone():
    os.environ["TZ"] = "America/New_York"
    time.tzset()


@define
def sets_the_time_zone_and_hides_it():
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    del os.environ["TZ"]


@define
def leaves_an_alarm():
    signal.alarm(1)


@define
def leaves_handlers():
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)


@define
def replaces_the_streams():
    sys.stdout = sys.stderr = io.StringIO()


@define
def takes_the_streams_away():
    sys.stdout = sys.stderr = None


@define
def leaves_hooks_and_limits():
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    sys.setrecursionlimit(150)
    socket.setdefaulttimeout(0.001)
    gc.disable()
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@define
def slows_all_calls():
    def slow(*_):
        time.sleep(0.05)
        return slow

    sys.setprofile(slow)


@define
def leaves_settings_of_the_collection():
    gc.set_threshold(0)
    gc.set_debug(gc.DEBUG_UNCOLLECTABLE)
    gc.callbacks.append(lambda *_: 1 / 0)


@define
def blocks_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))


@define
def leaves_other_processors_and_limits():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_DATA, (1_000_000, resource.getrlimit(resource.RLIMIT_DATA)[1]))


@define
def takes_the_modules_away():
    sys.modules.clear()
    sys.meta_path.clear()
    sys.stdin = None


@define
def has_a_low_priority():
    os.nice(19)
"""

CHANGING = [
    "changes_the_folder",
    "changes_the_folder_and_closes_all_descriptors_of_files",
    "changes_the_umask",
    "empties_the_environment",
    "replaces_the_environment",
    "sets_variables",
    "sets_the_time_zone",
    "sets_the_time_zone_and_hides_it",
    "leaves_an_alarm",
    "leaves_handlers",
    "replaces_the_streams",
    "takes_the_streams_away",
    "leaves_hooks_and_limits",
    "slows_all_calls",
    "leaves_settings_of_the_collection",
    "blocks_signals",
    "leaves_other_processors_and_limits",
    "takes_the_modules_away",
    # For good: another worker takes the next run. Its priority shows whose it is, unless all have a low one.
    *(["has_a_low_priority"] if os.getpriority(os.PRIO_PROCESS, 0) == 0 else []),
]


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "changing_functions.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(
        str(folder / "changing_functions.py"), workers=1, max_workers=1, environ={"TZ": "UTC"}, folder=folder
    )
    executor.start()
    yield executor
    executor.stop()


@pytest.mark.parametrize("function", CHANGING)
def test_the_next_run_finds_the_process_as_it_was_when_the_functions_were_loaded(
    executor: ProcessExecutor, function: str
) -> None:
    """In the same worker, unless that is one in which it cannot be put back."""
    before = run(executor, "shows")[0]
    assert run(executor, function)[0].outcome is Outcome.SUCCEEDED
    after = run(executor, "shows")[0]
    assert after.outcome is Outcome.SUCCEEDED, after.error
    assert json.loads(str(after.result)) == json.loads(str(before.result))
    shown = json.loads(str(before.result))
    assert shown["variables"]["SET_WHEN_LOADED"] == "yes"
    assert shown["zone"] == ["UTC", "UTC"]
