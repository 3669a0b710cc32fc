"""scheduler up --stage: a live version and a preview side by side, from two source trees."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.command_line import CommandLine
from tests.scheduler.up_process import Up, children, command, count_in, count_of, fetch, living, up
from tests.waiting import PATIENCE_S, eventually, slowed

KEYS = {
    "LEANCLOUD_APP_ID": "shop",
    "LEANCLOUD_APP_KEY": "key",
    "LEANCLOUD_APP_MASTER_KEY": "master",
    "LEANCLOUD_APP_HOOK_KEY": "hook",
}
CLOUD = """
import os
import time
from pathlib import Path

import prices
from scheduler.engine import Engine

engine = Engine()


@engine.define
def version():
    return [prices.VERSION, os.environ["LEANCLOUD_APP_ENV"], Path("data.txt").read_text()]


@engine.define
def counted():
    prices.CALLS += 1
    return prices.CALLS


@engine.define
def crash():
    os._exit(7)


@engine.define
def hang():
    print("hanging")
    time.sleep(14)


@engine.timer(every=3600, enabled=True)
@engine.define
def tick():
    print("tick of", prices.VERSION)
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two source trees with modules of the same names."""
    folder = tmp_path_factory.mktemp("shop")
    for name in ("live", "preview"):
        (folder / name).mkdir()
        (folder / name / "cloud.py").write_text(CLOUD)
        (folder / name / "prices.py").write_text(f"VERSION = {name!r}\nCALLS = 0\n")
        (folder / name / "data.txt").write_text(f"data of {name}")
    return folder / "live", folder / "preview"


@pytest.fixture(scope="module")
def both(trees: tuple[Path, Path]) -> Iterator[Up]:
    live, preview = trees
    with up(live, "--stage", "0", "--stage-source", str(preview), **KEYS) as running:
        yield running


def call(url: str, name: str, prod: int) -> tuple[int, Any]:
    headers = {"X-LC-Id": "shop", "X-LC-Key": "key", "X-LC-Prod": str(prod)}
    status, text = fetch(f"{url}/1.1/functions/{name}", headers, b"{}")
    return status, json.loads(text)


@pytest.mark.slow
def test_each_port_serves_its_own_sources(both: Up) -> None:
    """Modules and files of the same names are not mixed up, and each sees its own environment."""
    assert call(both.url, "version", 1) == (200, {"result": ["live", "production", "data of live"]})
    assert call(both.facts["stage"], "version", 0) == (200, {"result": ["preview", "stage", "data of preview"]})


@pytest.mark.slow
def test_the_two_share_no_module(both: Up) -> None:
    """A counter in a module counts the calls of its own process."""
    assert [call(both.url, "counted", 1)[1] for _ in range(3)] == [{"result": n} for n in (1, 2, 3)]
    assert call(both.facts["stage"], "counted", 0)[1] == {"result": 1}


@pytest.mark.slow
def test_each_answers_for_its_own_environment_only(both: Up) -> None:
    """For the other one with LeanEngine's error."""
    status, answer = call(both.url, "version", 0)
    assert (status, answer["code"], answer["error"]) == (400, 1, "The cloud code isn't deployed for prod 0.")
    status, answer = call(both.facts["stage"], "version", 1)
    assert (status, answer["code"], answer["error"]) == (400, 1, "The cloud code isn't deployed for prod 1.")


@pytest.mark.slow
def test_timers_run_the_functions_of_their_environment(both: Up, trees: tuple[Path, Path]) -> None:
    """A timer declared in both trees is two timers."""
    live, _ = trees
    for environment, version in (("production", "live"), ("stage", "preview")):
        run = json.loads(
            command(live, "timers", "run", "tick", "--wait", "--json", "--env", environment, **KEYS).stdout
        )
        assert run["outcome"] == "succeeded"
        lines = command(live, "logs", "--run", str(run["id"]), "--json").stdout
        assert json.loads(lines)["text"] == f"tick of {version}"


@pytest.mark.slow
def test_a_preview_that_crashes_is_restarted_while_the_live_version_serves(both: Up) -> None:
    """A function of the preview ends its process."""
    with pytest.raises(ConnectionError):
        call(both.facts["stage"], "crash", 0)
    assert call(both.url, "version", 1)[0] == 200
    assert eventually(lambda: _answers(both.facts["stage"]))


def _answers(url: str) -> bool:
    try:
        return fetch(f"{url}/__engine/1/ping")[0] == 200
    except OSError:
        return False


@pytest.mark.slow
def test_the_live_version_starts_beside_a_preview_that_does_not(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """The reason is printed."""
    live, _ = trees
    (tmp_path / "cloud.py").write_text("price = 1 / 0\n")
    store = str(tmp_path / "store.db")
    with up(live, "--stage", "0", "--stage-source", str(tmp_path), "--store", store, **KEYS) as running:
        assert running.facts["stage_source"] == f"{tmp_path}, which does not start"
        assert call(running.url, "version", 1)[0] == 200
        _, stderr = running.stop()
    assert "Error: stage: cloud.py raised while it was imported: ZeroDivisionError" in stderr


@pytest.mark.slow
def test_a_preview_whose_folder_is_gone_is_started_when_it_is_back(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """The live version goes on meanwhile, although no process can be started there."""
    live, preview = trees
    folder, store = tmp_path / "preview", str(tmp_path / "store.db")
    shutil.copytree(preview, folder)
    with up(live, "--stage", "0", "--stage-source", str(folder), "--store", store, **KEYS) as running:
        folder.rename(tmp_path / "moved")
        os.kill(running.only("stage"), signal.SIGKILL)
        eventually(lambda: running.stderr, lambda seen: "the preview cannot be started" in seen)
        assert call(running.url, "version", 1)[0] == 200
        (tmp_path / "moved").rename(folder)
        assert eventually(lambda: _answers(running.facts["stage"]))
        assert running.stop()[0] == 0


@pytest.mark.slow
def test_both_end_together(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """By SIGTERM with status 0; and when the live process is killed, the preview and all workers end too."""
    live, preview = trees
    words = ("--stage", "0", "--stage-source", str(preview), "--store", str(tmp_path / "store.db"))
    with up(live, *words, **KEYS) as running:
        started = children(running.process.pid)
        assert running.stop()[0] == 0
        eventually(lambda: living(*started), lambda seen: not seen)
    with up(live, *words, **KEYS) as running:
        started = children(running.process.pid)
        assert len(started) >= 3
        running.kill()
        eventually(lambda: living(*started), lambda seen: not seen)


@pytest.mark.slow
def test_a_second_signal_waits_for_no_request(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """Not even for one to the preview."""
    live, preview = trees
    words = ("--stage", "0", "--stage-source", str(preview), "--store", str(tmp_path / "store.db"))
    with up(live, *words, **KEYS) as running:
        client = threading.Thread(target=lambda: _hangs(running.facts["stage"]), daemon=True)
        client.start()
        eventually(lambda: count_in(tmp_path / "store.db", "SELECT count(*) FROM call_lines WHERE text = 'hanging'"))
        running.process.terminate()
        eventually(lambda: running.stderr, lambda seen: "stopping" in seen)
        started = time.monotonic()
        status, stderr = running.stop()
        assert status == 128 + signal.SIGTERM, stderr
        assert time.monotonic() - started < slowed(5)
        client.join(PATIENCE_S)


def _hangs(url: str) -> None:
    with contextlib.suppress(OSError):
        call(url, "hang", 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stage-source", "."), "--stage-source needs --stage PORT"),
        (("--stage", "0", "--stage-source", "nowhere"), "--stage-source nowhere: there is no such folder"),
        (("--stage", "0", "--env", "stage"), "with a preview (--stage PORT), the environment must be production"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    words: tuple[str, ...], message: str, command_line: CommandLine
) -> None:
    """Before anything is started."""
    command_line.write("cloud.py", CLOUD)
    assert message in command_line.refusal("up", "--port", "0", *words)


@pytest.mark.slow
def test_the_timers_of_both_are_in_one_store(both: Up, trees: tuple[Path, Path]) -> None:
    """Two timers of one name."""
    live, _ = trees
    assert count_of(live, "SELECT count(*) FROM timers WHERE name = 'tick'") == 2
