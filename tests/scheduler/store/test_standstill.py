"""A PostgreSQL server that stands still: it answers nothing, and closes no connection. No caller waits for long."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.subscription import Subscription
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CommandLine
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually, slowed

pytestmark = pytest.mark.slow

TIMEOUT_S = 1.0


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@contextmanager
def ends_soon(within_s: float = 10 * TIMEOUT_S) -> Iterator[None]:
    """The block takes a few time-outs at most: far less than libpq would wait."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < slowed(within_s)


def read(store: Store) -> None:
    TimerTable(store).list()


def write(store: Store) -> None:
    store.check_writable()


def listen(store: Store) -> None:
    with closing(Subscription(store, "channel")) as session:
        session.connect()


@pytest.mark.parametrize("use", [read, write, listen])
def test_a_server_that_stands_still_counts_as_away(use: Callable[[Store], None], url: str, postgres: Server) -> None:
    """And when it goes on, so does the store."""
    with Store(url, timeout_s=TIMEOUT_S) as store:
        read(store)
        with postgres.standing_still(), ends_soon(), pytest.raises(StoreUnavailableError, match="does not answer"):
            use(store)
        eventually(lambda: succeeds(lambda: use(store)))


def succeeds(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except StoreUnavailableError:
        return False
    return True


def test_a_commit_that_is_not_answered_ends(url: str, postgres: Server) -> None:
    """Whether it was committed is unknown then, as after every loss of a connection."""

    def write_and_stand_still() -> None:
        with store.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE waits (n int)")
            still.enter_context(postgres.standing_still())

    with (
        Store(url, timeout_s=TIMEOUT_S) as store,
        ExitStack() as still,
        ends_soon(),
        pytest.raises(StoreUnavailableError, match="no answer within 1 s"),
    ):
        write_and_stand_still()


def test_a_statement_may_take_as_long_as_is_set(url: str) -> None:
    """A server that is at work answers nothing either."""
    with Store(url, timeout_s=TIMEOUT_S) as store, ends_soon():
        with pytest.raises(StoreUnavailableError, match="no answer within 1 s"), store.reading() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(60)")
        with store.reading() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(0.1)")


def test_a_command_ends_with_an_error(
    url: str, postgres: Server, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the time of connecting, because it has no connection yet."""
    monkeypatch.setenv("SCHEDULER_STORE_TIMEOUT_S", "1")
    with postgres.standing_still(), ends_soon(20 * TIMEOUT_S):
        error = command_line.refusal("timers", "list", "--store", url)
    assert "the store does not answer" in error
