"""What commands say of the `scheduler up` that runs in their folder: its environments, its zone and its port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.engine import Engine
from scheduler.project.project import Project
from scheduler.project.serving_record import ServingRecord
from scheduler.project.settings import read_settings
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.engine.real_server import serving

LIST = "name,function,cron,seconds,environment\nping,hello,,300,production\npreview,hello,,60,stage\n"
_UNSERVED = "preview is of stage, which the running `scheduler up` (process "


@pytest.fixture
def production(command_line: CommandLine) -> Iterator[None]:
    """The record of a `scheduler up --env production --tz Asia/Shanghai` in the folder."""
    command_line.write("cloud.py", CLOUD)
    options = {"environment": "production", "tz": "Asia/Shanghai"}
    record = ServingRecord(Project(read_settings(command_line.folder, {}, options)), reloads=False)
    record.write({})
    yield
    record.remove()


@pytest.mark.usefixtures("production")
def test_a_timer_of_an_environment_that_is_not_served_is_a_warning(command_line: CommandLine) -> None:
    """When it is imported, and when it is enabled; the doctor lists it."""
    command_line.write("list.csv", LIST)
    assert _UNSERVED in command_line.run("timers", "import", "list.csv").stderr
    assert _UNSERVED not in command_line.run("timers", "enable", "ping").stderr
    assert "environments" not in {finding["name"] for finding in command_line.json("doctor")}
    assert _UNSERVED in command_line.run("timers", "enable", "preview", "--env", "stage").stderr
    found = {finding["name"]: finding for finding in command_line.json("doctor")}
    assert found["environments"]["state"] == "warning"


def test_both_environments_are_served_unless_one_is_named(command_line: CommandLine) -> None:
    """As in development, and beside a preview."""
    command_line.write("list.csv", LIST)
    command_line.write("cloud.py", CLOUD)
    for options in ({}, {"environment": "production"}):
        project = Project(read_settings(command_line.folder, {}, options))
        record = ServingRecord(project, reloads=False, has_preview=bool(options))
        record.write({})
        result = command_line.run("timers", "import", "list.csv", "--dry-run")
        record.remove()
        assert result.exit_code == 0
        assert _UNSERVED not in result.stderr


@pytest.mark.usefixtures("production")
def test_another_default_zone_than_that_of_the_service_is_a_warning(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the command names a zone, or has the same one."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    words = ("timers", "add", "--function", "hello", "--cron", "0 0 8 * * ?")
    told = "has the default time zone Asia/Shanghai, this command Europe/Berlin"
    assert told in command_line.run(*words, "a").stderr
    assert "default time zone" not in command_line.run(*words, "b", "--tz", "UTC").stderr
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert "default time zone" not in command_line.run(*words, "c").stderr


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("command", ["import", "apply"])
def test_another_default_zone_is_a_warning_for_lists_too(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """If a line names no zone; the zone that it gets is printed."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    command_line.write("list.csv", "name,function,cron,tz\na,hello,0 0 8 * * ?,\n")
    said = command_line.run("timers", command, "list.csv").stderr
    assert "has the default time zone Asia/Shanghai, this command Europe/Berlin" in said
    assert "1 timer whose line names no zone: Europe/Berlin" in said
    command_line.write("list.csv", "name,function,cron,tz\nb,hello,0 0 8 * * ?,UTC\n")
    assert "zone" not in command_line.run("timers", command, "list.csv").stderr


def test_the_doctor_asks_the_server_of_its_folder(command_line: CommandLine) -> None:
    """At the port on which it listens; one on the port of the settings may be another folder's."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60")
    with serving(Engine()) as url:
        port = int(url.rpartition(":")[2])
        command_line.write("scheduler.toml", f"port = {port}\n")
        assert f"{port} answered in " in (text := _server(command_line))
        assert "no `scheduler up` of this folder has that port" in text
        command_line.write("scheduler.toml", "port = 1\n")
        record = ServingRecord(Project(read_settings(command_line.folder, {}, {})), reloads=False, port=port)
        record.write({})
        text = _server(command_line)
        record.remove()
    assert f"{port} answered in " in text
    assert "of this folder" not in text


def _server(command_line: CommandLine) -> str:
    return next(finding["text"] for finding in command_line.json("doctor") if finding["name"] == "server")
