"""The page on moving from LeanCloud: every block of it runs, in the order of the page."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.timer import Environment
from scheduler.formats import timer_lists
from scheduler.project.settings import read_settings
from tests.scheduler.command_line import CommandLine
from tests.scheduler.migration_page import DOCS, PAGES, blocks, commands, files, variables
from tests.scheduler.up_process import Up, clean_environ, fetch, up

SDK_PYTHON = os.environ.get("SDK_OF_LEANCLOUD_PYTHON")
SDK_NODE = os.environ.get("SDK_OF_LEANCLOUD_NODE")
#: Commands that go on until they are stopped: the fixtures and tests below start them.
ENDLESS = ("scheduler up", "curl")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file of the page, and a `scheduler` on the path of its shells."""
    folder = tmp_path_factory.mktemp("shop")
    for name, text in files().items():
        (folder / name).write_text(text)
    (folder / "bin").mkdir()
    program = folder / "bin" / "scheduler"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m scheduler "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def served(project: Path) -> Iterator[Up]:
    """The project as the page starts it."""
    line = next(line for line in commands() if line.startswith("scheduler up"))
    options = shlex.split(line.replace("--port 3000", ""))[2:]
    with up(project, *options, **variables()) as running:
        yield running


def shell(project: Path, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(project / "bin"), os.environ["PATH"]))
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=project,
        env=clean_environ() | variables() | {"PATH": path} | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_both_languages_show_the_same_blocks() -> None:
    """So the tests of one page hold for the other."""
    english, chinese = (blocks(page) for page in PAGES)
    assert len(english) >= 20
    assert chinese == english


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_the_page_exist(page: str) -> None:
    """Files and headings."""
    text = (DOCS / page).read_text()
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        assert anchor in headings if anchor else (DOCS / path).exists(), link


@pytest.mark.slow
@pytest.mark.skipif(not SDK_PYTHON, reason="SDK_OF_LEANCLOUD_PYTHON names no Python with the package leancloud")
def test_the_removed_lines_are_a_cloud_py_of_leancloud(tmp_path: Path) -> None:
    """LeanCloud's own SDK loads them."""
    (tmp_path / "cloud.py").write_text(files("-")["cloud.py"])
    code = "import cloud; print(cloud.hello(name='Ann'))"
    ran = subprocess.run(
        [SDK_PYTHON or "", "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.returncode) == ("hello, Ann\n", 0), ran.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_the_curl_calls_are_answered(served: Up, project: Path) -> None:
    """A function, then a hook with its key."""
    calls = [line for line in commands() if line.startswith("curl ")]
    answers = [json.loads(shell(project, call.replace("http://127.0.0.1:3000", served.url)).stdout) for call in calls]
    assert answers == [{"result": "hello, Ann"}, {"comment": "good"}]


@pytest.mark.slow
def test_the_website_and_ping_are_served(served: Up) -> None:
    """Beside the functions, on the same port."""
    assert fetch(served.url + "/") == (200, "a page")
    assert fetch(served.url + "/__engine/1/ping")[0] == 200


@pytest.mark.slow
def test_the_commands_run_one_after_another(served: Up, project: Path) -> None:
    """None fails; afterwards the store has the timers, one of them enabled."""
    lines = [line for line in commands() if not line.startswith((*ENDLESS, "export"))]
    assert len(lines) >= 9
    for line in lines:
        ran = shell(project, line)
        assert ran.returncode == 0, (line, ran.stderr)
    timers = json.loads(shell(project, "scheduler timers list --json").stdout)
    assert {(timer["name"], timer["environment"], timer["enabled"]) for timer in timers} == {
        ("周报", "production", True),
        ("ping", "production", False),
        ("preview", "stage", False),
    }
    run = json.loads(shell(project, "scheduler timers run 周报 --wait --json").stdout)
    assert run["outcome"] == "succeeded"
    assert shell(project, f"scheduler logs --run {run['id']}").stdout.rstrip().endswith("at UTC +0800")


def test_the_json_of_the_page_is_a_list_of_timers() -> None:
    """With parameters."""
    (text,) = blocks(PAGES[0], "json")
    (timer,) = timer_lists.read(text, environment=Environment.PRODUCTION, tz="Asia/Shanghai", limit_s=15.0).timers
    assert (timer.name, timer.params) == ("nightly", {"days": 7})


@pytest.mark.parametrize("page", PAGES)
def test_the_expressions_of_the_page_are_taken_or_refused_as_it_says(page: str, command_line: CommandLine) -> None:
    """The error has the expression to use instead."""
    table = re.findall(r"^\| (`[\d*].*?) \| (.*) \|$", (DOCS / page).read_text(), re.MULTILINE)
    assert len(table) == 4
    for cell, verdict in table:
        expressions = re.findall(r"`([^`]+)`", cell)
        if verdict.startswith(("refused", "拒绝")):
            assert f"did you mean '{re.findall(r'`([^`]+)`', verdict)[-1]}'" in command_line.refusal(
                "next", *expressions
            )
        else:
            assert all(command_line.run("next", expression).exit_code == 0 for expression in expressions)


@pytest.mark.slow
@pytest.mark.skipif(not (SDK_NODE and shutil.which("node")), reason="SDK_OF_LEANCLOUD_NODE names no leancloud-storage")
@pytest.mark.parametrize("name", ["everything.js", "functions-only.js"])
def test_the_javascript_clients(name: str, served: Up, project: Path, tmp_path: Path) -> None:
    """For all services, or for functions only."""
    script = tmp_path / name
    script.write_text((project / name).read_text().replace("http://127.0.0.1:3000", served.url))
    (tmp_path / "node_modules").symlink_to(Path(SDK_NODE or "") / "node_modules")
    ran = shell(project, f"node --preserve-symlinks-main {shlex.quote(str(script))}")
    assert ran.stdout == "hello, Ann\n", ran.stderr


@pytest.mark.slow
@pytest.mark.skipif(not SDK_PYTHON, reason="SDK_OF_LEANCLOUD_PYTHON names no Python with the package leancloud")
def test_the_python_client(served: Up, project: Path) -> None:
    """The address is in LEANCLOUD_API_SERVER."""
    ran = shell(project, f"{SDK_PYTHON} -W ignore client.py", LEANCLOUD_API_SERVER=served.url)
    assert ran.stdout == "hello, Ann\n", ran.stderr


def test_a_hook_is_a_plain_function(project: Path) -> None:
    """The code that saves calls it."""
    ran = shell(project, f"{shlex.quote(sys.executable)} save_review.py")
    assert ran.stdout == "140\n", ran.stderr


@pytest.mark.slow
def test_sessions_are_looked_up_by_fetch_user(project: Path) -> None:
    """A known token has its user, another one LeanCloud's error."""
    with up(project, "sessions.py", "--store", "sessions.db", **variables()) as running:
        url = f"{running.url}/1.1/functions/whoami"
        headers = {"X-LC-Id": "my-app-id", "X-LC-Key": "my-app-key", "X-LC-Session": "token-of-ann"}
        assert fetch(url, headers, b"{}") == (200, '{"result":"ann"}')
        status, text = fetch(url, headers | {"X-LC-Session": "another"}, b"{}")
        assert (status, json.loads(text)["code"]) == (400, 211)


def test_the_scheduler_toml_of_the_page_is_valid(tmp_path: Path) -> None:
    """It is read without a change."""
    (tmp_path / "scheduler.toml").write_text(files()["scheduler.toml"])
    settings = read_settings(tmp_path, {}, {})
    assert (settings.rules, settings.tz, settings.max_timers) == ("leancloud", "Asia/Shanghai", 20)
