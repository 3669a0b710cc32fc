"""A daemon's own session on PostgreSQL: notifications, and the lock that it holds while it lives."""

import select
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from scheduler.claims.session_lock import SessionLock
from scheduler.core.timestamps import stamp
from scheduler.doctor.store_checks import check_store
from scheduler.store.database import Store
from scheduler.store.schema import daemons
from scheduler.store.statistics import has_live_daemon
from tests.waiting import eventually

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


def test_a_change_notifies_every_daemon_when_it_is_committed(store: Store) -> None:
    """And not before."""
    presences = [SessionLock(store), SessionLock(store)]
    for number, presence in enumerate(presences, 1):
        presence.hold_lock(number)
    with store.writing_and_notifying():
        assert not any(presence.was_notified() for presence in presences)
    for presence in presences:
        assert select.select(presence.filenos(), [], [], 5)[0]
        assert presence.was_notified()
        assert not presence.was_notified()
        presence.close()


def test_a_lost_session_is_noticed_and_opened_again(store: Store) -> None:
    """What may have been missed counts as a notification."""
    presence = SessionLock(store)
    assert not presence.hold_lock(1)
    with store.writing() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    eventually(presence.was_notified)
    assert presence.filenos() == []
    assert presence.hold_lock(1)
    assert presence.filenos() != []
    presence.close()


def test_a_lock_that_an_old_session_still_holds_is_tried_again(store: Store) -> None:
    """The server has not noticed yet that the daemon's last connection is gone."""
    old, new = SessionLock(store), SessionLock(store)
    old.hold_lock(1)
    new.hold_lock(1)
    assert not new._holds
    old.close()
    eventually(lambda: new._holds, between=lambda: new.hold_lock(1))
    new.close()


def test_a_daemon_whose_clock_is_behind_lives_while_it_holds_its_lock(store: Store) -> None:
    """By its own clock its lease has yet to end, by that of the machine that asks it ended an hour ago."""
    row = {"host": "elsewhere", "pid": 1, "process_started": "", "wake_port": 0, "started_at": 0}
    with store.writing() as connection:
        connection.execute(insert(daemons).values(**row, id=1, lease_until=stamp(hour_ago())))
    assert not has_live_daemon(store)
    presence = SessionLock(store)
    presence.hold_lock(1)
    assert has_live_daemon(store)
    presence.close()
    eventually(lambda: not has_live_daemon(store))


@pytest.mark.slow
def test_doctor_waits_for_the_renewal_of_a_lease_that_another_clock_wrote(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It seems late by an hour; a daemon that hangs does not renew it."""
    row = {"host": "elsewhere", "pid": 1, "process_started": "", "wake_port": 0, "started_at": 0}
    with store.writing() as connection:
        connection.execute(insert(daemons).values(**row, id=1, lease_until=stamp(hour_ago())))
    presence = SessionLock(store)
    presence.hold_lock(1)

    def renew(_: float) -> None:
        with store.writing() as connection:
            connection.execute(update(daemons).values(lease_until=daemons.c.lease_until + 1))

    def found() -> str:
        return next(finding.text for finding in check_store(store, None, UTC) if finding.name == "daemons")

    assert "it hangs" in found()
    monkeypatch.setattr("scheduler.doctor.store_checks.time.sleep", renew)
    assert "it hangs" not in found()
    presence.close()


def hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)
