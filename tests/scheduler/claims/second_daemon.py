"""A second daemon on the store of a service: its row says that it runs on another machine."""

from sqlalchemy import update

from scheduler.core.timer import Environment
from scheduler.daemon.loop import Daemon
from scheduler.store.daemon_locks import holders_of_locks
from scheduler.store.database import Store
from scheduler.store.schema import daemons
from tests.scheduler.scripted_service import ScriptedExecutor, Service, settle
from tests.waiting import eventually

PRODUCTION = Environment.PRODUCTION


class Second:
    """A daemon beside that of a service; its functions go on until the test ends them."""

    def __init__(self, service: Service) -> None:
        self.executor = ScriptedExecutor(service.clock, lambda _: None)
        self.daemon = Daemon(service.store, {PRODUCTION: self.executor}, clock=service.clock)
        self.daemon.step()
        self.id = self.daemon._lease.id
        with service.store.writing() as connection:
            connection.execute(update(daemons).where(daemons.c.id == self.id).values(host="elsewhere"))

    def settle(self) -> None:
        """Let it take turns until it has nothing more to do, reading all that has changed."""
        self.daemon.wake()
        settle(self.daemon)

    def step(self) -> None:
        """One turn, in which it reads the store, even if a notification is still on its way."""
        self.daemon.wake()
        self.daemon.step()


def begin_runs(service: Service, *, seconds: int = 10, **options: object) -> None:
    """A timer that is due, and whose function goes on until the test ends it."""
    service.executor.script = lambda _: None
    service.add(seconds=seconds, **options)
    service.settle()
    service.clock.advance(seconds)


def lose_session(daemon: Daemon | None, store: Store) -> None:
    """End a daemon's own session, and wait until the server has released its lock."""
    assert daemon is not None
    daemon._session_lock.close()

    def is_gone() -> bool:
        with store.reading() as connection:
            return daemon._lease.id not in holders_of_locks(connection)

    eventually(is_gone)


def registered(store: Store) -> set[int]:
    """The ids of the daemons that have a row."""
    with store.reading() as connection:
        return {row.id for row in connection.execute(daemons.select())}
