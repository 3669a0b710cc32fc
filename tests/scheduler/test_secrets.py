"""No message shows a password: not of a store, a broker or a remote engine, whatever characters it has."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.addresses import hide_passwords, without_password
from scheduler.errors import SchedulerError
from scheduler.executors.http import HttpExecutor
from scheduler.executors.kinds import KINDS, Deployment
from scheduler.functions import Registry
from scheduler.project.settings import read_settings
from scheduler.store.database import Store
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.up_process import cli, curl, up

#: Both ends of each password; a message with either of them shows a part of it.
FIRST, LAST = "S3cretA", "S3cretB"
ODD = [
    "",
    "@",
    ":",
    "/",
    "?",
    "#",
    "%",
    "%40",
    " ",
    "'",
    '"',
    "\\",
    "[",
    "]",
    "&",
    "=",
    ";",
    "@@",
    ":/",
    "/@:",
    "://",
    "é",
]
PASSWORDS = [f"{FIRST}{odd}{LAST}" for odd in ODD]
#: Addresses at which nobody answers, and some that are wrong.
ADDRESSES = (
    "postgresql://u:{}@127.0.0.1:1/d",
    "postgres://u:{}@127.0.0.1:1/d",
    "postgresql+psycopg://:{}@127.0.0.1:1/d",
    "postgresql+asyncpg://u:{}@127.0.0.1:1/d",
    "postgresql://u:{}@127.0.0.1:port/d",
    "postgresql://u:{}@[::1]:1/d?bad=1",
    "postgresql://u@127.0.0.1:1/d?password={}",
    "postgresql://u@127.0.0.1:1/d?sslpassword={}",
    "mysql://u:{}@127.0.0.1:1/d",
    "sqlite://u:{}@h/d",
    "sqlite://u:{}@h:1/d",
)


def shown(text: str) -> list[str]:
    """The parts of a password that a text shows."""
    return [part for part in (FIRST, LAST) if part in text]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("is_quoted", [False, True])
def test_no_message_of_a_store_shows_its_password(address: str, is_quoted: bool) -> None:
    """Whether it was written as it should be; and neither does a traceback, with the errors before it."""
    for password in PASSWORDS:
        with pytest.raises(SchedulerError) as refused:
            Store(address.format(quote(password, safe="") if is_quoted else password), timeout_s=1)
        assert "\n" not in str(refused.value)
        chain = "".join(traceback.format_exception(refused.value))
        # The lines of code in it are those of this test.
        assert shown(chain) == [], (password, chain)


@given(odd=st.text(max_size=6), tail=st.text(max_size=6))
def test_an_address_is_shown_without_its_password(odd: str, tail: str) -> None:
    """Any text may stand in it; what other programs quote of it is hidden, too."""
    for form in ("redis://u:{}@h/0", "amqp://:{}@h//", "pgmq://u:{}@h/d", "https://u:{}@h/x", "https://{}@h/x"):
        address = form.format(f"{FIRST}{odd}{LAST}") + tail.replace("@", "")
        assert shown(without_password(address)) == []
        assert shown(hide_passwords(f"cannot reach {address}: {FIRST}{odd}{LAST} is wrong", address)) == []


def test_what_is_no_secret_is_shown() -> None:
    """Paths and addresses without a password are as they were; of others, the user and the host."""
    for text in (
        "/a/b@c.db",
        "x:y@z",
        "user=5/a.db",
        "host=x",
        "postgresql://h/d",
        "postgresql://u@h:1/d",
        "redis://h",
        "https://h/a?b=c",
    ):
        assert without_password(text) == text
    for text in ("host=h password=x", "password = 'x y' host=h", "port=1 user=u host=h password=x", "dbname=d"):
        assert without_password(text) == "***"
    assert without_password("amqp://u:p@h:1//v") == "amqp://u:***@h:1//v"
    assert without_password("postgresql://h/d?sslmode=require&password=x&y=z") == (
        "postgresql://h/d?sslmode=require&password=***&y=z"
    )


@pytest.mark.slow
@pytest.mark.parametrize("password", [f"{FIRST}{odd}{LAST}" for odd in ("", "@/:", "%40?#")])
def test_no_command_shows_a_password(
    command_line: CommandLine, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an option, a variable or the file of settings: a store, a broker and a remote engine."""
    caplog.set_level(logging.DEBUG)
    command_line.write("cloud.py", CLOUD)
    store = f"postgresql://u:{password}@127.0.0.1:1/d"
    commands: list[tuple[str, ...]] = [
        ("timers", "list", "--store", store),
        ("doctor", "--store", store),
        ("up", "--port", "0", "--executor", "http", "--remote-engine", f"ftp://u:{password}@h"),
        ("up", "--port", "0", "--executor", "celery", "--broker", f"ftp://u:{password}@h"),
        ("worker", "--store", "sqlite:///x.db", "--broker", f"amqp://u:{password}@127.0.0.1:1//"),
        ("up", "--port", "0", "--store", f"mysql://u:{password}@h/d"),
    ]
    for words in commands:
        result = command_line.run(*words)
        assert result.exit_code != 0
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
        assert shown(result.stdout + result.stderr + caplog.text) == [], (words, result.stdout, result.stderr)


def test_neither_a_check_nor_a_setting_shows_a_password(tmp_path: Path) -> None:
    """Nor does what a debugger prints of the settings and of an engine."""
    for password in PASSWORDS:
        url = f"http://u:{password}@127.0.0.1:1"
        deployment = Deployment(
            environment="production",
            target=lambda: "cloud.py",
            settings={"remote_engine": url},
            registry=Registry,
            store=lambda: None,
            keys=lambda: ("a", "b"),
        )
        with pytest.raises(SchedulerError) as refused:
            list(KINDS["http"].check(deployment))
        assert shown("".join(traceback.format_exception(refused.value))) == []
        with pytest.raises(SchedulerError) as refused:
            HttpExecutor(f"ftp://u:{password}@h", app_id="a", app_key="k")
        assert shown(str(refused.value)) == []
        environ = {"SCHEDULER_STORE": f"postgresql://u:{password}@h/d", "SCHEDULER_REMOTE_ENGINE": url}
        assert shown(repr(read_settings(tmp_path, environ, {}))) == []


def test_functions_do_not_see_the_addresses_of_store_and_broker(command_line: CommandLine) -> None:
    """They are taken out of the environment before the code is loaded; commands find them all the same."""
    code = "\nSEEN = [name for name in os.environ if name.startswith('SCHEDULER_')]"
    command_line.write("cloud.py", f"{CLOUD}{code}\n\n\n@engine.define\ndef seen():\n    return SEEN\n")
    environ = {"SCHEDULER_STORE": "here.db", "SCHEDULER_BROKER": "redis://:secret@h", "SCHEDULER_PORT": "3001"}
    called = cli(command_line.folder, "call", "seen", "--json", **environ)
    assert set(json.loads(called.stdout)) - {"SCHEDULER_RULES", "SCHEDULER_CONSOLE", "SCHEDULER_HANDED_ON"} == {
        "SCHEDULER_PORT"
    }
    added = cli(command_line.folder, "timers", "add", "t", "--function", "seen", "--every", "60", **environ)
    assert added.returncode == 0, added.stderr
    assert (command_line.folder / "here.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--one-process",), ("--executor", "thread")])
def test_no_process_of_up_shows_its_functions_the_address_of_the_store(
    command_line: CommandLine, options: tuple[str, ...]
) -> None:
    """Neither over HTTP nor in a timer's run."""
    code = "\n\n@engine.define\ndef seen():\n    return [name for name in os.environ if name == 'SCHEDULER_STORE']\n"
    command_line.write("cloud.py", CLOUD + code)
    with up(command_line.folder, *options, SCHEDULER_STORE="here.db") as running:
        assert curl(running.facts["call"], instead="seen") == (200, '{"result":[]}')
        cli(command_line.folder, "timers", "add", "t", "--function", "seen", "--every", "60", SCHEDULER_STORE="here.db")
        run = cli(command_line.folder, "timers", "run", "t", "--wait", "--json", SCHEDULER_STORE="here.db")
        assert json.loads(run.stdout)["result"] == []


@pytest.mark.parametrize("store", [":memory:", "sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused_on_the_command_line(command_line: CommandLine, store: str) -> None:
    """What a command adds there would be gone at once."""
    words = ("timers", "add", "t", "--function", "hello", "--every", "60", "--no-check", "--store", store)
    assert "in memory" in command_line.refusal(*words)
    assert list(command_line.folder.iterdir()) == []
