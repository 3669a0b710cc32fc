"""scheduler demo, once, as a newcomer runs it."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.cli import demo
from scheduler.cli.demo import demo_timers, missing_outcomes
from scheduler.core.run import MESSAGES, Kind, Outcome, Run
from scheduler.default_rules import assumed_tz
from scheduler.errors import ConfigError
from tests.waiting import slowed


@pytest.mark.slow
def test_the_demo_shows_every_expected_outcome(tmp_path: Path) -> None:
    """Within some twenty seconds all four timers have their outcomes; no file is left behind."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", "demo"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=slowed(60),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < slowed(30)
    assert "timerAction timed-out and no fallback available. (over its limit of 1 s)" in done.stdout
    assert "timerAction short-circuited and no fallback available." in done.stdout
    assert "timerAction failed and no fallback available. (KeyError: 'nobody')" in done.stdout
    assert "Everything happened as expected." in done.stdout
    assert "\x1b" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def run_of(timer: str, outcome: Outcome, count: int, message: str | None = None) -> Run:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Run(
        id=1,
        timer_id=1,
        timer=timer,
        function="f",
        environment="production",
        kind=Kind.SCHEDULED,
        fire_time=at,
        last_fire_time=at,
        count=count,
        attempt=1,
        request_id="",
        claimed_at=at,
        outcome=outcome,
        message=MESSAGES[outcome] if message is None else message,
    )


def test_the_demo_lists_missing_outcomes() -> None:
    """Each with its count."""
    _, _, primes, _ = demo_timers()
    assert missing_outcomes(primes, [run_of("primes", Outcome.TIMED_OUT, 1)]) == [
        "primes: 1 × timed_out, expected at least 2",
        "primes: 0 × short_circuited, expected at least 1",
    ]


def test_the_demo_checks_the_messages_to_the_letter() -> None:
    """A wrong word in a message is listed too."""
    _, _, primes, _ = demo_timers()
    runs = [run_of("primes", Outcome.TIMED_OUT, 2), run_of("primes", Outcome.SHORT_CIRCUITED, 3, "short-circuited.")]
    assert missing_outcomes(primes, runs) == ["primes: short_circuited: unexpected message 'short-circuited.'"]


def test_the_demo_needs_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler.toml that is closed to its user does not stop it; a wrong one does."""

    def closed() -> None:
        raise ConfigError("scheduler.toml: cannot be read (Permission denied)") from PermissionError(13, "closed")

    def wrong() -> None:
        raise ConfigError("scheduler.toml: line 1")

    monkeypatch.setattr(demo, "current_project", closed)
    assert demo._default_tz() == assumed_tz()
    monkeypatch.setattr(demo, "current_project", wrong)
    with pytest.raises(ConfigError):
        demo._default_tz()
