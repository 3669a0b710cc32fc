"""Reads the version of a store's tables, creates them, and migrates those of an older version with Alembic."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    column,
    inspect,
    select,
    table,
)

from ..errors import StoreMigratedError, StoreUnavailableError, StoreVersionError
from ..install import install_command
from . import schema

#: Alembic's version table has a name of our own, so that an application may keep its migrations in the same database.
VERSION_TABLE = "scheduler_version"
#: The version of the tables, as a part of other statements.
VERSION = select(column("version_num")).select_from(table(VERSION_TABLE)).scalar_subquery()
MIGRATIONS = Path(__file__).with_name("migrations")

#: As Alembic defines it.
_VERSIONS = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)

log = logging.getLogger("scheduler.migration")


def version_of(connection: Connection) -> str | None:
    """The version of the tables, None if there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()


def check_unmigrated(store: str, version: str | None) -> None:
    """StoreMigratedError if these tables, which this program has opened, now have another version."""
    if version != schema.HEAD:
        raise StoreMigratedError(
            f"{store}: a newer version of scheduler has brought the store from schema {schema.HEAD} to {version}, "
            "so this version fires no more timers; start the newer one"
        )


def known_versions() -> set[str]:
    """The versions of the tables that this program can migrate."""
    return {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def check_upgrade(store: str, version: str | None, *, upgrades: bool) -> None:
    """Refuse a store without tables, or with those of another version, unless it `upgrades` an older one."""
    commands = "`scheduler up` and `scheduler timers add`"
    if version is None and not upgrades:
        raise StoreUnavailableError(f"{store}: there is no store yet; {commands} create one")
    if version is not None and version not in known_versions():
        raise StoreVersionError(
            f"{store}: the store was written by a newer version of scheduler (its schema is {version!r}, this "
            f"version knows {schema.HEAD!r}); upgrade the package: {install_command('scheduler', upgrade=True)}"
        )
    if not upgrades:
        raise StoreVersionError(
            f"{store}: the store was written by an earlier version of scheduler (its schema is {version!r}, this "
            f"version uses {schema.HEAD!r}); {commands} bring it up to date, after which that version refuses it"
        )


def upgrade(connection: Connection, store: str) -> None:
    """Create or migrate the tables, in a transaction that has the store's mutex."""
    # Another process may have created or migrated the store since its version was read.
    version = version_of(connection)
    if version is None:
        _refuse_foreign_tables(connection, store)
        _create(connection)
    elif version != schema.HEAD:
        _migrate(connection)


def _create(connection: Connection) -> None:
    """Create the tables of this version at once, instead of those of the first version and all changes since."""
    schema.metadata.create_all(connection, checkfirst=False)
    _VERSIONS.create(connection, checkfirst=False)
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{schema.HEAD}')")


def _migrate(connection: Connection) -> None:
    with _quiet("alembic"):
        # Alembic takes a quarter of a second to import, so only the store of an older version does it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        command.upgrade(config, "head")


def log_upgrade(store: str, version: str) -> None:
    """Log that a store was migrated from a version."""
    text = "%s: brought from schema %s to %s; earlier versions of scheduler refuse it from now on"
    log.warning(text, store, version, schema.HEAD)


def _refuse_foreign_tables(connection: Connection, store: str) -> None:
    tables = set(inspect(connection).get_table_names())
    if tables & set(schema.metadata.tables):
        raise StoreVersionError(
            f"{store}: the database holds tables named {', '.join(sorted(tables)[:5])}, but no version of a "
            "scheduler store; choose another database"
        )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Within the block, suppress messages below a warning from another package, even those of its import."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(max(logger.getEffectiveLevel(), logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
