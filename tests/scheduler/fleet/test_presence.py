"""A fleet without workers: the daemon, the doctor and `timers run --wait` say so."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli import run_wait
from scheduler.cli import timers as timers_command
from scheduler.core.timer import Environment
from scheduler.errors import SchedulerError
from scheduler.executors.kinds import Deployment
from scheduler.fleet import kind, presence
from scheduler.fleet.presence import serving_workers, silent_workers
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import cli
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import CLOUD, WatchedDaemon, Worker

pytestmark = pytest.mark.slow


def _workers_finding(folder: Path) -> list[tuple[str, str]]:
    findings = json.loads(cli(folder, "doctor", "--json").stdout)
    return [(finding["state"], finding["text"]) for finding in findings if finding["name"] == "workers"]


def test_it_is_reported_that_no_worker_serves_and_that_one_does_again(
    postgres: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the daemon some seconds after its start, and by the doctor, which counts them."""
    caplog.set_level(logging.INFO)
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        settings = f'store = "{url}"\nexecutor = "celery"\nbroker = "pgmq://"\ntarget = "cloud.py"\n'
        (tmp_path / "scheduler.toml").write_text(settings)
        (tmp_path / "cloud.py").write_text(CLOUD)
        watched.add("hello", "hello", enabled=True)
        eventually(lambda: caplog.messages, lambda seen: any("no worker serves production" in text for text in seen))
        ((severity, text),) = [found for found in _workers_finding(tmp_path) if found[0] != "well"]
        assert severity == "bad"
        assert text.startswith("no worker serves production")
        (run_id,) = watched.begin("hello")
        eventually(lambda: watched.executor.oldest_unbegun_s, lambda seen: seen > 0)
        worker = Worker(tmp_path, url, "pgmq://", concurrency=2)
        try:
            eventually(lambda: "a worker serves production" in caplog.messages)
            assert watched.end_of(run_id)[0].outcome == "succeeded"
            assert ("well", "workers that serve production: 1, workers that serve stage: 1") in _workers_finding(
                tmp_path
            )
            eventually(lambda: watched.executor.oldest_unbegun_s, lambda seen: seen == 0)
            assert sum("no worker serves" in text for text in caplog.messages) == 1
        finally:
            assert worker.stop() == 0
        with store.reading() as connection:
            assert not +serving_workers(connection)


def test_a_worker_that_lost_its_session_is_counted_again(postgres: Server, tmp_path: Path) -> None:
    """It takes the locks anew."""
    with postgres.database() as url, Store(url) as store:
        worker = Worker(tmp_path, url, "pgmq://", "--env", "production", concurrency=1)

        def count() -> dict[str, int]:
            with store.reading() as connection:
                return dict(+serving_workers(connection))

        try:
            eventually(count, lambda seen: seen == {"production": 1})
            name = store.url.database
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            eventually(count, lambda seen: seen == {"production": 1})
            worker.kill()
            eventually(count, lambda seen: not seen)
        finally:
            if worker.process.poll() is None:
                worker.kill()


def _deployment(url: str) -> Deployment:
    def unused() -> Any:
        raise AssertionError("the check needs no functions")

    return Deployment(
        environment=Environment.PRODUCTION,
        settings={"broker": "pgmq://"},
        target=unused,
        registry=unused,
        store=lambda: Store(url),
        keys=unused,
    )


def test_a_worker_that_stands_still_counts_no_more(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its locks; the doctor reports it, until it goes on."""
    monkeypatch.setattr(presence, "SILENT_S", 7.0)
    with postgres.database() as url, Store(url) as store:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=1)

        def count() -> tuple[int, int]:
            with store.reading() as connection:
                return serving_workers(connection)["production"], silent_workers(connection)["production"]

        try:
            eventually(count, lambda seen: seen == (1, 0))
            os.kill(worker.process.pid, signal.SIGSTOP)
            eventually(count, lambda seen: seen == (0, 1))
            with pytest.raises(SchedulerError, match="production: 1"):
                list(kind.check(_deployment(url)))
            os.kill(worker.process.pid, signal.SIGCONT)
            eventually(count, lambda seen: seen == (1, 0))
        finally:
            worker.kill()


def test_timers_run_wait_says_that_no_worker_took_it(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit status 1."""
    from click.testing import CliRunner

    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        (tmp_path / "scheduler.toml").write_text(f'store = "{url}"\nexecutor = "celery"\n')
        watched.add("hello", "hello", limit_s=1.0)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(run_wait, "_BEGIN_TIMEOUT_S", 2.0)
        answer: Any = CliRunner().invoke(timers_command.command, ["run", "hello", "--wait"])
        assert answer.exit_code == 1
        assert "no worker of the fleet has begun it; start one: " in answer.stderr
