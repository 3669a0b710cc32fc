"""A command that loads functions whose import is slow says what it waits for."""

from __future__ import annotations

import pytest

from scheduler.project import slow_loading
from tests.scheduler.command_line import CLOUD, CommandLine


@pytest.mark.parametrize(
    ("words", "status"),
    [(("call", "hello"), 0), (("timers", "add", "t", "--function", "hello", "--every", "60"), 0)],
)
def test_a_slow_import_is_reported(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], status: int
) -> None:
    """On stderr, with the file, and for how long; a fast one is not."""
    command_line.write("cloud.py", CLOUD)
    assert "loading cloud.py" not in command_line.run(*words).stderr
    monkeypatch.setattr(slow_loading, "REPORT_EVERY_S", 0.05)
    command_line.write("cloud.py", f"import time\ntime.sleep(0.5)\n{CLOUD}")
    again = command_line.run(*(word if word != "t" else "u" for word in words))
    assert again.exit_code == status
    assert "loading cloud.py for 0 s …" in again.stderr
    assert "loading" not in again.stdout
