"""A daemon's own session on PostgreSQL: notifications, and the lock that it holds while it lives."""

import select

import pytest

from scheduler.claims.session_lock import SessionLock
from scheduler.store.database import Store
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
