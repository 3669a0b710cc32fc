"""scheduler worker where the extra `celery` is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scheduler.up_process import clean_environ

pytestmark = pytest.mark.slow

#: Runs a command as if some packages were not there.
PROGRAM = """
import sys

class Absent:
    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = sys.argv[1].split(",")
sys.meta_path.insert(0, Absent(absent))
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else found(name, package)
sys.argv[1:2] = []
from scheduler.cli import main
main()
"""


@pytest.mark.parametrize(
    ("absent", "broker", "missing"),
    [
        ("celery,billiard,kombu,pgmq,redis,psycopg", "pgmq://", "celery, psycopg, pgmq missing"),
        ("celery,billiard,kombu,pgmq,redis", "redis://127.0.0.1:1/0", "celery, redis missing"),
        ("pgmq", "pgmq://", "pgmq missing"),
    ],
)
def test_it_says_what_to_install(tmp_path: Path, absent: str, broker: str, missing: str) -> None:
    """In one line, before it asks for anything else."""
    words = ["worker", "cloud.py", "--store", "postgresql://postgres@127.0.0.1:1/x", "--broker", broker]
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, absent, *words],
        check=False,
        cwd=tmp_path,
        env=clean_environ(),
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2, answer.stderr
    assert answer.stderr.startswith(f"Error: {missing}; install what a fleet needs with: pip install ")
    assert "[celery]" in answer.stderr
    assert answer.stderr.count("\n") == 1
