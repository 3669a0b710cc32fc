"""The digest: what the console has read of the history, in a SQLite file of its own.

The store has no index by timer. So the console reads each run once, and keeps what its pages show of many runs.

    file.py       where the file is, its tables, and opening it
    reading.py    reading the history in portions, newest first
    settled.py    what one portion of settled runs adds to the tables
    queries.py    what pages read of it
"""
