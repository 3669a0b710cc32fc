"""What the processes of scheduler up that have no store import: each import costs time and memory at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Loads the module, and reports a declared timer as the process that has loaded the functions does.
PROGRAM = """
import importlib, sys
from scheduler.core.timer import Environment
from scheduler.default_rules import DefaultZone
from scheduler.engine import Engine
from scheduler.functions.declarations import as_data, read_declarations

importlib.import_module(sys.argv[1])
engine = Engine()


def hello():
    pass


engine.timer(every=60)(engine.define(hello))
declared = as_data(read_declarations(engine.registry, Environment.PRODUCTION, DefaultZone("UTC")))
assert [columns["name"] for columns, *_ in declared["timers"]] == ["hello"]
print(*sys.modules)
"""


@pytest.mark.parametrize("module", ["scheduler.cli.up", "scheduler.up.web"])
def test_a_process_without_a_store_loads_no_database(module: str) -> None:
    """The supervisor and the processes that answer HTTP: neither SQLAlchemy nor SQLite."""
    words = [sys.executable, "-c", PROGRAM, module]
    loaded = set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert module in loaded
    assert not loaded & {"sqlalchemy", "sqlite3", "alembic", "scheduler.store"}


def test_a_worker_loads_little() -> None:
    """Each kill of a function costs one: nothing of the store or the engine, no random numbers and no hashes."""
    program = "import sys, scheduler.workers.program; print(*sys.modules)"
    words = [sys.executable, "-c", program]
    loaded = set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert "scheduler.workers.program" in loaded
    assert not loaded & {"sqlalchemy", "scheduler.store", "scheduler.engine", "click", "random", "hashlib", "tempfile"}
