"""scheduler up --log-format json: all of stderr is one object a line, and each has the id of its run or call."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.run import Outcome, Run
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from tests.scheduler.up_process import command, count_of, fetch, up
from tests.waiting import eventually

pytestmark = pytest.mark.slow

#: Records of stderr, the runs in the store, and the text of stdout after the first line.
Output = tuple[list[dict[str, Any]], list[Run], str]
KEYS = {"LEANCLOUD_APP_ID": "shop", "LEANCLOUD_APP_KEY": "key", "LEANCLOUD_APP_MASTER_KEY": "m"}
CLOUD = """
import logging, os, sys, time
from scheduler.engine import Engine

engine = Engine()
print("loading")
print("with care", file=sys.stderr)


@engine.define
def talk():
    print("said", engine.current.request_id)
    logging.getLogger("shop").warning("careful\\nin two lines")
    print("half of a pair \\ud800", file=sys.stderr)


@engine.define
def fail():
    print("before", engine.current.request_id)
    return {}["missing"]


@engine.define
def hang():
    print("hanging", engine.current.request_id)
    time.sleep(60)
"""


def records(stderr: str) -> list[dict[str, Any]]:
    """Every line of stderr is one object with four fields."""
    found = [json.loads(line) for line in stderr.splitlines()]
    for record in found:
        assert list(record)[:4] == ["time", "level", "logger", "message"]
        assert datetime.fromisoformat(record["time"]).utcoffset() is not None
    return found


def of(logger: str, found: list[dict[str, Any]], **about: object) -> list[dict[str, Any]]:
    return [
        record
        for record in found
        if record["logger"] == logger and all(record.get(name) == value for name, value in about.items())
    ]


def runs_of(folder: Path) -> list[Run]:
    with Store(str(folder / ".scheduler" / "store.db")) as store:
        return RunHistory(store).runs(limit=1000)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    """What a service printed while two timers fired and clients called."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "cloud.py").write_text(CLOUD)
    for name in ("talk", "fail"):
        command(folder, "timers", "add", f"{name}ing", "--function", name, "--every", "1", "--enable", **KEYS)
    command(folder, "timers", "add", "lost", "--function", "gone", "--every", "3600", "--no-check", **KEYS)
    with up(folder, "--stage", "0", "--log-format", "json", **KEYS) as running:
        for name, request_id in (("talk", "mine"), ("fail", "broken")):
            call(running.url, name, request_id, prod=1)
        call(running.facts["stage"], "talk", "of-stage", prod=0)
        eventually(
            lambda: count_of(folder, "SELECT count(*) FROM runs WHERE outcome IS NOT NULL"), lambda seen: seen >= 4
        )
        eventually(lambda: count_of(folder, "SELECT count(*) FROM call_lines"), lambda seen: seen >= 10)
        _, stderr = running.stop()
    return records(stderr), runs_of(folder), running.stdout


def call(url: str, name: str, request_id: str, prod: int) -> None:
    headers = {"X-LC-Id": "shop", "X-LC-Key": "key", "X-LC-Prod": str(prod), "X-Request-Id": request_id}
    fetch(f"{url}/1.1/functions/{name}", headers, b"{}")


def test_a_run_its_lines_and_its_row_have_one_request_id(output: Output) -> None:
    """The function sees it, lines of its worker process have it, and so has the record of its end."""
    found, runs, _ = output
    succeeded = [run for run in runs if run.outcome is Outcome.SUCCEEDED]
    assert succeeded
    for run in succeeded:
        about = {"request_id": run.request_id, "timer": "talking", "run_id": run.id, "environment": "production"}
        lines = of("scheduler.function", found, **about, function="talk")
        assert [(line["level"], line["message"]) for line in lines] == [
            ("info", f"said {run.request_id}"),
            ("warning", "careful"),
            ("warning", "in two lines"),
            ("error", "half of a pair ?"),
        ]
        (end,) = of("scheduler.run", found, **about)
        assert (end["level"], end["outcome"], end["attempt"]) == ("info", "succeeded", 1)
        assert datetime.fromisoformat(end["fire_time"]) == run.fire_time
        assert end["lateness_s"] == pytest.approx(run.lateness_s, abs=1e-5)


def test_the_record_of_a_failed_run_has_the_error(output: Output) -> None:
    """Its lines have the traceback, all with the id of the row."""
    found, runs, _ = output
    run = next(run for run in runs if run.outcome is Outcome.FAILED)
    (end,) = of("scheduler.run", found, request_id=run.request_id)
    assert (end["level"], end["message"], end["error"]) == ("warning", run.message, "KeyError: 'missing'")
    lines = [line["message"] for line in of("scheduler.function", found, request_id=run.request_id)]
    assert lines[0] == f"before {run.request_id}"
    assert lines[-1] == "KeyError: 'missing'"


def test_the_lines_of_a_call_have_the_id_of_the_client(output: Output) -> None:
    """In this process and in that of the preview."""
    found, _, _ = output
    for request_id, environment in (("mine", "production"), ("of-stage", "stage")):
        lines = of("scheduler.function", found, request_id=request_id)
        assert [line["message"] for line in lines][:2] == [f"said {request_id}", "careful"]
        assert {(line["function"], line["environment"]) for line in lines} == {("talk", environment)}
        assert not [line for line in lines if "timer" in line or "run_id" in line]
    failed = of("scheduler.function", found, request_id="broken", function="fail")
    assert failed[-1]["message"] == "KeyError: 'missing'"


def test_every_line_printed_to_stderr_is_a_record(output: Output) -> None:
    """Of code that is loaded, and of the program itself; under --json what code prints to stdout goes there too."""
    found, _, stdout = output
    printed = {record["message"] for record in of("stderr", found)}
    assert {"loading", "with care"} <= printed
    (lost,) = of("scheduler.up", found, level="warning")
    assert "timer 'lost' calls 'gone'" in lost["message"]
    assert stdout == ""  # everything is reported once


def test_abandoned_runs_are_logged_with_their_ids(tmp_path: Path) -> None:
    """Those of a daemon that was killed, by the next one."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    command(tmp_path, "timers", "add", "hanging", "--function", "hang", "--every", "1", "--enable", **KEYS)
    with up(tmp_path, "--log-format", "json", **KEYS) as running:
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM lines"))
        running.kill()
    command(tmp_path, "timers", "disable", "hanging", **KEYS)
    with up(tmp_path, **KEYS, SCHEDULER_LOG_FORMAT="json") as running:
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'abandoned'"))
        status, stderr = running.stop()
    assert status == 0
    (row,) = [run for run in runs_of(tmp_path) if run.outcome is Outcome.ABANDONED]
    (record,) = of("scheduler.daemon", records(stderr), request_id=row.request_id)
    assert (record["level"], record["run_id"], record["timer"], record["function"]) == (
        "warning",
        row.id,
        "hanging",
        "hang",
    )
