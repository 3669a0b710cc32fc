"""scheduler up: real processes, real requests, real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.up_process import Up, children, clean_environ, cli, command, count_of, curl, fetch, living, up
from tests.waiting import PATIENCE_S, eventually, slowed

SITE = """
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "the site"
"""
WSGI = """
import os
import leancloud_keys
from site_app import app
from cloud import engine
from scheduler.engine import init

init(os.environ["LEANCLOUD_APP_ID"], app_key=os.environ["LEANCLOUD_APP_KEY"])
application = engine.wrap(app)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "cloud.py").write_text(CLOUD)
    return folder


@pytest.fixture(scope="module")
def served(project: Path) -> Iterator[Up]:
    """A project that is up for all tests of this file that change nothing."""
    with up(project, TZ="Asia/Shanghai") as running:
        yield running


@pytest.mark.slow
def test_the_printed_call_works_as_it_stands(served: Up) -> None:
    """Pasted into a shell, it calls a function of the project."""
    assert curl(served.facts["call"]) == (200, '{"result":"hello, world"}')


@pytest.mark.slow
def test_functions_answer_as_on_leanengine(served: Up) -> None:
    """Parameters, an error with its code, an unknown function, wrong credentials, ping."""
    call = served.facts["call"]
    assert curl(call, instead="add", body='{"a": 1, "b": 2}') == (200, '{"result":3}')
    status, text = curl(call, instead="refuse")
    assert (status, json.loads(text)["code"], json.loads(text)["error"]) == (400, 123, "not today")
    assert curl(call, instead="nobody")[0] == 404
    assert fetch(f"{served.url}/1.1/functions/hello", {"X-LC-Id": "x", "X-LC-Key": "y"}, b"{}")[0] == 401
    assert json.loads(fetch(f"{served.url}/__engine/1/ping")[1])["runtime"].startswith("cpython-3.")


@pytest.mark.slow
def test_the_facts_name_url_store_keys_and_functions(served: Up, project: Path) -> None:
    """Also the time zone and the environment."""
    facts = served.facts
    assert facts["store"] == f"sqlite:///{project}/.scheduler/store.db"
    assert facts["keys"] == str(project / ".scheduler" / "keys.json")
    assert (facts["tz"], facts["environment"], facts["target"]) == ("Asia/Shanghai", "development", "cloud.py")
    assert facts["functions"] == ["add", "bad", "environment", "hang", "hello", "lack", "refuse"]


@pytest.mark.slow
def test_only_the_owner_can_read_the_file_of_keys(served: Up, project: Path) -> None:
    """Its mode is 0600; the key in it is the one that is printed."""
    path = project / ".scheduler" / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["LEANCLOUD_APP_KEY"] in served.facts["call"]


@pytest.mark.slow
def test_timers_run_waits_for_the_outcome(served: Up, project: Path) -> None:
    """The run happens in another process, the daemon's."""
    cli(project, "timers", "add", "greeting", "--function", "hello", "--every", "3600", "name=Ann")
    done = cli(project, "timers", "run", "greeting", "--wait", "--json")
    run = json.loads(done.stdout)
    assert (done.returncode, run["outcome"], run["result"]) == (0, "succeeded", "hello, Ann")
    logs = cli(project, "logs", "--run", str(run["id"]), "--json")
    assert [json.loads(line)["text"] for line in logs.stdout.splitlines()] == ["saying hello to Ann"]
    cli(project, "timers", "add", "broken", "--function", "bad", "--every", "3600")
    done = cli(project, "timers", "run", "broken", "--wait")
    assert done.returncode == 1
    assert "timerAction failed and no fallback available." in done.stdout


@pytest.mark.slow
def test_an_enabled_timer_fires_and_its_run_is_reported(tmp_path: Path) -> None:
    """Without a restart; the line of the function and the run are printed to stdout."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        added = command(tmp_path, "timers", "add", "often", "--function", "hello", "--every", "1", "--enable")
        assert added.stderr == ""
        assert running.process.stdout is not None
        reported = [json.loads(running.process.stdout.readline()) for _ in range(2)]
        assert reported[0]["text"] == "saying hello to world"
        assert (reported[1]["timer"], reported[1]["outcome"]) == ("often", "succeeded")


@pytest.mark.slow
def test_sigterm_ends_the_service_within_seconds(tmp_path: Path) -> None:
    """With exit status 0, one log line, and no process left."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        workers = children(running.process.pid)
        assert workers
        started = time.monotonic()
        status, stderr = running.stop()
        assert status == 0
        assert time.monotonic() - started < slowed(5)
        assert "stopping: no further runs, none in progress" in stderr
        assert "Traceback" not in stderr
        eventually(lambda: living(*workers), lambda seen: not seen)


@pytest.mark.faults
def test_timers_fire_when_stdout_is_closed(tmp_path: Path) -> None:
    """As in scheduler up | head."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        command(tmp_path, "timers", "add", "often", "--function", "hello", "--every", "1", "--enable")
        eventually(
            lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"), lambda seen: seen >= 2
        )
        assert running.process.poll() is None


@pytest.mark.faults
def test_timers_fire_when_stdout_is_not_read(tmp_path: Path) -> None:
    """As in scheduler up | less: far more is printed than a pipe holds, and SIGTERM still ends the service."""
    (tmp_path / "cloud.py").write_text(
        CLOUD + "\n\n@engine.define\ndef babble():\n    for _ in range(100):\n        print('x' * 1_000)\n"
    )
    with up(tmp_path) as running:
        command(tmp_path, "timers", "add", "often", "--function", "babble", "--every", "1", "--enable")
        eventually(
            lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"), lambda seen: seen >= 4
        )
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE_S) == 0
        running.ended()


@pytest.mark.faults
def test_the_first_signal_waits_for_a_run_and_the_second_does_not(tmp_path: Path) -> None:
    """A second SIGTERM kills the run, and it is recorded as abandoned."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        command(tmp_path, "timers", "add", "slow", "--function", "hang", "--every", "3600")
        command(tmp_path, "timers", "run", "slow")
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE owner IS NOT NULL"))
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: running.stderr, lambda seen: "waiting for 1 in progress" in seen)
        assert running.process.poll() is None
        status, _ = running.stop()
        assert status == 128 + signal.SIGTERM
        with Store(str(tmp_path / ".scheduler" / "store.db")) as store:
            assert [run.outcome for run in RunHistory(store).runs()] == [Outcome.ABANDONED]


@pytest.mark.faults
def test_a_closed_terminal_stops_the_service_like_ctrl_c(tmp_path: Path) -> None:
    """SIGHUP, even sent twice, lets the run in progress end; under nohup the service keeps running."""
    (tmp_path / "cloud.py").write_text(
        "import time\nfrom pathlib import Path\nfrom scheduler.engine import Engine\nengine = Engine()\n\n"
        "@engine.define\ndef slow():\n    Path('begun').touch()\n    time.sleep(1)\n"
    )
    # The tests may themselves have been started by nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with up(tmp_path) as running:
            command(tmp_path, "timers", "add", "slow", "--function", "slow", "--every", "3600")
            command(tmp_path, "timers", "run", "slow")
            eventually((tmp_path / "begun").exists)
            running.process.send_signal(signal.SIGHUP)
            eventually(lambda: running.stderr, lambda seen: "stopping" in seen)
            running.process.send_signal(signal.SIGHUP)
            status, _ = running.ended()
            assert status == 0
            assert count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'") == 1
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with up(tmp_path) as running:
            running.process.send_signal(signal.SIGHUP)
            assert fetch(f"{running.url}/__engine/1/ping")[0] == 200
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_a_request_in_progress_is_answered_before_the_end(tmp_path: Path) -> None:
    """SIGTERM while a function runs for a client: the client gets its response."""
    (tmp_path / "cloud.py").write_text(
        CLOUD
        + "\n\n@engine.define\ndef slow():\n    open('begun', 'w').close()\n    time.sleep(1.5)\n    return 'done'\n"
    )
    with up(tmp_path) as running:
        answers: list[tuple[int, str]] = []
        client = threading.Thread(target=lambda: answers.append(curl(running.facts["call"], instead="slow")))
        client.start()
        eventually((tmp_path / "begun").exists)
        status, _ = running.stop()
        client.join(PATIENCE_S)
        assert (status, answers) == (0, [(200, '{"result":"done"}')])


@pytest.mark.slow
def test_a_leanengine_project_is_served_with_its_site(tmp_path: Path) -> None:
    """wsgi.py, cloud.py and a Flask app as in LeanEngine's guide; the keys come from the environment."""
    hook = '\n\n@engine.before_save("Review")\ndef check(review):\n    pass\n'
    (tmp_path / "cloud.py").write_text(CLOUD + hook)
    (tmp_path / "site_app.py").write_text(SITE)
    (tmp_path / "leancloud_keys.py").write_text("")
    (tmp_path / "wsgi.py").write_text(WSGI)
    keys = {"LEANCLOUD_APP_ID": "my-app", "LEANCLOUD_APP_KEY": "my $key", "LEANCLOUD_APP_MASTER_KEY": "m"}
    with up(tmp_path, "--env", "stage", **keys, LEANCLOUD_APP_HOOK_KEY="h") as running:
        assert fetch(running.url + "/") == (200, "the site")
        assert fetch(running.url + "/missing")[0] == 404
        assert "'X-LC-Key: my $key'" in running.facts["call"]
        assert running.facts["keys"] == "from the environment"
        assert running.facts["hooks"] == ["before_save of Review"]
        assert running.facts["environment"] == "stage"
        status, text = curl(running.facts["call"])
        assert (status, json.loads(text)["error"]) == (400, "The cloud code isn't deployed for prod 1.")
    assert not (tmp_path / ".scheduler" / "keys.json").exists()


@pytest.mark.slow
def test_keys_that_the_code_gives_to_init_are_the_ones_that_are_printed(tmp_path: Path) -> None:
    """A cloud.py with literal keys needs no file of keys."""
    given = 'from scheduler.engine import init\ninit("id-1", app_key="key-1", master_key="m-1", hook_key="h-1")\n'
    (tmp_path / "cloud.py").write_text(given + CLOUD)
    with up(tmp_path) as running:
        assert '-H "X-LC-Id: id-1" -H "X-LC-Key: key-1"' in running.facts["call"]
        assert curl(running.facts["call"])[0] == 200
        assert running.facts["keys"] == "from the code"
    assert not (tmp_path / ".scheduler" / "keys.json").exists()


@pytest.mark.slow
def test_keys_outlive_a_restart(tmp_path: Path) -> None:
    """A client with the key keeps its access."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        first = running.facts["call"].replace(running.url, "")
        running.stop()
    with up(tmp_path) as running:
        assert running.facts["call"].replace(running.url, "") == first


@pytest.mark.slow
def test_an_environment_that_is_set_is_the_only_one_served(tmp_path: Path) -> None:
    """LEANCLOUD_APP_ENV=production: the code sees it, and a timer of the other environment fails."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path, LEANCLOUD_APP_ENV="production") as running:
        assert running.facts["environment"] == "production"
        assert curl(running.facts["call"], instead="environment") == (200, '{"result":"production"}')
        command(tmp_path, "timers", "add", "t", "--function", "environment", "--every", "3600")
        command(tmp_path, "timers", "add", "t", "--function", "environment", "--every", "3600", "--env", "stage")
        assert json.loads(command(tmp_path, "timers", "run", "t", "--wait", "--json").stdout)["result"] == "production"
        failed = json.loads(command(tmp_path, "timers", "run", "t", "--wait", "--json", "--env", "stage").stdout)
        assert failed["error"] == "The cloud code isn't deployed for prod 0."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cloud", "options", "message"),
    [
        ("price = 1 / 0\n", (), "cloud.py raised while it was imported: ZeroDivisionError"),
        ("def f(:\n", (), "cloud.py raised while it was imported: SyntaxError"),
        ("import sys\nsys.exit(3)\n", (), "cloud.py ended the program while it was imported"),
        ("x = 1\n", (), "cloud.py has no engine; it needs a line like: engine = Engine()"),
        (None, (), "there is neither a wsgi.py nor a cloud.py in"),
        (CLOUD, ("nowhere.py",), "nowhere.py: no such file"),
        (CLOUD, ("cloud:motor",), "the module has no attribute 'motor'"),
        (CLOUD, ("--host", "256.1.1.1"), "no address to listen on: --host 256.1.1.1"),
        (CLOUD, ("--port", "70000"), "a whole number from 0 to 65,535"),
        (CLOUD, ("--tz", "Mars/Phobos"), "unknown time zone 'Mars/Phobos'"),
        (CLOUD, ("--store", "cloud.py"), "not a database"),
        (CLOUD, ("--store", "mysql://host/timers"), "a store must be SQLite or PostgreSQL"),
    ],
)
def test_a_service_that_cannot_start_prints_the_reason(
    cloud: str | None, options: tuple[str, ...], message: str, command_line: CommandLine
) -> None:
    """One clear message, exit status 2, no traceback, nothing on stdout."""
    if cloud is not None:
        command_line.write("cloud.py", cloud)
    port = () if "--port" in options else ("--port", "0")
    assert message in command_line.refusal("up", *port, *options)


def test_a_port_in_use_is_found_before_anything_is_started(tmp_path: Path) -> None:
    """Before a store or keys are made, and before the user's code is imported."""
    (tmp_path / "cloud.py").write_text("raise SystemError('loaded')\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = cli(tmp_path, "up", "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
    proposed = re.search(r"choose another port: --port (\d+)", done.stderr)
    assert proposed
    assert int(proposed[1]) not in (port, 3001)
    assert "served already" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.py"]


@pytest.mark.slow
def test_a_timer_whose_function_is_missing_is_a_warning_at_the_start(tmp_path: Path) -> None:
    """So a function that was renamed is noticed before the timer fires."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    command(tmp_path, "timers", "add", "t", "--function", "helo", "--every", "60", "--no-check")
    with up(tmp_path) as running:
        _, stderr = running.stop()
    assert "Warning: timer 't' calls 'helo', which cloud.py does not define; did you mean 'hello'?" in stderr


@pytest.mark.slow
def test_wrong_declarations_are_left_out_and_everything_else_is_served(tmp_path: Path) -> None:
    """Each is one line of the log that names function, timer and place; the service ends with status 0 later."""
    wrong = (
        "\n\nengine.timer('0 75 8 ? * MON')(hello)\nengine.timer(evry=3)(add)\nengine.timer(every=3, limt=3)(bad)\n"
        "engine.timer('0 0 8 1 1 ? 2020', name='once')(hello)\n"
    )
    five = "".join(f"engine.timer(every=60, name='t{number}')(hello)\n" for number in range(6))
    (tmp_path / "cloud.py").write_text(CLOUD + wrong + five)
    with up(tmp_path, SCHEDULER_RULES="leancloud") as running:
        assert curl(running.facts["call"]) == (200, '{"result":"hello, world"}')
        status, stderr = running.stop()
    assert status == 0
    for expected in (
        "@engine.timer of 'hello' (cloud.py:",
        "minutes, column 3: 75",
        "@engine.timer of 'add' (cloud.py:",
        "there is no option 'limt'",
        "timer 'once' (cloud.py:",
        "never fires after",
        "timer 't5' (cloud.py:",
        "production has 5 timers already",
    ):
        assert expected in stderr
    assert stderr.count("everything else is served") == 5
    assert [timer["name"] for timer in json.loads(command(tmp_path, "timers", "list", "--json").stdout)] == [
        f"t{number}" for number in range(5)
    ]


@pytest.mark.slow
def test_declared_timers_are_synchronised_at_the_start(tmp_path: Path) -> None:
    """Added once, changed with the declaration, disabled when it is removed; an attribute that was edited stays."""
    declared = (
        '\n\n@engine.timer("0 0 8 ? * MON", tz="Asia/Tokyo", limit_s=3{})\n@engine.define\ndef weekly():\n    pass\n'
    )
    (tmp_path / "cloud.py").write_text(CLOUD + declared.format(", enabled=True"))
    with up(tmp_path) as running:
        _, stderr = running.stop()
    assert "cloud.py: added the timer 'weekly', enabled" in stderr
    command(tmp_path, "timers", "edit", "weekly", "--limit", "9")
    (tmp_path / "cloud.py").write_text(CLOUD + declared.format(", enabled=True, misfire='skip'"))
    with up(tmp_path) as running:
        _, stderr = running.stop()
    assert "cloud.py: changed the timer 'weekly', enabled: misfire fire_once → skip" in stderr
    (timer,) = json.loads(command(tmp_path, "timers", "list", "--json").stdout)
    assert (timer["cron"], timer["tz"], timer["limit_s"], timer["misfire"]) == (
        "0 0 8 ? * MON",
        "Asia/Tokyo",
        9,
        "skip",
    )
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        _, stderr = running.stop()
    assert "cloud.py: disabled the timer 'weekly': it is no longer declared" in stderr
    assert "disabled, no longer declared" in command(tmp_path, "timers", "list").stdout


FLAKY = """

from pathlib import Path


@engine.define
def flaky():
    with Path("attempts").open("a") as attempts:
        attempts.write("x")
    if len(Path("attempts").read_text()) < 2:
        raise ConnectionError("not yet")
"""


@pytest.mark.faults
def test_a_retry_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """SIGKILL in the pause after a failure: the next process tries again, and both attempts are recorded."""
    (tmp_path / "cloud.py").write_text(CLOUD + FLAKY)
    add = ("timers", "add", "t", "--function", "flaky", "--every", "3600", "--retries", "1", "--retry-backoff", "2")
    assert command(tmp_path, *add, "--enable").returncode == 0
    store = tmp_path / ".scheduler" / "store.db"
    with sqlite3.connect(store) as connection:  # an hour ago, but for a second
        earlier = (3600 - 1) * 1_000_000
        connection.execute(
            "UPDATE timers SET next_fire_at = next_fire_at - ?, "
            "trigger = json_set(trigger, '$.anchor_at', json_extract(trigger, '$.anchor_at') - ?)",
            (earlier, earlier),
        )
    connection.close()
    with up(tmp_path) as running:
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE retry_at IS NOT NULL"))
        running.kill()
    with up(tmp_path) as running:
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"))
        running.stop()
    with Store(str(store)) as opened:
        second, first = RunHistory(opened).runs()
    assert [(run.attempt, run.outcome) for run in (first, second)] == [(1, Outcome.FAILED), (2, Outcome.SUCCEEDED)]
    assert (first.request_id, first.fire_time, first.retry_at) == (second.request_id, second.fire_time, second.due_at)
    assert (tmp_path / "attempts").read_text() == "xx"


@pytest.mark.slow
def test_without_json_the_facts_are_printed_as_text(tmp_path: Path) -> None:
    """With the timers, and the call on a line of its own; the key is printed to a terminal only."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    command(tmp_path, "timers", "add", "t", "--function", "hello", "--cron", "0 0 8 ? * MON", "--enable")
    text = banner(tmp_path, *os.pipe())
    assert text.startswith("url          http://127.0.0.1:")
    assert "t (production): hello, 0 0 8 ? * MON (Asia/Shanghai), next at " in text
    assert "\x1b" not in text
    assert '-H "X-LC-Key: $LEANCLOUD_APP_KEY" ' in text
    assert app_key(tmp_path) not in text
    assert f'-H "X-LC-Key: {app_key(tmp_path)}" ' in banner(tmp_path, *os.openpty())


def app_key(folder: Path) -> str:
    key: str = json.loads((folder / ".scheduler" / "keys.json").read_text())["LEANCLOUD_APP_KEY"]
    return key


def banner(folder: Path, read_from: int, write_to: int) -> str:
    """What it prints to a pipe or a terminal, up to the call."""
    words = [sys.executable, "-m", "scheduler", "up", "--port", "0"]
    process = subprocess.Popen(words, cwd=folder, env=clean_environ(), stdout=write_to)
    os.close(write_to)
    with os.fdopen(read_from) as stdout:
        lines: list[str] = []
        while not lines or not lines[-1].startswith("curl "):
            lines.append(stdout.readline())
            assert lines[-1], "it ended before it had printed the call"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    return "".join(lines)
