"""scheduler doctor: what is well and what is not."""

from tests.scheduler.command_line import CLOUD, CommandLine


def test_a_project_in_order_is_well(command_line: CommandLine) -> None:
    """Everything is named, with its state; exit status 0."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60", "--enable")
    found = {finding["name"]: finding for finding in command_line.json("doctor")}
    assert list(found) == ["versions", "settings", "clock", "zones", "store", "functions", "workers"]
    assert all(finding["ok"] for finding in found.values())
    assert "1 timers, 1 enabled; no daemon runs" in found["store"]["text"]
    assert "time zone database 20" in found["zones"]["text"]


def test_what_is_not_well_is_named(command_line: CommandLine) -> None:
    """A missing store and a cloud.py that raises; exit status 1, and the rest is looked at all the same."""
    command_line.write("cloud.py", "1 / 0\n")
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("!!") == 3
    assert "there is no store at" in result.stdout
    assert "ZeroDivisionError" in result.stdout


def test_a_timer_without_its_function_is_not_well(command_line: CommandLine) -> None:
    """The function was renamed after the timer was added."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "helo", "--every", "60", "--no-check")
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert "timer 't' calls 'helo', which cloud.py does not define; did you mean 'hello'?" in result.stdout
