"""What the user's code does to logging and to the standard streams: our messages, lines and tracebacks stay.

The same functions are called over HTTP and by a timer, under each configuration.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scheduler.up.raw_pipes import RawPipes
from tests.scheduler.up_process import Up, command, curl, up
from tests.waiting import eventually

pytestmark = pytest.mark.slow

CLOUD = """
import io
import logging
import logging.config
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from scheduler.engine import Engine

engine = Engine()
{configuration}


@engine.timer(every=3600)
@engine.define
def talk():
    logging.getLogger("shop").info("an info line")
    logging.getLogger("shop").warning("a warning line")
    print("printed")
    print("an error line", file=sys.stderr)


@engine.timer(every=3600)
@engine.define
def fail():
    return {{}}["missing"]


@engine.define
def harm():
    sys.stdout.reconfigure(encoding="latin-1", errors="strict")
    sys.stdout.detach()
    sys.stdout.close()
    sys.stderr.close()
    sys.stdout = open("/dev/null", "w")
    sys.stderr = None


@engine.timer(every=3600)
@engine.define
def chinese():
    print("中文")


def child():
    print("from a forked process")


@engine.timer(every=3600)
@engine.define
def past_stdout():
    subprocess.run(["echo", "from a subprocess"])
    subprocess.run("echo from its stderr >&2", shell=True)
    subprocess.run(["echo", "to the stream"], stdout=sys.stdout)
    sys.stdout.buffer.write("bytes 中".encode() + b"\\n")
    os.write(1, b"os.write\\n")
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(print, "from a pool").result()
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()


@engine.timer(every=3600)
@engine.define
def unfinished():
    yield print("never printed")
"""
CONFIGURATIONS = {
    "nothing": "",
    "basicConfig": "logging.basicConfig(level=logging.INFO)",
    "force": 'logging.basicConfig(level=logging.INFO, force=True, filename="own.log")',
    "dictConfig": 'logging.config.dictConfig({"version": 1})',
    "own handlers": (
        'logging.config.dictConfig({"version": 1, "handlers": {"c": {"class": "logging.StreamHandler"}}, '
        '"root": {"level": "INFO", "handlers": ["c"]}})'
    ),
    "wrapped": 'sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")',
}


def start(folder: Path, configuration: str = "", *, options: tuple[str, ...] = ()) -> Any:
    (folder / "cloud.py").write_text(CLOUD.format(configuration=configuration))
    return up(folder, *options)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A service whose code configures nothing, for all tests that leave it as it is."""
    with start(tmp_path_factory.mktemp("plain")) as running:
        yield running


def run(folder: Path, timer: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(command(folder, "timers", "run", timer, "--wait", "--json").stdout)
    return shown


def of_calls(folder: Path, function: str) -> list[tuple[str, str]]:
    """The levels and texts of the lines of calls over HTTP."""
    query = "SELECT level, text FROM call_lines WHERE function = ? ORDER BY id"
    with closing(sqlite3.connect(folder / ".scheduler" / "store.db")) as connection:
        return list(connection.execute(query, (function,)))


def of_runs(folder: Path, timer: str) -> list[tuple[str, str]]:
    query = (
        "SELECT lines.level, lines.text FROM lines JOIN runs ON runs.id = lines.run_id "
        "WHERE runs.timer = ? ORDER BY lines.id"
    )
    with closing(sqlite3.connect(folder / ".scheduler" / "store.db")) as connection:
        return list(connection.execute(query, (timer,)))


def called(running: Up, function: str) -> int:
    return answer(running, function)[0]


def answer(running: Up, function: str) -> tuple[int, str]:
    return curl(re.sub(r"/functions/\w+", f"/functions/{function}", running.facts["call"]))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_lines_have_their_level_whatever_is_configured(tmp_path: Path, name: str) -> None:
    """Over HTTP and in the runs of timers, each once; tracebacks are kept, and the service's messages are shown."""
    with start(tmp_path, CONFIGURATIONS[name]) as running:
        assert (called(running, "talk"), called(running, "fail")) == (200, 500)
        assert run(tmp_path, "talk")["outcome"] == "succeeded"
        assert run(tmp_path, "fail")["outcome"] == "failed"
        eventually(lambda: ("error", "KeyError: 'missing'") in of_calls(tmp_path, "fail"))
        _, stderr = running.stop()
    for lines in (of_calls(tmp_path, "talk"), of_runs(tmp_path, "talk")):
        shown = [(level, text.removeprefix("INFO:shop:").removeprefix("WARNING:shop:")) for level, text in lines]
        assert sorted(shown) == [
            ("error", "an error line"),
            ("info", "an info line"),
            ("info", "printed"),
            ("warning", "a warning line"),
        ]
    assert of_runs(tmp_path, "fail")[-1] == ("error", "KeyError: 'missing'")
    assert "stopping: no further runs" in stderr


LOGURU = """
import sys
from loguru import logger
from scheduler.engine import Engine

engine = Engine()
{configuration}


@engine.timer(every=3600)
@engine.define
def talk():
    logger.info("an info line")
    logger.success("a success line")
    logger.warning("a warning line")
    logger.error("an error line")


@engine.timer(every=3600)
@engine.define
def fail():
    with logger.catch(reraise=True):
        return {{}}["missing"]
"""
SINKS = {
    "default": "",
    "to stdout": 'logger.remove(); logger.add(sys.stdout, format="{message}")',
    "coloured": 'logger.remove(); logger.add(sys.stderr, colorize=True, format="<red>{message}</red>")',
    "a function": 'logger.remove(); logger.add(lambda text: sys.stderr.write(text), format="{message}")',
}


@pytest.mark.parametrize("name", SINKS)
def test_lines_of_loguru_have_their_level(tmp_path: Path, name: str) -> None:
    """Over HTTP and in the runs of timers, whatever sink writes them."""
    pytest.importorskip("loguru")
    (tmp_path / "cloud.py").write_text(LOGURU.format(configuration=SINKS[name]))
    with up(tmp_path) as running:
        assert (called(running, "talk"), called(running, "fail")) == (200, 500)
        assert run(tmp_path, "talk")["outcome"] == "succeeded"
        assert run(tmp_path, "fail")["outcome"] == "failed"
        eventually(lambda: len(of_calls(tmp_path, "talk")) == 4)
        running.stop()
    for lines in (of_calls(tmp_path, "talk"), of_runs(tmp_path, "talk")):
        shown = [(level, re.search(r"an? \w+ line", text)[0]) for level, text in lines]  # type: ignore[index]
        assert shown == [
            ("info", "an info line"),
            ("info", "a success line"),
            ("warning", "a warning line"),
            ("error", "an error line"),
        ]
    assert of_runs(tmp_path, "fail")[-1] == ("error", "KeyError: 'missing'")


def test_a_call_that_harms_the_streams_harms_no_other(tmp_path: Path) -> None:
    """Closed, detached, replaced, with another encoding: what the next call prints is kept."""
    with start(tmp_path) as running:
        assert called(running, "harm") == 200
        assert (called(running, "chinese"), called(running, "talk"), called(running, "fail")) == (200, 200, 500)
        eventually(lambda: ("error", "KeyError: 'missing'") in of_calls(tmp_path, "fail"))
        assert of_calls(tmp_path, "chinese") == [("info", "中文")]
        assert len(of_calls(tmp_path, "talk")) == 4
        running.stop()


def test_what_is_written_past_stdout_is_kept(plain: Up) -> None:
    """Of subprocesses, threads, pools and forked processes: over HTTP as in the runs of timers."""
    check_past_stdout(plain)


@pytest.mark.parametrize("options", [(), ("--reload",)])
def test_what_is_written_past_stdout_is_kept_in_one_process(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Also where the service itself writes to its stdout."""
    with start(tmp_path, options=("--one-process", *options)) as running:
        check_past_stdout(running)
        running.stop()


def check_past_stdout(running: Up) -> None:
    expected = [
        ("error", "from its stderr"),
        ("info", "bytes 中"),
        ("info", "from a pool"),
        ("info", "from a subprocess"),
        ("info", "from a thread"),
        ("info", "os.write"),
        ("info", "to the stream"),
    ]
    assert called(running, "past_stdout") == 200
    assert run(running.folder, "past_stdout")["outcome"] == "succeeded"
    lines = eventually(lambda: of_calls(running.folder, "past_stdout"), lambda seen: len(seen) >= 8)
    assert sorted(lines) == sorted([*expected, ("info", "from a forked process")])
    assert [line for line in sorted(of_runs(running.folder, "past_stdout")) if "forked" not in line[1]] == expected


def test_a_function_that_yields_is_no_success(plain: Up) -> None:
    """Its code has not run, and the error says so, over HTTP and in the run of a timer."""
    status, text = answer(plain, "unfinished")
    assert (status, json.loads(text)["error"][:37]) == (500, "the function returned a generator, wh")
    ended = run(plain.folder, "unfinished")
    assert (ended["outcome"], ended["error"][:37]) == ("failed", "the function returned a generator, wh")
    assert of_runs(plain.folder, "unfinished") == []


def test_the_last_words_of_a_process_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What a process has written to its stdout and stderr, and not read itself before it died."""
    pipes = RawPipes.made()
    assert pipes is not None
    os.write(pipes.far[0], b"an answer\n")
    os.write(pipes.far[1], b"Fatal Python error: \x1b[31mlast words")
    pipes.close_far()
    pipes.print_rest()
    assert capsys.readouterr().err == "an answer\nFatal Python error: \\x1b[31mlast words\n"


LEVELS_AT_IMPORT = 'print("printed at import"); logging.getLogger("shop").warning("a warning at import")'


@pytest.mark.parametrize("configuration", ["force", "own handlers"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_message_of_the_service_is_shown_once(tmp_path: Path, configuration: str, log_format: str) -> None:
    """Where a handler of the user's writes to the terminal, too, in the process in which the service itself logs."""
    handlers = CONFIGURATIONS[configuration].replace(', filename="own.log"', "") + f"\n{LEVELS_AT_IMPORT}"
    with start(tmp_path, handlers, options=("--one-process", "--log-format", log_format)) as running:
        _, stderr = running.stop()
    assert stderr.count("stopping: no further runs") == 1
    if log_format == "json":
        records = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
        levels = {record["message"]: record["level"] for record in records}
        assert levels["printed at import"] == "info"
        assert next(levels[text] for text in levels if text.endswith("a warning at import")) == "warning"
