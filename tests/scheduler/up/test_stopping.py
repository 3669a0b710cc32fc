"""The end of scheduler up: runs in progress may end, nothing else is waited for without a bound."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scheduler.up.test_isolation import CLOUD, calls
from tests.scheduler.up_process import children, clean_environ, command, count_of, curl, living, up
from tests.waiting import PATIENCE_S, eventually, slowed

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cloud.py").write_text(CLOUD)
    return tmp_path


def run_slow(folder: Path) -> None:
    """Begin a run of eight seconds, or more on a busy machine; the service waits for it for a minute."""
    seconds = min(slowed(8), 40)
    (folder / "seconds").write_text(str(seconds))
    command(folder, "timers", "add", "slow", "--function", "slow", "--every", "3600", "--limit", "100")
    command(folder, "timers", "run", "slow")
    eventually((folder / "begun").exists)


def outcomes(folder: Path, outcome: str) -> int:
    return count_of(folder, f"SELECT count(*) FROM runs WHERE outcome = '{outcome}'")


@pytest.mark.parametrize("options", [(), ("--one-process",)])
def test_one_signal_after_a_reload_waits_for_the_run_of_the_previous_version(
    folder: Path, options: tuple[str, ...]
) -> None:
    """A process that retires has got one order already; the signal's is not the second one."""
    with up(folder, "--reload", *options) as running:
        run_slow(folder)
        (folder / "cloud.py").write_text(CLOUD + "\n# changed\n")
        eventually(lambda: running.stderr, lambda seen: "reloaded in" in seen)
        status, stderr = running.stop()
    assert (status, outcomes(folder, "succeeded")) == (0, 1), stderr


def test_a_signal_to_every_process_counts_once(folder: Path) -> None:
    """As when a service manager or a terminal sends one to all; the workers are not among them."""
    with up(folder) as running:
        run_slow(folder)
        processes = [running.process.pid, *children(running.process.pid)]
        for number in (signal.SIGINT, signal.SIGTERM):
            for pid in processes[1:]:
                os.kill(pid, number)
        running.process.send_signal(signal.SIGTERM)
        status, stderr = running.ended()
    assert (status, outcomes(folder, "succeeded")) == (0, 1), stderr


def test_ctrl_c_reaches_the_supervisor_only(folder: Path) -> None:
    """Its children are no members of the foreground process group; the first Ctrl-C waits, the second does not."""
    with up(folder) as running:
        run_slow(folder)
        assert {os.getpgid(pid) for pid in children(running.process.pid)}.isdisjoint({os.getpgid(running.process.pid)})
        running.process.send_signal(signal.SIGINT)
        eventually(lambda: running.stderr, lambda seen: "waiting for 1 in progress" in seen)
        running.process.send_signal(signal.SIGINT)
        status, stderr = running.ended()
    assert (status, outcomes(folder, "abandoned")) == (128 + signal.SIGINT, 1), stderr


def test_a_run_that_takes_longer_than_the_time_for_stopping_is_abandoned(folder: Path) -> None:
    """`stop_timeout_s`; the log says what was not waited for."""
    with up(folder, SCHEDULER_STOP_TIMEOUT_S="1") as running:
        run_slow(folder)
        status, stderr = running.stop()
    assert (status, outcomes(folder, "abandoned")) == (0, 1), stderr
    assert "ending what is still in progress: daemon" in stderr


@pytest.mark.parametrize("role", ["web", "daemon"])
def test_it_ends_although_a_process_stands_still(folder: Path, role: str) -> None:
    """One that was stopped by SIGSTOP is killed, by one signal, and named."""
    with up(folder) as running:
        processes = children(running.process.pid)
        stopped = running.only(role)
        os.kill(stopped, signal.SIGSTOP)
        started = time.monotonic()
        status, stderr = running.stop()
        assert time.monotonic() - started < slowed(30)
    assert status == 0
    assert f"killed, because it did not end: {role} (process {stopped})" in stderr
    assert living(*processes) == []


def test_it_ends_although_a_function_holds_the_interpreter(folder: Path) -> None:
    """The web process is killed; the daemon records its runs first."""
    with up(folder) as running:
        calls(running, "hold")
        run_slow(folder)
        status, stderr = running.stop()
    assert (status, outcomes(folder, "succeeded")) == (0, 1), stderr


def test_two_signals_end_it_at_once_although_everything_stands_still(folder: Path) -> None:
    """Every process was stopped by SIGSTOP."""
    with up(folder) as running:
        processes = children(running.process.pid)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        started = time.monotonic()
        status, _ = running.stop()
        assert time.monotonic() - started < slowed(15)
    assert status == 128 + signal.SIGTERM
    assert living(*processes) == []


def test_a_signal_while_the_functions_load_ends_it(folder: Path) -> None:
    """Nothing is in progress yet, so nothing is waited for."""
    (folder / "cloud.py").write_text("open('loading', 'w').close()\n__import__('time').sleep(100)\n")
    words = [sys.executable, "-m", "scheduler", "up", "--port", "0"]
    process = subprocess.Popen(words, cwd=folder, env=clean_environ())
    eventually((folder / "loading").exists)
    processes = children(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert living(*processes) == []


def test_an_import_of_half_a_minute_is_waited_for(folder: Path) -> None:
    """What is waited for is said; there is no limit of half a minute."""
    (folder / "cloud.py").write_text("import os\nif 'web' in open('/proc/self/cmdline').read():\n    "
                                     "__import__('time').sleep(12)\n" + CLOUD)  # fmt: skip
    with up(folder) as running:
        assert curl(running.facts["call"])[0] == 200
        assert "not ready yet, after 5 s: the web process" in running.stderr
        running.stop()


@pytest.mark.parametrize("executor", ["process", "thread"])
@pytest.mark.parametrize("signals", [1, 2])
def test_what_waits_for_a_worker_begins_no_more_after_a_signal(folder: Path, signals: int, executor: str) -> None:
    """It is given back, not abandoned; the next service runs it."""
    (folder / "cloud.py").write_text(CLOUD + WAITS)
    settings = f'executor = "{executor}"\nmax_workers = 2\nworkers = 1\nmax_timers = 0\n'
    (folder / "scheduler.toml").write_text(settings)
    for number in range(6):
        command(folder, "timers", "add", f"t{number}", "--function", "waits", "--every", "3600", "--limit", "600")
    with up(folder) as running:
        for number in range(6):
            command(folder, "timers", "run", f"t{number}")
        eventually(lambda: (folder / "begun").exists() and len((folder / "begun").read_text()) == 2)
        eventually(lambda: count_of(folder, f"SELECT count(*) FROM runs WHERE {HELD}") == 6)
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: count_of(folder, f"SELECT count(*) FROM runs WHERE {HELD}") == 2)
        if signals == 2:
            running.process.send_signal(signal.SIGTERM)
        else:
            (folder / "go").touch()
        _, stderr = running.ended()
    assert "waiting for 2 in progress" in stderr
    assert "gave back 4 runs that had not begun" in stderr
    assert len((folder / "begun").read_text()) == 2
    assert outcomes(folder, "succeeded" if signals == 1 else "abandoned") == 2
    (folder / "go").touch()
    with up(folder):
        eventually(lambda: outcomes(folder, "succeeded") == (6 if signals == 1 else 4))


#: Runs that a daemon has.
HELD = "owner IS NOT NULL AND outcome IS NULL"
WAITS = """

@engine.define
def waits():
    with open("begun", "a") as begun:
        begun.write("x")
    while not os.path.exists("go"):
        time.sleep(0.01)
"""


@pytest.mark.parametrize("options", [(), ("--one-process",)])
def test_a_child_that_a_call_has_left_holds_neither_the_end_nor_the_port(
    folder: Path, options: tuple[str, ...]
) -> None:
    """Of multiprocessing, which waits for it at the end of a program, and a bare fork."""
    (folder / "cloud.py").write_text(CLOUD + LEAVES)
    with up(folder, *options) as running:
        for name in ("starts", "forks"):
            assert curl(running.facts["call"], instead=name)[0] == 200
        port = int(running.url.rpartition(":")[2])
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(slowed(30)) == 0
        left = [int(pid) for pid in (folder / "left").read_text().split()]
        try:
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", port))
                listener.listen()
        finally:
            # They hold its stdout and stderr.
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            running.ended()


LEAVES = """
import multiprocessing


def note(pid):
    with open("left", "a") as left:
        left.write(f"{pid} ")


@engine.define
def starts():
    child = multiprocessing.Process(target=time.sleep, args=(300,))
    child.start()
    note(child.pid)


@engine.define
def forks():
    if (pid := os.fork()) == 0:
        time.sleep(300)
    note(pid)
"""


def test_a_service_without_standard_streams_fires_and_ends(tmp_path: Path) -> None:
    """As a program may start it that has closed all three; its processes get /dev/null for them."""
    (tmp_path / "cloud.py").write_text(
        "from scheduler.engine import Engine\nengine = Engine()\n"
        "@engine.timer(every=1, enabled=True)\n@engine.define\ndef tick(): open('ticked', 'w').close()\n"
    )
    command = f"exec {sys.executable} -m scheduler up --port 0 <&- >&- 2>&-"
    service = subprocess.Popen(["sh", "-c", command], cwd=tmp_path, env=clean_environ())
    try:
        eventually((tmp_path / "ticked").exists)
        service.terminate()
        assert service.wait(PATIENCE_S) == 0
    finally:
        service.kill()
        service.wait()
