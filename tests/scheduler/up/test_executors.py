"""Where `scheduler up` runs functions, for each environment: in threads, at a remote engine, in a fleet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.command_line import CommandLine
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import cli, command, up

CLOUD = """
import os
from scheduler.engine import Engine

engine = Engine()


@engine.define
def where():
    return f"{NAME} {os.getpid()}"
"""


def write(folder: Path, name: str = "cloud.py", settings: str = "") -> None:
    (folder / name).write_text(f"NAME = {name!r}\n{CLOUD}")
    if settings:
        (folder / "scheduler.toml").write_text(settings)


def ran(folder: Path, environment: str = "production", *options: str) -> tuple[str, Any]:
    """The outcome of a run of `where`, and its result."""
    words = ("--env", environment, *options)
    added = command(folder, "timers", "add", "t", "--function", "where", "--every", "86400", "--no-check", *words)
    assert added.returncode == 0, added.stderr
    done = command(folder, "timers", "run", "t", "--wait", "--json", *words)
    assert done.returncode in (0, 1), done.stderr
    run = json.loads(done.stdout)
    return run["outcome"], run["result"] or run["error"]


@pytest.mark.slow
def test_each_environment_has_an_executor_and_a_target_of_its_own(tmp_path: Path) -> None:
    """Production in threads of the daemon, stage in worker processes with functions of another file."""
    write(tmp_path, "preview.py")
    write(tmp_path, settings='executor = "thread"\n[stage]\nexecutor = "process"\ntarget = "preview.py"\n')
    with up(tmp_path, "cloud.py") as running:
        daemon = running.only("daemon")
        assert ran(tmp_path) == ("succeeded", f"cloud.py {daemon}")
        outcome, result = ran(tmp_path, "stage")
        assert outcome == "succeeded"
        name, pid = result.split()
        assert name == "preview.py"
        assert int(pid) != daemon


@pytest.mark.slow
def test_functions_at_a_remote_engine_are_called_there(tmp_path: Path) -> None:
    """With the application's keys, which both have."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write(here)
    write(there, "remote.py")
    keys = {"LEANCLOUD_APP_ID": "id", "LEANCLOUD_APP_KEY": "key", "LEANCLOUD_APP_MASTER_KEY": "master"}
    with (
        up(there, "remote.py", **keys) as remote,
        up(here, "cloud.py", "--executor", "http", "--remote-engine", remote.url, **keys),
    ):
        assert ran(here) == ("succeeded", {"result": f"remote.py {remote.only('web')}"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('executor = "celery"', "a Celery fleet needs a store that its workers share: store = postgresql://user@host/"),
        ('executor = "celery"\nbroker = "sqs://x"', "unsupported broker scheme 'sqs'; use one of pgmq://…, amqp://…"),
        ('executor = "http"', 'executor = "http" needs remote_engine = "https://…", the engine to call'),
        (
            'executor = "http"\nremote_engine = "engine:3000"',
            "expected the address of a remote engine, as in https://example.com",
        ),
        ('[stage]\nexecutor = "http"', 'executor = "http" needs remote_engine'),
        ('executor = "rocket"', "executor = 'rocket' is invalid: expected process or thread or http or celery"),
        ('[stage]\nexecuter = "http"', "unknown setting 'stage_executer'; did you mean 'stage_executor'?"),
    ],
)
def test_invalid_executor_settings_are_refused_before_anything_starts(
    command_line: CommandLine, settings: str, words: str
) -> None:
    """With the fix."""
    write(command_line.folder, settings=settings)
    result = command_line.run("up", "--port", "0")
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.slow
def test_up_and_worker_are_a_fleet(postgres: Server, tmp_path: Path) -> None:
    """They share one PostgreSQL and nothing else; the doctor checks the broker."""
    pytest.importorskip("pgmq")
    from tests.scheduler.celery_processes import Worker

    with postgres.database() as url:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=1)
        write(tmp_path)
        try:
            with up(tmp_path, "cloud.py", "--executor", "celery", "--store", url) as running:
                added = command(tmp_path, "timers", "add", "t", "--function", "hello", "--every", "86400", "--no-check",
                            "--store", url)  # fmt: skip
                assert added.returncode == 0, added.stderr
                done = command(tmp_path, "timers", "run", "t", "--wait", "--json", "--store", url)
                assert json.loads(done.stdout)["result"] == "hello, world"
                assert running.stop()[0] == 0
            looked = cli(tmp_path, "doctor", "--store", url, "--json", SCHEDULER_EXECUTOR="celery")
            found = {finding["name"]: finding for finding in json.loads(looked.stdout)}
            assert found["workers"]["ok"]
            assert found["workers"]["text"] == "workers that serve production: 1, workers that serve stage: 1"
        finally:
            worker.kill()
