"""What functions print under scheduler up, called by a client or by a timer, is in scheduler logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.up_process import Up, command, fetch, up
from tests.waiting import eventually

pytestmark = pytest.mark.slow

KEYS = {"LEANCLOUD_APP_ID": "shop", "LEANCLOUD_APP_KEY": "key", "LEANCLOUD_APP_MASTER_KEY": "m"}
CLOUD = """
import logging, sys
from scheduler.engine import Engine, cloud

engine = Engine()
print("loading")


@engine.define
def talk(**params):
    print("said", engine.current.request_id)
    logging.getLogger("shop").warning("careful")
    print("oh", file=sys.stderr)


@engine.define
def fail():
    return {}["missing"]


@engine.define
def many():
    for n in range(700):
        print(n)


@engine.timer(every=3600)
@engine.define
def tick():
    print("tick", engine.current.request_id, engine.current.timer.name)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Up]]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "cloud.py").write_text(CLOUD)
    with up(folder, "--stage", "0", **KEYS) as running:
        yield folder, running


def call(url: str, name: str, request_id: str, prod: int = 1) -> tuple[int, str]:
    headers = {"X-LC-Id": "shop", "X-LC-Key": "key", "X-LC-Prod": str(prod), "X-Request-Id": request_id}
    return fetch(f"{url}/1.1/functions/{name}", headers, b"{}")


def logged(folder: Path, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command(folder, "logs", "--json", "-n", "5000", *options).stdout.splitlines()]


def test_the_lines_of_a_call_have_the_request_id_of_the_client(shop: tuple[Path, Up]) -> None:
    """Each line with its level, function and environment."""
    folder, running = shop
    call(running.url, "talk", "my-request")
    lines = eventually(lambda: logged(folder, "--request", "my-request"))
    assert [(line["level"], line["text"]) for line in lines] == [
        ("info", "said my-request"),
        ("warning", "careful"),
        ("error", "oh"),
    ]
    assert {(line["function"], line["environment"], line["timer"]) for line in lines} == {("talk", "production", None)}


def test_the_lines_of_a_run_have_its_request_id(shop: tuple[Path, Up]) -> None:
    """The function sees the same one."""
    folder, _ = shop
    run = json.loads(command(folder, "timers", "run", "tick", "--wait", "--json", **KEYS).stdout)
    (line,) = logged(folder, "--request", run["request_id"])
    assert (line["text"], line["timer"], line["run"]) == (f"tick {run['request_id']} tick", "tick", run["id"])
    assert logged(folder, "--timer", "tick", "--env", "production") == [line]


def test_the_preview_has_lines_of_its_own(shop: tuple[Path, Up]) -> None:
    """logs --env stage shows them, logs --env production does not."""
    folder, running = shop
    call(running.facts["stage"], "talk", "of-stage", prod=0)
    lines = eventually(lambda: logged(folder, "--env", "stage"))
    assert {line["request_id"] for line in lines} == {"of-stage"}
    assert "of-stage" not in {line["request_id"] for line in logged(folder, "--env", "production")}


def test_the_traceback_of_an_unexpected_error_is_in_the_log(shop: tuple[Path, Up]) -> None:
    """And never in the response."""
    folder, running = shop
    status, text = call(running.url, "fail", "unforeseen")
    assert (status, json.loads(text)["requestId"]) == (500, "unforeseen")
    assert "Traceback" not in text
    lines = eventually(lambda: logged(folder, "--request", "unforeseen"))
    assert lines[-1]["text"] == "KeyError: 'missing'"


def test_stdout_has_each_line_once(tmp_path: Path) -> None:
    """As JSON under --json, so that a program can read all of stdout; prints of code that loads go to stderr."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path, **KEYS) as running:
        call(running.url, "talk", "shown")
        call(running.url, "many", "loud")
        _, stderr = running.stop()
    lines = [json.loads(line) for line in running.stdout.splitlines()]
    assert [line["text"] for line in lines if line["request_id"] == "shown"] == ["said shown", "careful", "oh"]
    # A slow machine reports the first of them while others are still printed.
    reports = [line["text"] for line in lines if "lines were dropped" in line["text"]]
    assert 1 <= len(reports) <= 2
    assert all(text.endswith(" dropped, of many, since calls may print 600 lines a minute") for text in reports)
    assert sum(int(text.split()[0]) for text in reports) == 203
    assert len(lines) == 500 + len(reports)
    assert "loading" in stderr
    assert "careful" not in stderr
