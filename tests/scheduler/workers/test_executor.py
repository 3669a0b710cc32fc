"""Real worker processes: functions that return, raise, print, die and hang."""

import select
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Kind, Outcome, Task
from scheduler.errors import TargetError
from scheduler.executors import Report, outcome
from scheduler.workers.executor import ProcessExecutor
from scheduler.workers.progress_cell import ProgressCell
from tests.scheduler.scripted_service import START
from tests.scheduler.up_process import living
from tests.waiting import PATIENCE_S, eventually, slowed

FUNCTIONS = """
import asyncio
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time

from scheduler.errors import LeanEngineError
from scheduler.functions import Registry

registry = Registry()
define = registry.define


@define
def hello(name="world"):
    print("saying hello")
    print("to stderr", file=sys.stderr)
    logging.getLogger("mine").warning("a warning")
    return {"hello": name}


@define
def prints_bytes():
    sys.stdout.reconfigure(line_buffering=True)
    sys.stdout.buffer.write(b"half \\xe4\\xb8")
    sys.stdout.buffer.write(b"\\xad, wrong \\xff\\n")
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print("through a wrapper", end="")


@define
def fails():
    raise ValueError("no such luck")


@define
def refuses():
    raise LeanEngineError(123, "not you")


@define
async def waits():
    await asyncio.sleep(0.01)
    return "waited"


@define
def exits():
    sys.exit(3)


@define
def dies():
    os._exit(7)


@define
def crashes():
    os.kill(os.getpid(), signal.SIGSEGV)


@define
def sleeps(pidfile=None):
    note(pidfile)
    time.sleep(60)


@define
def spins(pidfile=None):
    note(pidfile)
    while True:
        pass


@define
def ignores_sigterm(pidfile=None):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(pidfile)
    while True:
        time.sleep(1)


@define
def holds_the_gil(pidfile=None):
    note(pidfile)
    import re
    re.match(r"(a+)+$", "a" * 60 + "b")


@define
def swallows(pidfile=None):
    note(pidfile)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass


@define
def has_children(pidfile=None):
    child = subprocess.Popen(["sleep", "60"])
    leaver = subprocess.Popen(["sleep", "60"], start_new_session=True)
    note(pidfile, child.pid, leaver.pid)
    if os.fork() == 0:
        note(pidfile)
        time.sleep(60)
    time.sleep(60)


@define
def is_loud():
    for number in range(10_000):
        print("line", number)
    print("x" * 10_000_000)


@define
def has_a_loud_child():
    subprocess.run(["sh", "-c", "echo from a child; yes | head -c 300000"], check=True)


@define
def has_a_talking_child():
    subprocess.run(["sh", "-c", "echo from a child; echo to stderr >&2"], check=True)


@define
def pauses(seconds):
    time.sleep(seconds)


@define
def forks_and_returns_twice():
    os.fork()


@define
def writes_where_it_should_not():
    for descriptor in range(3, 40):
        try:
            os.write(descriptor, b"garbage")
        except OSError:
            pass


@define
def leaves_a_child_without_environment(pidfile):
    child = subprocess.Popen(["/bin/sleep", "60"], env={}, start_new_session=True)
    note(pidfile, child.pid)
    time.sleep(60)


@define
def raises_an_error_without_text():
    class OddError(Exception):
        def __str__(self):
            raise ValueError
    raise OddError


@define
def returns_a_lot():
    return "x" * 50_000_000


@define
def returns_an_oddity():
    return object()


def note(pidfile, *pids):
    if pidfile:
        with open(pidfile, "a") as file:
            print(os.getpid(), *pids, file=file)
"""


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions_of_mine.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(folder / "functions_of_mine.py"), workers=2)
    executor.start()
    yield executor
    executor.stop()


def task(function: str, run_id: int = 1, *, params: str = "{}", limit_s: float = PATIENCE_S) -> Task:
    return Task(
        run_id=run_id,
        timer_id=1,
        timer="t",
        function=function,
        environment="production",
        params=params,
        limit_s=limit_s,
        kind=Kind.SCHEDULED,
        fire_time=START,
        attempt=1,
        request_id="r",
        past_due=False,
    )


def collect(executor: ProcessExecutor, count: int) -> Report:
    """Collect until `count` tasks have ended."""
    gathered = Report()

    def turn() -> None:
        check = executor.next_check()
        select.select(executor.filenos(), [], [], min(0.5, 0.5 if check is None else check))
        report = executor.collect()
        gathered.ended += report.endings()
        gathered.lines += report.lines

    eventually(lambda: gathered.ended, lambda seen: len(seen) >= count, between=turn)
    return gathered


def run(executor: ProcessExecutor, function: str, **options: object) -> tuple[Ending, list[tuple[str, str]]]:
    executor.submit([task(function, **options)])  # type: ignore[arg-type]
    report = collect(executor, 1)
    return report.ended[0][1], [(line.level, line.text) for line in report.lines]


@pytest.mark.parametrize(
    ("function", "outcome", "verdict", "error", "result"),
    [
        ("hello", Outcome.SUCCEEDED, Verdict.GOOD, None, '{"hello": "world"}'),
        ("waits", Outcome.SUCCEEDED, Verdict.GOOD, None, '"waited"'),
        ("fails", Outcome.FAILED, Verdict.FAILURE, "ValueError: no such luck", None),
        ("refuses", Outcome.FAILED, Verdict.NEUTRAL, "LeanEngineError [123]: not you", None),
        ("exits", Outcome.FAILED, Verdict.FAILURE, "SystemExit: 3", None),
        ("dies", Outcome.FAILED, Verdict.FAILURE, "the worker process ended with exit status 7", None),
        ("crashes", Outcome.FAILED, Verdict.FAILURE, "the worker process was killed by SIGSEGV", None),
    ],
)
def test_a_run_ends_as_its_function_does(
    executor: ProcessExecutor,
    function: str,
    outcome: Outcome,
    verdict: Verdict,
    error: str | None,
    result: str | None,
) -> None:
    """Each way for a function to end has its outcome, and its verdict for the breaker."""
    ending, _ = run(executor, function)
    assert (ending.outcome, ending.verdict, ending.error, ending.result) == (outcome, verdict, error, result)


def test_a_missing_function_is_a_failure_that_names_the_others(executor: ProcessExecutor) -> None:
    """The timer's function is no longer defined."""
    ending, _ = run(executor, "vanished")
    assert (ending.outcome, ending.verdict) == (Outcome.FAILED, Verdict.FAILURE)
    assert "no function 'vanished'; known functions: crashes, dies" in str(ending.error)


def test_wrong_arguments_are_named(executor: ProcessExecutor) -> None:
    """A parameter that the function does not take is no failure of the function."""
    ending, _ = run(executor, "hello", params='{"nmae": 1}')
    assert ending.verdict is Verdict.NEUTRAL
    assert "nmae" in str(ending.error)


def test_what_a_run_prints_has_its_level(executor: ProcessExecutor) -> None:
    """stdout is info, stderr is error, the logging module keeps its own levels."""
    _, lines = run(executor, "hello")
    assert lines == [("info", "saying hello"), ("error", "to stderr"), ("warning", "a warning")]


def test_bytes_and_wrappers_of_stdout_print_too(executor: ProcessExecutor) -> None:
    """As on any stdout, in every run: text may be cut anywhere, invalid UTF-8 is replaced, nothing is held back."""
    for _ in range(3):
        ending, lines = run(executor, "prints_bytes")
        assert ending.outcome is Outcome.SUCCEEDED
        assert lines == [("info", "half 中, wrong \ufffd"), ("info", "through a wrapper")]
    assert ("info", "saying hello") in run(executor, "hello")[1]


def test_the_traceback_begins_in_the_users_code(executor: ProcessExecutor) -> None:
    """None of the frames is ours."""
    _, lines = run(executor, "fails")
    text = "\n".join(line for _, line in lines)
    assert "functions_of_mine.py" in text
    assert "scheduler" not in text


@pytest.mark.parametrize(
    "function",
    [
        "sleeps",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("spins", "ignores_sigterm", "holds_the_gil", "swallows", "has_children")
        ),
    ],
)
def test_a_function_over_its_limit_is_killed_with_its_children(
    executor: ProcessExecutor, tmp_path: Path, function: str
) -> None:
    """Whatever it does, soon after the limit; none of its processes is left."""
    pidfile = tmp_path / "pids"
    ending, _ = run(executor, function, params=f'{{"pidfile": "{pidfile}"}}', limit_s=0.5)
    assert (ending.outcome, ending.verdict, ending.error) == (
        Outcome.TIMED_OUT,
        Verdict.FAILURE,
        "over its limit of 0.5 s",
    )
    assert ending.text == "timerAction timed-out and no fallback available."
    assert ending.started_at is not None
    assert 0.5 <= (ending.ended_at - ending.started_at).total_seconds() < 0.5 + slowed(1)
    pids = [int(pid) for pid in pidfile.read_text().split()]
    assert pids
    assert living(*pids) == []


@pytest.mark.slow
def test_hung_functions_leave_the_others_alone(executor: ProcessExecutor) -> None:
    """Ten that hang for ever, and the tasks handed out after them run."""
    executor.submit([task("sleeps", run_id, limit_s=2) for run_id in range(1, 11)])
    executor.submit([task("waits", run_id) for run_id in range(11, 31)])
    report = collect(executor, 30)
    outcomes = {task.run_id: ending.outcome for task, ending in report.ended}
    assert [outcomes[run_id] for run_id in range(1, 11)] == [Outcome.TIMED_OUT] * 10
    assert [outcomes[run_id] for run_id in range(11, 31)] == [Outcome.SUCCEEDED] * 20


@pytest.mark.slow
def test_the_tasks_behind_one_that_kills_its_worker_run_in_others(executor: ProcessExecutor) -> None:
    """Every task ends exactly once, and only the deadly ones fail."""
    collect_after = [task("waits", 1)]
    executor.submit(collect_after)
    collect(executor, 1)
    deadly = {5, 50, 95}
    executor.submit([task("dies" if run_id in deadly else "hello", run_id) for run_id in range(1, 101)])
    report = collect(executor, 100)
    assert sorted(task.run_id for task, _ in report.ended) == list(range(1, 101))
    assert {task.run_id for task, ending in report.ended if ending.outcome is Outcome.FAILED} == deadly


def test_a_loud_function_is_cut_and_counted(executor: ProcessExecutor) -> None:
    """600 lines a minute of at most 4,096 characters; the rest is dropped and counted."""
    ending, lines = run(executor, "is_loud")
    assert ending.outcome is Outcome.SUCCEEDED
    assert len(lines) == 601
    assert lines[-1] == ("warning", "… 9401 more lines were dropped: a run may print 600 a minute")
    assert ending.lines_dropped == 10_001 - 600


def test_what_a_child_process_prints_is_kept_too(executor: ProcessExecutor) -> None:
    """Raw output has the same limits, and its level by stream."""
    ending, lines = run(executor, "has_a_loud_child")
    assert ending.outcome is Outcome.SUCCEEDED
    assert lines[0] == ("info", "from a child")
    assert len(lines) == 601
    assert ending.lines_dropped == 150_001 - 600


def test_what_a_child_process_prints_has_its_level_by_stream(executor: ProcessExecutor) -> None:
    """stdout is info, stderr is error, as for the function itself."""
    _, lines = run(executor, "has_a_talking_child")
    assert sorted(lines) == [("error", "to stderr"), ("info", "from a child")]


def test_tasks_behind_one_that_turns_out_slow_are_not_lost(executor: ProcessExecutor) -> None:
    """Collected while it runs, and again when it has ended by itself: the others have run in another worker."""
    for number in range(1, 6):
        executor.submit([task("pauses", number, params='{"seconds": 0}')])
        collect(executor, 1)
    executor.submit([task("pauses", number, params='{"seconds": 0}') for number in range(6, 26)])
    collect(executor, 20)
    slow = task("pauses", 26, params='{"seconds": 0.06}')
    executor.submit([slow, *(task("pauses", number, params='{"seconds": 0}') for number in range(27, 60))])
    time.sleep(0.03)
    looked = executor.collect()
    time.sleep(0.05)
    report = collect(executor, 34 - len(looked))
    ended = [task.run_id for task, _ in looked.endings() + report.endings()]
    assert sorted(ended) == list(range(26, 60))


def test_a_function_that_forks_and_returns_on_both_sides_ends_once(executor: ProcessExecutor) -> None:
    """The child does not act as a second worker."""
    for number in range(1, 4):
        executor.submit([task("forks_and_returns_twice", number)])
        assert [ending.outcome for _, ending in collect(executor, 1).ended] == [Outcome.SUCCEEDED]
    assert run(executor, "waits")[0].outcome is Outcome.SUCCEEDED


@pytest.mark.slow
def test_a_function_that_writes_where_it_should_not_harms_only_itself(executor: ProcessExecutor) -> None:
    """Its worker is killed, and the service goes on."""
    for number in range(1, 4):
        executor.submit([task("writes_where_it_should_not", number)])
        assert [ended.run_id for ended, _ in collect(executor, 1).ended] == [number]
    assert run(executor, "waits")[0].outcome is Outcome.SUCCEEDED


@pytest.mark.slow
def test_a_child_without_the_workers_environment_is_killed_too(executor: ProcessExecutor, tmp_path: Path) -> None:
    """It is found by its parent's pid."""
    pidfile = tmp_path / "pids"
    ending, _ = run(executor, "leaves_a_child_without_environment", params=f'{{"pidfile": "{pidfile}"}}', limit_s=0.5)
    assert ending.outcome is Outcome.TIMED_OUT
    assert living(*map(int, pidfile.read_text().split())) == []


def test_an_error_whose_text_raises_is_an_error(executor: ProcessExecutor) -> None:
    """The worker survives it."""
    ending, _ = run(executor, "raises_an_error_without_text")
    assert (ending.outcome, ending.error) == (Outcome.FAILED, "OddError (str() of the exception failed)")


def test_a_large_result_is_cut(executor: ProcessExecutor) -> None:
    """Fifty million characters stay in the worker."""
    ending, _ = run(executor, "returns_a_lot")
    assert ending.outcome is Outcome.SUCCEEDED
    assert len(str(ending.result)) <= 1_000


def test_a_result_that_is_not_json_is_kept_as_its_repr(executor: ProcessExecutor) -> None:
    """A timer's result is only shown, so anything may be returned; a line of the run says so."""
    ending, lines = run(executor, "returns_an_oddity")
    assert str(ending.result).startswith("<object object")
    why = "TypeError: Object of type object is not JSON serializable"
    assert ("warning", f"the result cannot be written as JSON ({why}); the history keeps its repr()") in lines


def test_the_reason_why_results_are_not_json_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """In each process, because a timer may fire each second."""

    class Odd: ...

    for returned in (Odd(), [Odd()], Odd()):
        outcome.of_result(returned)
    assert caplog.text.count("Object of type Odd is not JSON serializable") == 1


def test_functions_that_do_not_load_are_reported_at_the_start(tmp_path: Path) -> None:
    """The message names the line in the user's file."""
    (tmp_path / "broken_functions.py").write_text("import os\n\n1 / 0\n")
    executor = ProcessExecutor(str(tmp_path / "broken_functions.py"), workers=1)
    with pytest.raises(TargetError, match=r"broken_functions.py raised .*ZeroDivisionError.*line 3: 1 / 0"):
        executor.start()
    executor.stop()


@pytest.mark.slow
def test_workers_die_with_their_daemon(tmp_path: Path) -> None:
    """A daemon that is killed leaves no worker behind, not even one that holds the GIL."""
    (tmp_path / "functions_of_theirs.py").write_text(FUNCTIONS)
    pidfile = tmp_path / "pids"
    program = textwrap.dedent(f"""
        import time
        from scheduler.workers.executor import ProcessExecutor
        from tests.scheduler.workers.test_executor import task
        executor = ProcessExecutor({str(tmp_path / "functions_of_theirs.py")!r}, workers=1)
        executor.start()
        executor.submit([task("holds_the_gil", params='{{"pidfile": "{pidfile}"}}')])
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3]) as daemon:
        (worker,) = pids_in(pidfile, 1)
        assert living(worker)
        daemon.kill()
    eventually(lambda: living(worker), lambda seen: not seen)


@pytest.mark.slow
def test_what_a_killed_daemon_left_behind_is_killed_by_the_next(tmp_path: Path) -> None:
    """A child in a session of its own survives its worker, but not the start of another pool."""
    (tmp_path / "functions_of_others.py").write_text(FUNCTIONS)
    pidfile = tmp_path / "pids"
    program = textwrap.dedent(f"""
        import time
        from scheduler.workers.executor import ProcessExecutor
        from tests.scheduler.workers.test_executor import task
        executor = ProcessExecutor({str(tmp_path / "functions_of_others.py")!r}, workers=1)
        executor.start()
        executor.submit([task("has_children", params='{{"pidfile": "{pidfile}"}}')])
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[3]) as daemon:
        _, _, leaver, _ = pids_in(pidfile, 4)
        daemon.kill()
    assert living(leaver)
    following = ProcessExecutor(str(tmp_path / "functions_of_others.py"), workers=1)
    following.start()
    following.stop()
    assert not living(leaver)


def pids_in(file: Path, count: int) -> list[int]:
    """The process ids that functions wrote into a file, when there are so many."""
    file.touch()
    return eventually(lambda: [int(pid) for pid in file.read_text().split()], lambda seen: len(seen) == count)


def test_the_limit_is_refused_before_anything_starts() -> None:
    """A pool needs workers."""
    with pytest.raises(ValueError, match="workers must be at least 1"):
        ProcessExecutor("cloud.py", workers=0)


def test_prepared_tasks_warm_workers_up_and_run_once(tmp_path: Path) -> None:
    """Warming up calls nothing and prints nothing; then the tasks are divided evenly, in their order."""
    (tmp_path / "functions_of_mine.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(tmp_path / "functions_of_mine.py"), workers=2)
    executor.start()
    try:
        both_are_ready(executor)
        for number in range(1, 6):
            executor.submit([task("hello", number)])
            collect(executor, 1)
        both_are_ready(executor)
        tasks = [task("hello", number) for number in range(101, 161)]
        executor.prepare(tasks)
        executor.prepare(tasks)
        assert executor.collect() == Report()
        executor.submit(tasks)
        handed_out = [[each.run_id for each in chunk.tasks] for worker in executor._workers for chunk in worker._chunks]
        assert sorted(handed_out) == [list(range(101, 131)), list(range(131, 161))]
        report = collect(executor, 60)
        assert sorted(task.run_id for task, _ in report.ended) == list(range(101, 161))
        assert sorted({line.run_id for line in report.lines}) == list(range(101, 161))
        assert len(report.lines) == 3 * 60
    finally:
        executor.stop()


def test_tasks_with_large_parameters_can_be_prepared(tmp_path: Path) -> None:
    """The parameters of twenty would not fit into one message."""
    (tmp_path / "functions_of_mine.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(tmp_path / "functions_of_mine.py"), workers=2)
    executor.start()
    try:
        both_are_ready(executor)
        tasks = [task("hello", number, params=f'{{"name": "{number}{"x" * 60_000}"}}') for number in range(1, 31)]
        executor.prepare(tasks)
        executor.submit(tasks)
        report = collect(executor, 30)
        assert {ending.outcome for _, ending in report.ended} == {Outcome.SUCCEEDED}
    finally:
        executor.stop()


def both_are_ready(executor: ProcessExecutor) -> None:
    def turn() -> None:
        select.select(executor.filenos(), [], [], 0.1)
        executor.collect()

    eventually(lambda: all(worker.ready and not worker.chunks for worker in executor._workers), between=turn)


@given(st.floats(0, 1e9), st.floats(-5, 1_000_000))
def test_a_run_that_began_after_the_clock_was_read_has_run_for_0_s(now: float, elapsed_s: float) -> None:
    """The daemon reads its clock first, and workers begin runs meanwhile."""
    with tempfile.TemporaryFile() as file:
        file.truncate(ProgressCell.SIZE)
        progress = ProgressCell(file.fileno())
        progress.begin(1, 0, int(max(0.0, now - elapsed_s) * 1_000_000))
        _, _, began_ms = progress.begun()
        assert progress.elapsed_s(began_ms, now) == pytest.approx(max(0.0, min(now, elapsed_s)), abs=0.002)
        progress.close()
