"""What only PostgreSQL has: standbys, locked rows, frozen clients, and transactions that write at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert

from scheduler.core.timer import Timer
from scheduler.core.triggers import Every
from scheduler.errors import StoreUnavailableError, TimerError
from scheduler.store.database import Store
from scheduler.store.schema import daemons
from scheduler.store.timers import TimerTable
from tests.scheduler.claims.second_daemon import registered
from tests.scheduler.scripted_service import START

DAEMON = {"id": 1, "host": "h", "pid": 1, "process_started": "", "wake_port": 1, "started_at": 1, "lease_until": 1}


pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


def test_the_server_ends_a_transaction_that_stands_still(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen daemon must not keep the timers locked that it was about to claim."""
    monkeypatch.setattr("scheduler.store.postgres.IDLE_TIMEOUT_S", 0.1)
    with (
        Store(store_url) as store,
        pytest.raises(StoreUnavailableError, match=r"did nothing for .* within a transaction"),
    ):
        stand_still(store)


def test_a_migration_may_stand_still_for_longer(store_url: str) -> None:
    """It computes between its statements, which takes long on a busy machine."""
    shown = "SHOW idle_in_transaction_session_timeout"
    with Store(store_url) as store:
        with store.writing() as connection:
            assert connection.exec_driver_sql(shown).scalar() == "30s"
            store._wait_without_bound(connection)
            assert connection.exec_driver_sql(shown).scalar() == "10min"
        with store.writing() as connection:
            assert connection.exec_driver_sql(shown).scalar() == "30s"


def test_a_row_that_is_locked_for_too_long_says_so(store_url: str) -> None:
    """With the same error as on SQLite."""
    with Store(store_url) as holder, Store(store_url, busy_timeout_s=0.1) as store, holder.writing() as connection:
        connection.execute(insert(daemons).values(DAEMON))
        with pytest.raises(StoreUnavailableError, match="locked by another program"), store.writing() as other:
            other.execute(insert(daemons).values(DAEMON))


def test_a_store_on_a_standby_says_so(store_url: str) -> None:
    """After a switch of the primary server, say."""
    with (
        Store(f"{store_url}&options=-cdefault_transaction_read_only=on") as store,
        pytest.raises(StoreUnavailableError, match="read-only; is this the primary"),
        store.writing() as connection,
    ):
        connection.execute(insert(daemons).values(DAEMON))


def test_programs_that_open_an_empty_store_at_once_create_it_once(store_url: str) -> None:
    """Each waits for the one that creates the tables, and finds nothing left to do."""
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(Store, [store_url] * 4))
    for store in stores:
        assert registered(store) == set()
        store.close()


def test_programs_that_add_timers_at_once_stay_within_the_quota(store: Store) -> None:
    """Ten at a time, five of them allowed, and two of each name."""
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda number: add(store, f"t{number % 8}"), range(10)))
    assert Counter(answers)["added"] == 5
    assert set(answers) <= {"added", "DuplicateTimerError", "TimerQuotaError"}


def add(store: Store, name: str) -> str:
    try:
        TimerTable(store).add([Timer(name=name, function="f", trigger=Every(60))], now=START, quota=5)
    except TimerError as error:
        return type(error).__name__
    return "added"


def stand_still(store: Store) -> None:
    """Hold a transaction open, idle, for longer than IDLE_TIMEOUT_S."""
    with store.writing() as connection:
        connection.execute(daemons.select())
        time.sleep(0.5)
        connection.execute(daemons.select())
