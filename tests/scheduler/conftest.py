"""Fixtures: an empty store on each database, a clock that the test sets, a daemon between them, and servers."""

from collections.abc import Iterator

import pytest

from scheduler.clock import ManualClock
from scheduler.store import database
from scheduler.store.database import Store
from scheduler.store.upgrade import upgrade
from tests.scheduler.broker_servers import RabbitMQ, Redis, rabbitmq_server, redis_server
from tests.scheduler.postgres_server import Server, postgres_server
from tests.scheduler.ready_tables import make_tables
from tests.scheduler.scripted_service import START, Service
from tests.scheduler.shared_statements import create_engine


@pytest.fixture(autouse=True)
def _machine_in_shanghai(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zone of this machine is that of a timer that names none; a test that means another one sets it."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")


@pytest.fixture(scope="session", autouse=True)
def _ready_tables() -> Iterator[None]:
    """Thousands of tests make a store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "upgrade", make_tables)
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_statements() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create_engine)
        yield


@pytest.fixture
def real_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is created and migrated as those of users are."""
    monkeypatch.setattr(database, "upgrade", upgrade)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when the first test needs it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis server; a test that stops it starts it again."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ server, which takes four seconds to start; a test that stops it starts it again."""
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty store; a test that uses it, or `store`, runs on both databases."""
    if request.param == "sqlite":
        yield "sqlite://"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store(store_url) as store:
        yield store


@pytest.fixture
def service(store: Store, clock: ManualClock) -> Iterator[Service]:
    service = Service(store, clock)
    yield service
    service.kill()
