"""A daemon whose store a newer version migrates meanwhile: it ends with one line, and loses nothing."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from math import inf
from pathlib import Path

import pytest
from sqlalchemy import text

from scheduler import Every, Scheduler, Timer
from scheduler.clock import ManualClock
from scheduler.core.run import Outcome
from scheduler.errors import StoreMigratedError
from scheduler.functions import Registry
from scheduler.store.database import Store
from tests.scheduler.scripted_service import Service, settle
from tests.scheduler.up_process import cli, up
from tests.waiting import PATIENCE_S, eventually

SAID = "a newer version of scheduler has brought the store from schema"


def migrate(store: Store) -> None:
    """Do what a newer version does whose migration only adds something, and notify the daemons."""
    with store.writing_and_notifying() as connection:
        connection.execute(text("UPDATE scheduler_version SET version_num = '9999'"))


def test_a_daemon_ends_when_a_newer_version_has_migrated_its_store(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """After the run in progress, whose outcome it records; it claims nothing more, and says why, once."""
    service.add(seconds=10)
    service.executor.script = lambda _: None
    service.after(10)
    assert service.rows() == [(10, 1, None)]
    migrate(service.store)
    daemon = service.daemon
    assert daemon is not None
    service.clock.advance(10)
    daemon.wake()
    thread = threading.Thread(target=daemon.run)
    with caplog.at_level(logging.ERROR, logger="scheduler.daemon"):
        thread.start()
        eventually(lambda: SAID in caplog.text)
        service.executor.end(service.executor.going_on[0])
        daemon.wake()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert caplog.text.count(SAID) == 1
    assert service.rows() == [(10, 1, Outcome.SUCCEEDED)]
    service.daemon = None


def test_no_run_begins_in_the_first_transaction_after_a_migration(service: Service) -> None:
    """Even if the daemon has not yet looked at the version by itself."""
    service.add(seconds=10)
    service.after(5)
    daemon = service.daemon
    assert daemon is not None
    with service.store.writing() as connection:
        connection.execute(text("UPDATE scheduler_version SET version_num = '9999'"))
    service.clock.advance(5)
    daemon._agenda.check_others_at = inf
    with pytest.raises(StoreMigratedError):
        settle(daemon)
    assert service.rows() == []


def test_the_store_says_which_version_it_has(store: Store, clock: ManualClock) -> None:
    """And nothing while it is this one."""
    store.check_version()
    migrate(store)
    with pytest.raises(StoreMigratedError, match=r"from schema 00\d\d to 9999, .* start the newer one"):
        store.check_version()


def test_a_scheduler_in_a_program_ends_too(store_url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """It can still be stopped."""
    url = str(tmp_path / "s.db") if store_url == "sqlite://" else store_url
    functions = Registry()
    functions.define(lambda: None, name="nothing")
    with caplog.at_level(logging.ERROR, logger="scheduler.daemon"), Scheduler(url, functions) as scheduler:
        scheduler.add(Timer(name="t", function="nothing", trigger=Every(1), enabled=True))
        eventually(scheduler.runs)
        migrate(scheduler.store)
        eventually(lambda: SAID in caplog.text)
    assert caplog.text.count(SAID) == 1


@pytest.mark.slow
def test_a_service_says_what_to_do_until_it_is_upgraded(tmp_path: Path) -> None:
    """Its daemon ends, and each further one is refused; it can be stopped."""
    (tmp_path / "cloud.py").write_text("from scheduler.engine import Engine\nengine = Engine()\n")
    with up(tmp_path, "cloud.py") as running:
        running.only("daemon")
        with closing(sqlite3.connect(tmp_path / ".scheduler" / "store.db")) as connection, connection:
            connection.execute("UPDATE scheduler_version SET version_num = '9999'")
        eventually(lambda: SAID in running.stderr)
        eventually(lambda: "the store was written by a newer version of scheduler" in running.stderr)
        assert running.stderr.count(SAID) == 1
        assert "written by a newer version" in cli(tmp_path, "timers", "list").stderr
        assert running.stop()[0] == 0
    assert "Traceback" not in running.stderr
