"""scheduler up --reload: what is saved is served, and no fire is lost on the way."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.up.reload import changed_names, snapshot
from tests.scheduler.daemon_processes import PASSED_OVER
from tests.scheduler.up_process import Up, children, cli, count_of, curl, living, up
from tests.waiting import eventually, slowdown

CLOUD = """
from scheduler.engine import Engine

engine = Engine()


@engine.define
def hello():
    return VERSION


VERSION = 1
"""

WAITS = """

@engine.define
def waits():
    import pathlib, time

    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
"""


def save(folder: Path, version: object) -> None:
    (folder / "cloud.py").write_text(CLOUD.replace("VERSION = 1", f"VERSION = {version}"))


def answer(running: Up) -> object:
    return json.loads(curl(running.facts["call"])[1])["result"]


@pytest.mark.slow
def test_a_change_is_served_without_a_call_or_a_fire_being_lost(tmp_path: Path) -> None:
    """Three saves, one of them broken: every second has a row, every call a response."""
    save(tmp_path, 1)
    with up(tmp_path, "--reload") as running:
        cli(tmp_path, "timers", "add", "often", "--function", "hello", "--every", "1", "--enable")
        for version in (2, 3):
            save(tmp_path, version)
            eventually(lambda: answer(running), lambda seen, version=version: seen == version)
        save(tmp_path, "nonsense")
        eventually(
            lambda: running.stderr,
            lambda seen: "cloud.py changed, but does not start; the last good version keeps serving" in seen,
        )
        assert answer(running) == 3
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE result = '3'"))
        status, stderr = running.stop()
    assert status == 0
    assert "cloud.py changed; reloaded in " in stderr
    assert stderr.count("a second signal stops at once") == 1
    assert "Error: cloud.py raised while it was imported: NameError: name 'nonsense' is not defined" in stderr
    with Store(str(tmp_path / ".scheduler" / "store.db")) as store:
        runs = RunHistory(store).runs()[::-1]
    assert {run.outcome for run in runs} <= {Outcome.SUCCEEDED, *(PASSED_OVER if slowdown() > 1 else ())}
    due = [run.fire_time + timedelta(seconds=n) for run in runs for n in range(run.count)]
    assert due == [due[0] + timedelta(seconds=n) for n in range(len(due))]
    assert [run.result for run in runs if run.result][-1] == "3"


@pytest.mark.slow
def test_the_previous_version_reports_what_it_waits_for(tmp_path: Path) -> None:
    """Its last run ends well; it does not mention signals, since it was stopped by a saved file."""
    save(tmp_path, 1)
    with (tmp_path / "cloud.py").open("a") as file:
        file.write(WAITS)
    with up(tmp_path, "--reload") as running:
        cli(tmp_path, "timers", "add", "once", "--function", "waits", "--every", "86400")
        cli(tmp_path, "timers", "run", "once")
        eventually((tmp_path / "begun").exists)
        save(tmp_path, 2)
        eventually(lambda: answer(running), lambda seen: seen == 2)
        (tmp_path / "go").touch()
        eventually(
            lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"), lambda seen: seen == 1
        )
        _, stderr = running.stop()
    before, _, _ = stderr.partition("stopping: ")
    assert "the previous version begins no further runs, waiting for 1 in progress" in before
    assert "a second signal stops at once" not in before


@pytest.mark.slow
def test_a_version_that_hangs_while_it_loads_blocks_nothing(tmp_path: Path) -> None:
    """A later save replaces it, and the end of the command does not wait for it."""
    save(tmp_path, 1)
    with up(tmp_path, "--reload") as running:
        save(tmp_path, "__import__('time').sleep(50)")
        eventually(lambda: running.processes("web"), lambda seen: len(seen) == 2)
        save(tmp_path, 2)
        eventually(lambda: answer(running), lambda seen: seen == 2)
        save(tmp_path, "__import__('time').sleep(50)")
        eventually(lambda: running.processes("web"), lambda seen: len(seen) == 2)
        status, _ = running.stop()
    assert status == 0


@pytest.mark.slow
def test_a_first_version_that_does_not_start_ends_the_command(tmp_path: Path) -> None:
    """As without --reload."""
    save(tmp_path, "nonsense")
    done = cli(tmp_path, "up", "--port", "0", "--reload")
    assert done.returncode == 2
    assert "NameError: name 'nonsense' is not defined" in done.stderr


@pytest.mark.slow
def test_the_serving_process_and_its_workers_end_with_the_command(tmp_path: Path) -> None:
    """Even when the command is killed."""
    save(tmp_path, 1)
    with up(tmp_path, "--reload") as running:
        serving = children(running.process.pid)
        workers = children(running.only("daemon"))
        assert workers
        running.kill()
        eventually(lambda: living(*serving, *workers), lambda seen: not seen)


def test_sources_are_python_files_and_settings(tmp_path: Path) -> None:
    """But not those of a virtual environment, a cache or a hidden folder."""
    for name in ("venv/lib", "__pycache__", ".scheduler", "package"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "module.py").write_text("")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "data.json").write_text("{}")
    (tmp_path / "scheduler.toml").write_text("")
    before = snapshot([tmp_path])
    assert {str(Path(path).relative_to(tmp_path)) for path in before} == {"package/module.py", "scheduler.toml"}
    (tmp_path / "new.py").write_text("")
    (tmp_path / "scheduler.toml").unlink()
    (tmp_path / "package" / "module.py").write_text("x = 1")
    assert changed_names(before, snapshot([tmp_path])) == ["module.py", "new.py", "scheduler.toml"]
