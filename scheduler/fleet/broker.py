"""The broker between daemons and a Celery fleet: the Celery app of an address, the same for both sides.

Lives here: the schemes of addresses, Celery's settings, PGMQ's tables in a database without the extension. Never here:
the contents of a message (message.py).
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..core.addresses import hide_passwords
from ..core.timer import Environment
from ..errors import ConfigError, StoreUnavailableError
from ..install import install_command
from ..store.database import Store
from ..store.postgres import REACH
from .broker_connection import ANSWER_S, CONNECT_S, connect

if TYPE_CHECKING:
    from celery import Celery  # type: ignore[import-untyped, import-not-found, unused-ignore]

#: The address that means the store's own database.
OWN_DATABASE = "pgmq://"
SCHEMES = ("pgmq", "amqp", "amqps", "redis", "rediss")
#: After how long PGMQ delivers a message again that a worker took and did not acknowledge; that does no harm.
VISIBILITY_S = 60


def celery_app(broker: str, store: Store) -> Celery:
    """The Celery app of a store's fleet; ConfigError for an unusable broker or store, or without Celery."""
    scheme = broker.partition("://")[0]
    if scheme not in SCHEMES or "://" not in broker:
        raise ConfigError(f"unsupported broker scheme {scheme!r}; use one of {', '.join(f'{s}://…' for s in SCHEMES)}")
    if not store.has_server:
        raise ConfigError(
            f"a Celery fleet needs a store that its workers share: store = postgresql://user@host/database, not {store}"
        )
    try:
        from celery import Celery  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as error:
        raise ConfigError(f"Celery is not installed: {install_command('celery')} ({error})") from error
    app = Celery("scheduler", set_as_current=False)
    app.conf.update(_SETTINGS, broker_url=broker)
    if scheme == "pgmq":
        # The transport connects by this option; the URL is only shown.
        address = _address(broker, store)
        app.conf.update(
            broker_url=_shown(address),
            broker_transport="scheduler.fleet.pgmq_transport:PgmqTransport",
            broker_transport_options=_PGMQ | {"address": _with_keepalives(address), "timeout_s": store.timeout_s},
        )
    elif scheme.startswith("redis"):
        app.conf.broker_transport_options = {
            "visibility_timeout": VISIBILITY_S,
            "socket_connect_timeout": CONNECT_S,
            "socket_timeout": ANSWER_S,
        }
    else:
        app.conf.broker_transport_options = {"read_timeout": ANSWER_S, "write_timeout": ANSWER_S}
    return app


def check_installed(broker: str) -> None:
    """ConfigError, with the command that installs it, if a package is missing that a fleet with this broker needs."""
    needed = ["celery", "psycopg", *_PACKAGES.get(broker.partition("://")[0], ())]
    if missing := [name for name in needed if find_spec(name) is None]:
        raise ConfigError(f"{', '.join(missing)} missing; install what a fleet needs with: {install_command('celery')}")


def check_broker(app: Celery) -> None:
    """Connect to the broker once; StoreUnavailableError if it does not answer."""
    with app.connection_for_write() as connection:
        try:
            connect(connection)
        except Exception as error:  # each transport has errors of its own
            why = hide_passwords(str(error), str(app.conf.broker_url))
            raise StoreUnavailableError(f"the broker {connection.as_uri()} does not answer ({why})") from None


def queues(store: Store) -> dict[str, str]:
    """The name of each environment's queue; different for every store, as several may share a broker."""
    with store.reading() as connection:
        identity = connection.exec_driver_sql(
            "SELECT current_database() || ' of ' || system_identifier FROM pg_control_system()"
        ).scalar_one()
    own = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return {environment.value: f"scheduler.{own}.{environment}" for environment in Environment}


def prepare(broker: str, store: Store) -> None:
    """Create PGMQ's tables in the database of a `pgmq://` broker, unless it has them."""
    if not broker.startswith("pgmq://"):
        return
    try:
        import psycopg
        from pgmq.install import PGMQInstallError, install_pgmq_from_sql
    except ImportError as error:
        raise ConfigError(f"pgmq is not installed: {install_command('celery')} ({error})") from error
    try:
        with store.writing() as connection:
            store.acquire_mutex(connection)
            with psycopg.connect(_address(broker, store)) as database:
                if database.execute("SELECT to_regclass('pgmq.meta')").fetchone() != (None,):
                    return
                database.commit()
                install_pgmq_from_sql(conn=database)
    except (psycopg.Error, PGMQInstallError) as error:
        where = _shown(_address(broker, store))
        raise StoreUnavailableError(f"the broker {where}: PGMQ cannot be installed there ({error})") from error


def _address(broker: str, store: Store) -> str:
    """The database of a `pgmq://` broker, as a connection string of libpq."""
    if broker != OWN_DATABASE:
        return f"postgresql://{broker.removeprefix(OWN_DATABASE)}"
    return store.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _shown(address: str) -> str:
    """A connection string as a URL without password."""
    from psycopg.conninfo import conninfo_to_dict

    options = conninfo_to_dict(address)
    host = str(options.get("host") or "localhost")
    return f"pgmq://{'localhost' if host.startswith('/') else host}/{options.get('dbname', '')}"


def _with_keepalives(address: str) -> str:
    """The connection string with the store's options for detecting an unreachable server."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    options: dict[str, Any] = REACH | conninfo_to_dict(address)
    return make_conninfo(**options)


#: The packages of brokers, by the scheme of the address.
_PACKAGES = {"pgmq": ("pgmq",), "redis": ("redis",), "rediss": ("redis",)}
_PGMQ: dict[str, Any] = {
    "visibility_timeout": VISIBILITY_S,
    # Have the server notify each message; Kombu would poll ten times a second.
    "use_notify": True,
    "wait_time_seconds": 0,
}
_SETTINGS: dict[str, Any] = {
    "accept_content": ["json"],
    "task_serializer": "json",
    "task_ignore_result": True,
    # The row of a run shows whether a worker has begun it, so the broker need not keep the message.
    "task_acks_late": False,
    "worker_prefetch_multiplier": 2,
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": False,
    "worker_pool": "scheduler.fleet.celery_pool:TaskPool",
    "worker_consumer": "scheduler.fleet.celery_consumer:Consumer",
    # How long the main process waits for the last result of a child that died.
    "worker_lost_wait": 0.5,
    # Without effect, because messages are acknowledged early; set only to silence a warning.
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_enable_prefetch_count_reduction": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_connection_timeout": CONNECT_S,
    "broker_pool_limit": 1,
    "task_create_missing_queues": True,
}
