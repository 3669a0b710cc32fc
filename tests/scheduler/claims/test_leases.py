"""Which daemons count as dead where their processes cannot be seen: by their locks and leases."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Row

from scheduler.claims import leases
from scheduler.errors import LeaseLostError, StoreUnavailableError
from scheduler.store.database import Store
from tests.scheduler.claims.second_daemon import Second, begin_runs, lose_session, registered
from tests.scheduler.scripted_service import Service

ON_A_SERVER = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@ON_A_SERVER
def test_a_daemon_in_the_midst_of_a_transaction_is_not_taken_over(service: Service, second: Second) -> None:
    """Even if its lease ran out: the runs that it is writing would have no owner."""
    service.settle()
    lose_session(second.daemon, service.store)
    service.clock.advance(100)
    with service.store.writing() as connection:
        second.daemon._lease.check(connection)
        service.settle()
        assert second.id in registered(service.store)
    service.after(1)
    assert second.id not in registered(service.store)
    with service.store.writing() as connection, pytest.raises(LeaseLostError):
        second.daemon._lease.check(connection)


@ON_A_SERVER
def test_a_daemon_without_its_lock_is_dead_after_two_checks(service: Service, second: Second) -> None:
    """Long before its lease runs out; its run is abandoned, and its own result is not recorded."""
    service.add(seconds=10)
    service.clock.advance(10)
    second.step()
    service.after(1)
    lose_session(second.daemon, service.store)
    service.after(leases.CHECK_LOCKS_EVERY_S)
    assert second.id in registered(service.store)
    service.after(leases.CHECK_SUSPECTS_S)
    assert second.id not in registered(service.store)
    assert service.rows() == [(10, 1, "abandoned")]
    second.executor.end(second.executor.going_on[0])
    assert second.daemon.turn() == 0
    assert service.rows() == [(10, 1, "abandoned")]


@ON_A_SERVER
def test_a_daemon_that_renews_its_lease_while_it_is_taken_for_dead_lives(
    service: Service, second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was slow, and renewed between the read of its row and the lock on it."""
    for _ in range(leases.CHECKS_OF_GRACE + 1):
        service.after(leases.CHECK_LOCKS_EVERY_S)
    locked = leases._locked
    came_late = []

    def late(connection: Connection, daemon_ids: Collection[int]) -> list[Row[Any]]:
        if second.id in daemon_ids:
            came_late.append(second.id)
            second.daemon._lease.renew(service.clock.now())
        return locked(connection, daemon_ids)

    monkeypatch.setattr(leases, "_locked", late)
    service.after_a_lease()
    assert second.id in registered(service.store)
    assert came_late


@pytest.mark.parametrize("wrong_by_s", [-3600, -60, 60, 3600])
def test_a_daemon_lives_as_long_as_it_renews_its_lease_by_whatever_clock(
    service: Service, second: Second, wrong_by_s: int
) -> None:
    """The clock of its machine is wrong; and once it stops renewing, it is dead after the length of a lease."""
    for _ in range(8):
        second.daemon._lease.renew(service.clock.now() + timedelta(seconds=wrong_by_s))
        service.after(service.store.lease.total_seconds() / 4)
        assert second.id in registered(service.store)
    service.after_a_lease()
    assert second.id not in registered(service.store)


@ON_A_SERVER
def test_a_daemon_that_comes_back_with_its_lock_lives(service: Service, second: Second) -> None:
    """Its session was cut; it takes its lock again before the second check."""
    service.settle()
    lose_session(second.daemon, service.store)
    service.after(leases.CHECK_LOCKS_EVERY_S)
    second.step()
    service.after(leases.CHECK_SUSPECTS_S)
    service.after(leases.CHECK_LOCKS_EVERY_S)
    assert second.id in registered(service.store)


@ON_A_SERVER
def test_after_an_outage_the_others_have_time_to_come_back(service: Service, second: Second) -> None:
    """The daemon that connects first does not take the others for dead that have not connected yet."""
    service.settle()
    for daemon in (service.daemon, second.daemon):
        lose_session(daemon, service.store)
    service.clock.advance(60)
    service.settle()
    service.after(leases.CHECK_LOCKS_EVERY_S)
    assert second.id in registered(service.store)
    second.step()
    service.after(leases.CHECK_LOCKS_EVERY_S)
    service.after(leases.CHECK_LOCKS_EVERY_S)
    assert second.id in registered(service.store)


def test_a_daemon_that_ended_while_its_store_was_away_is_dead_for_the_next_of_its_process(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program closes a Scheduler and opens it again: its process runs on, and the open run waits for no lease."""
    begin_runs(service)
    service.settle()
    assert service.daemon is not None
    ended = service.daemon._lease.id

    def away(_: Store) -> Any:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(type(service.store), "writing", away)
        service.daemon.close()
    assert registered(service.store) == {ended}
    assert service.rows() == [(10, 1, None)]
    service.start()
    service.settle()
    service.after(leases.CHECK_SUSPECTS_S)
    assert ended not in registered(service.store)
    assert service.rows() == [(10, 1, "abandoned")]


@pytest.mark.parametrize("how", ["locked", "clock"])
def test_daemons_that_live_do_not_take_over_from_each_other(service: Service, second: Second, how: str) -> None:
    """After the store was locked, or the machine asleep, for longer than a lease; after the clock was set forward."""
    begin_runs(service, seconds=10_000)
    service.settle()
    (task,) = service.executor.going_on
    long_s = 2 * service.store.lease.total_seconds()
    if how == "clock":
        service.clock.jump(long_s)
    else:
        service.clock.advance(long_s)
    # The first of them finds that the other has not renewed its lease.
    second.step()
    assert service.daemon is not None
    assert registered(service.store) == {service.daemon._lease.id, second.id}
    service.settle()
    second.step()
    assert registered(service.store) == {service.daemon._lease.id, second.id}
    service.executor.end(task)
    service.settle()
    assert service.rows()[0][2] == "succeeded"
