"""The command line in a folder of its own, run in this process for speed."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from scheduler.cli import program
from scheduler.engine import init
from scheduler.project import withheld_variables

CLOUD = """
import os, time
from scheduler.engine import Engine, LeanCloudError, LeanEngineError

engine = Engine()


@engine.define
def hello(name: str = "world"):
    print("saying hello to", name)
    return f"hello, {name}"


@engine.define
def add(a: int, b: int):
    return a + b


@engine.define
def refuse():
    raise LeanEngineError(123, "not today")


@engine.define
def lack():
    raise LeanCloudError(101, "no such object")


@engine.define
def bad():
    return 1 / 0


@engine.define
def hang():
    while True:
        time.sleep(0.05)


@engine.define
def environment():
    return os.environ["LEANCLOUD_APP_ENV"]
"""


class CommandLine:
    """`run("timers", "list")` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *words: str) -> Result:
        if words[:1] == ("call",) and "--limit" not in words:
            # A function that starts a process takes more than the 15 s of the default on a busy machine.
            words = (*words[:2], "--limit", "600", *words[2:])
        with _restored_process():
            return CliRunner().invoke(program, list(words), prog_name="scheduler")

    def json(self, *words: str) -> Any:
        """What a command that must succeed prints under --json."""
        result = self.run(*words, "--json")
        assert result.exit_code == 0, (result.stdout, result.stderr)
        return json.loads(result.stdout)

    def refusal(self, *words: str) -> str:
        """The message of a command that must be refused: exit status 2, nothing on stdout, no traceback."""
        result = self.run(*words)
        assert result.exit_code == 2, (result.stdout, result.stderr, result.exception)
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        return result.stderr


@contextmanager
def _restored_process() -> Iterator[None]:
    """Restore what a command changes: modules, the import path, environment variables, keys, log handlers."""
    environ, path, modules = dict(os.environ), list(sys.path), set(sys.modules)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        withheld_variables._taken.clear()
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name in {"cloud", "wsgi", "site_app"}:
                del sys.modules[name]
        root.handlers[:] = handlers
        root.setLevel(level)
        init()
