"""The store: the database, its tables, and everything that is read from them or written into them.

    database.py                Store: the open database and its transactions; a table of what differs
    store_url.py               the address of a store
    transaction_watch.py       what is notified of operations that may block
    upgrade.py                 the version of the tables; creating and migrating them
    sqlite.py, postgres.py     SqliteStore, PostgresStore
    sqlite_files.py            OpenFiles: whether a SQLite file and its journal are still those that are open
    bounded_connection.py      a connection to PostgreSQL that waits for a bounded time
    schema.py, migrations/     the tables, and the steps from older ones
    rows.py                    values to rows, and rows to values
    statements.py              Bulk, Among: one statement for many rows
    timers.py                  TimerTable: adding, editing and removing timers
    declarations.py            reading the timers that are declared beside their functions
    declaration_sync.py        synchronizing the store with them
    claimed_fires.py           which fire times daemons have claimed already
    runs.py                    RunHistory: runs and the lines that they printed
    log_lines.py               the lines of runs and of calls as one sequence
    retention.py               Retention: deleting old runs
    statistics.py              counts of what a store holds
    wake_socket.py, listen.py  waking daemons; a session that listens on a channel

The classes of both databases are imported here, so that `Store(url)` finds them.
"""

from .database import Store
from .postgres import PostgresStore
from .sqlite import SqliteStore

__all__ = ["PostgresStore", "SqliteStore", "Store"]
