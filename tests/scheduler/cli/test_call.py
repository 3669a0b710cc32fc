"""scheduler call: a function in this process."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scheduler.command_line import CLOUD, CommandLine
from tests.waiting import slowed


@pytest.fixture(autouse=True)
def cloud(command_line: CommandLine) -> None:
    command_line.write("cloud.py", CLOUD)


def test_a_call_prints_what_the_function_prints_and_returns(command_line: CommandLine) -> None:
    """Parameters follow the name; the result is JSON."""
    assert command_line.run("call", "hello", "name=Ann").stdout == 'saying hello to Ann\n"hello, Ann"\n'
    assert command_line.run("call", "add", "a:=1", "b=2").stdout == "3\n"
    assert command_line.run("call", "add", "--params", '{"a": 1, "b": 1}', "b:=5").stdout == "6\n"


def test_under_json_stdout_holds_only_the_result(command_line: CommandLine) -> None:
    """What the function prints goes to stderr."""
    result = command_line.run("call", "hello", "--json")
    assert result.stdout == '"hello, world"\n'
    assert "saying hello" in result.stderr


def test_the_code_sees_the_environment_of_development(command_line: CommandLine) -> None:
    """As under lean up, so that a local try sends no real mail."""
    assert command_line.json("call", "environment") == "development"


def test_the_environment_of_the_shell_holds(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """LEANCLOUD_APP_ENV=stage is left as it is."""
    monkeypatch.setenv("LEANCLOUD_APP_ENV", "stage")
    assert command_line.json("call", "environment") == "stage"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("refuse", "Error: LeanEngineError [123] not today\n"),
        ("lack", "Error: LeanCloudError: [101] no such object\n"),
        ("bad", "Error: bad raised ZeroDivisionError: division by zero\n"),
        ("hang --limit 0.3", "Error: The request timed out on the server. hang exceeded its limit of 0.3 s\n"),
    ],
)
def test_a_function_that_fails_ends_with_status_1(words: str, message: str, command_line: CommandLine) -> None:
    """An error of the function has another exit status than a wrong command."""
    started = time.monotonic()
    result = command_line.run("call", *words.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(message)
    assert time.monotonic() - started < slowed(5)


ODD = """
import sys
from scheduler.engine import Engine

engine = Engine()


class Silent(Exception):
    def __str__(self):
        raise SystemExit(7)


class Unreadable:
    def __repr__(self):
        raise KeyError("mine")


@engine.define
def nested():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


@engine.define
def large():
    return 10 ** 5_000


@engine.define
def raises():
    raise Silent


@engine.define
def surrogate():
    return "\\ud800"


@engine.define
def nan():
    return float("nan")


@engine.define
def unreadable():
    return Unreadable()


@engine.define
def yields():
    yield 1


@engine.define
def silences():
    sys.stdout = sys.stderr = None
    return "heard"


@engine.define
def closes():
    sys.stdout.close()
    sys.stderr.close()
    return "heard"
"""


@pytest.mark.parametrize(
    ("name", "status", "stdout", "stderr"),
    [
        ("nested", 0, "", "Warning: over HTTP this result is an error: "),
        ("large", 0, "", "Warning: over HTTP this result is an error: "),
        ("raises", 1, "", "Error: raises raised Silent (str() of the exception failed)"),
        ("surrogate", 0, r'"\ud800"', ""),
        ("nan", 0, '"nan"', "Warning: over HTTP this result is an error: "),
        ("unreadable", 0, "", "Warning: over HTTP this result is an error: "),
        ("silences", 0, '"heard"', ""),
        ("yields", 1, "", "Error: the function returned a generator, whose code has not run"),
    ],
)
def test_an_odd_result_or_error_is_printed(
    name: str, status: int, stdout: str, stderr: str, command_line: CommandLine
) -> None:
    """As JSON under --json, without a traceback of ours, and with what a client would get instead."""
    Path("cloud.py").write_text(ODD)
    # `nested` makes Python collect garbage again and again, which takes long beside other tests' objects and processes.
    result = command_line.run("call", name, "--json", "--limit", "600")
    assert result.exit_code == status, result.stderr
    if status == 0:
        assert isinstance(json.loads(result.stdout), str)
        assert not stdout or result.stdout == f"{stdout}\n"
    assert stderr in result.stderr
    assert "scheduler/" not in result.stderr


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_function_that_closes_the_output_has_a_result_all_the_same(words: tuple[str, ...], tmp_path: Path) -> None:
    """On the terminal, and under --json."""
    (tmp_path / "cloud.py").write_text(ODD)
    command = [sys.executable, "-m", "scheduler", "call", "closes", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, '"heard"\n', "")


def test_a_traceback_begins_in_the_users_file(command_line: CommandLine) -> None:
    """Frames of the scheduler are left out."""
    said = command_line.run("call", "bad").stderr
    assert said.count("File ") == 1
    assert "return 1 / 0" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("helo", "cloud.py has no function 'helo'; did you mean 'hello'?"),
        ("zzz", "cloud.py has no function 'zzz'; it has add, bad, "),
        ("add a:=1", "missing argument 'b'; the function takes a, b"),
        ("add a=x b:=1", "argument 'a' must be a whole number, not 'x'"),
        ("hello --target nowhere.py", "nowhere.py: no such file"),
        ("hello name", "'name' is not a parameter"),
    ],
)
def test_a_wrong_call_is_refused(words: str, message: str, command_line: CommandLine) -> None:
    """The function does not run; status 2."""
    assert message in command_line.refusal("call", *words.split())


def test_a_cloud_py_that_raises_says_where(command_line: CommandLine) -> None:
    """The line of the user's file, in one message."""
    command_line.write("cloud.py", "import os\n\nprice = 1 / 0\n")
    said = command_line.refusal("call", "hello")
    assert "cloud.py raised while it was imported: ZeroDivisionError: division by zero (line 3: price = 1 / 0)" in said


def test_in_an_empty_folder_the_message_has_a_cloud_py_to_begin_with(command_line: CommandLine) -> None:
    """The message is a program that works."""
    (command_line.folder / "cloud.py").unlink()
    said = command_line.refusal("call", "hello")
    code = [line.removeprefix("  ") for line in said.splitlines() if line.startswith("  ")]
    command_line.write("cloud.py", "\n".join(code))
    assert command_line.json("call", "hello") == "hello"


def test_an_old_wsgi_py_that_reads_its_keys_from_the_environment_loads(command_line: CommandLine) -> None:
    """As on LeanEngine, the keys are set before the code is imported."""
    command_line.write(
        "wsgi.py",
        "import os\nfrom cloud import engine\nfrom scheduler.engine import init\n\n"
        "init(os.environ['LEANCLOUD_APP_ID'], app_key=os.environ['LEANCLOUD_APP_KEY'])\n"
        "port, instance = int(os.environ['LEANCLOUD_APP_PORT']), os.environ['LEANCLOUD_APP_INSTANCE']\n"
        "application = engine\n",
    )
    assert command_line.json("call", "hello") == "hello, world"


def test_a_declaration_that_is_wrong_is_reported_by_the_first_call(command_line: CommandLine) -> None:
    """The function is called all the same; one that is right is not mentioned."""
    wrong = '@engine.timer("0 8 * * *")\n@engine.define\ndef daily(): return 1\n'
    right = "@engine.timer(every=60)\n@engine.define\ndef often(): return 1\n"
    command_line.write("cloud.py", f"{CLOUD}\n{wrong}\n{right}")
    called = command_line.run("call", "daily")
    assert (called.exit_code, called.stdout) == (0, "1\n")
    assert "Warning: @engine.timer of 'daily'" in called.stderr
    assert "did you mean '0 0 8 * * ?'?" in called.stderr
    assert "often" not in called.stderr


def test_a_function_without_the_decorator_is_told_from_a_missing_one(command_line: CommandLine) -> None:
    """What cloud.py imports, and what it defines under another name, is not meant."""
    more = "from json import dumps\n\ndef plain():\n    pass\n\n@engine.define('other')\ndef named():\n    pass\n"
    command_line.write("cloud.py", CLOUD + more)
    said = "cloud.py has a function 'plain', but without @engine.define above it"
    assert said in command_line.refusal("call", "plain")
    assert said in command_line.refusal("timers", "add", "t", "--function", "plain", "--every", "5")
    for name in ("dumps", "named"):
        assert f"cloud.py has no function '{name}'" in command_line.refusal("call", name)
    command_line.write("cloud.py", "from scheduler.engine import Engine\n\nengine = Engine()\n")
    assert "it defines none; put @engine.define above one" in command_line.refusal("call", "gone")


def test_a_scheduler_that_starts_in_cloud_py_is_warned_of(
    command_line: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    """Because every process of a service would start it; one that a file beside it starts is not."""
    program = f'from scheduler import Scheduler\nwith Scheduler("{command_line.folder}/t.db", engine):\n    pass\n'
    command_line.write("cloud.py", CLOUD + program)
    assert command_line.run("call", "hello").exit_code == 0
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("a Scheduler starts while cloud.py is loaded, so each process")
    caplog.clear()
    exec(CLOUD + program, {})
    assert not caplog.records
