"""scheduler runs cancel, runs again and timers run with parameters: what they print, and what they refuse."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import insert

from scheduler.claims.requested_runs import request_run
from scheduler.cli import run_wait
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.executors.thread import ThreadExecutor
from scheduler.functions import Registry
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.schema import daemons
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.waiting import eventually


@pytest.fixture
def store(command_line: CommandLine) -> Iterator[Store]:
    """The store of the folder, with one timer, whose function waits for the end of the test."""
    (command_line.folder / ".scheduler").mkdir()
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store:
        TimerTable(store).add([Timer(name="report", function="waits", trigger=Every(3600))], now=datetime.now(UTC))
        yield store


@pytest.fixture
def daemon(store: Store) -> Iterator[Daemon]:
    registry, is_over = Registry(), []

    @registry.define
    def waits() -> None:
        eventually(lambda: is_over)

    daemon = Daemon(store, {Environment.PRODUCTION: ThreadExecutor(registry)})
    thread = Thread(target=daemon.run)
    thread.start()
    yield daemon
    is_over.append(True)
    daemon.stop()
    thread.join()


def request(store: Store) -> int:
    return request_run(store, "report", Environment.PRODUCTION, now=datetime.now(UTC))


def test_a_run_that_goes_on_is_cancelled(command_line: CommandLine, store: Store, daemon: Daemon) -> None:
    """The command waits until it has ended."""
    run_id = request(store)
    eventually(lambda: daemon.begun)
    assert command_line.run("runs", "cancel", str(run_id)).stdout.startswith(f"cancelled run {run_id} of report after ")
    assert "cancelled on request" in command_line.run("runs").stdout
    assert command_line.json("runs", "--outcome", "cancelled")[0]["id"] == run_id


def test_a_run_that_waits_is_cancelled_without_a_daemon(command_line: CommandLine, store: Store) -> None:
    """At once."""
    run_id = request(store)
    assert (
        command_line.run("runs", "cancel", str(run_id)).stdout == f"cancelled run {run_id} of report before it began\n"
    )
    run = RunHistory(store).run(run_id)
    assert run is not None
    assert run.outcome == "cancelled"
    ended = command_line.refusal("runs", "cancel", str(run_id))
    assert f"run {run_id} of report has ended already: cancelled" in ended
    assert command_line.json("runs")[0]["cancel_requested_at"] is not None


def test_the_command_refuses_what_is_no_run(command_line: CommandLine, store: Store) -> None:
    """And options that stand before it."""
    assert "no run 999 in the store" in command_line.refusal("runs", "cancel", "999")
    assert "'report' is not a valid integer" in command_line.refusal("runs", "cancel", "report")
    assert "options go after the command" in command_line.refusal("runs", "--json", "cancel", "1")


def test_waiting_ends_when_the_daemon_has_ended(
    command_line: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would begin the run; the message says so."""
    monkeypatch.setattr(run_wait, "_LOOK_FOR_DAEMON_EVERY_S", 0.05)
    monkeypatch.setattr(run_wait, "_RESTART_S", 0.1)
    row = {"id": 7, "host": "h", "pid": 1, "process_started": "", "wake_port": 0, "started_at": 0}
    with store.writing() as connection:
        until = stamp(datetime.now(UTC) + timedelta(seconds=2))
        connection.execute(insert(daemons).values(**row, lease_until=until))
    result = command_line.run("timers", "run", "report", "--wait")
    assert result.exit_code == 1
    assert "run 1 has not ended, and no daemon runs any more; the next one takes it up: " in result.stderr


def test_a_run_is_run_again(command_line: CommandLine, store: Store) -> None:
    """With its own parameters; JSON shows them."""
    first = command_line.json("timers", "run", "report", "day=5", "n:=3", "--no-check")
    assert first["own_params"] == {"day": "5", "n": 3}
    second = command_line.json("runs", "again", str(first["id"]))
    assert (second["own_params"], second["kind"]) == (first["own_params"], "manual")
    assert command_line.run("runs", "again", str(first["id"])).stdout.startswith("requested run 3 of report; ")
    assert "no run 999" in command_line.refusal("runs", "again", "999")
    assert "no daemon runs" in command_line.refusal("runs", "again", str(first["id"]), "--wait")


def test_parameters_of_a_run_are_checked(command_line: CommandLine) -> None:
    """As those of a timer are."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "sum", "--function", "add", "--every", "60", "a:=1", "b:=2")
    assert "(use --no-check to run it anyway)" in command_line.refusal("timers", "run", "sum", "c=3")
    assert command_line.json("timers", "run", "sum", "a:=3", "b:=4")["own_params"] == {"a": 3, "b": 4}
