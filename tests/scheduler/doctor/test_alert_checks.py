"""`scheduler doctor` on alerts: what is wrong with their targets, without their secrets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.core.alerts import AlertEvent, AlertRule, Cause
from scheduler.doctor import alert_checks
from scheduler.doctor.alert_checks import check_alerts
from scheduler.doctor.findings import Finding
from scheduler.project.project import Project
from scheduler.project.settings import Settings
from scheduler.store.alert_queue import AlertQueue
from scheduler.store.alert_recording import GIVE_UP_AFTER, write_alerts

HOOK = AlertRule(
    name="team", on=["failed"], webhook="https://h.example/s3cret", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)
MAIL = AlertRule(name="mail", on=["failed"], to=["mailto://robot:s3cret@h.example"])


def findings(folder: Path, *rules: AlertRule, waits: timedelta | None = None, gives_up: bool = False) -> list[Finding]:
    """The findings of rules, of which an alert could not be delivered for so long."""
    project = Project(Settings(folder=folder, store="s.db", alerts=rules))
    now = datetime.now(UTC)
    with project.open_or_create_store() as store:
        if waits is not None:
            with store.writing() as connection:
                write_alerts(connection, [AlertEvent(Cause.FAILED, now - waits, "t", "production")])
            queue = AlertQueue(store)
            for alert in queue.take([rule.name for rule in rules], now):
                assert queue.failed(alert, now, "answered 500") == gives_up
    found = list(check_alerts(project))
    assert all("s3cret" not in finding.text for finding in found)
    return found


def test_without_rules_there_is_no_finding(tmp_path: Path) -> None:
    """Most services have none."""
    assert findings(tmp_path) == []


def test_rules_whose_targets_accept_alerts_are_well(tmp_path: Path) -> None:
    """Also if one has failed a moment ago."""
    assert findings(tmp_path, HOOK) == [Finding.ok("alerts", "1 rule, 0 alerts delivered")]
    assert findings(tmp_path, HOOK, waits=timedelta(minutes=1)) == [Finding.ok("alerts", "1 rule, 0 alerts delivered")]


def test_a_target_that_has_not_accepted_an_alert_for_minutes_is_an_error(tmp_path: Path) -> None:
    """It says for how long, why, and how to try it."""
    (found,) = findings(tmp_path, HOOK, waits=timedelta(minutes=11))
    assert found.severity == "bad"
    assert "1 alert of 'team' cannot be delivered to https://h.example/…, for 11 min" in found.text
    assert "answered 500" in found.text
    assert found.text.endswith("alerts test team")


def test_alerts_that_were_given_up_are_a_warning(tmp_path: Path) -> None:
    """For as long as they are kept."""
    (found,) = findings(tmp_path, HOOK, waits=GIVE_UP_AFTER + timedelta(minutes=1), gives_up=True)
    assert (found.severity, "1 alert given up" in found.text) == ("warning", True)


def test_a_missing_package_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(alert_checks, "is_installed", lambda: False)
    (found,) = findings(tmp_path, MAIL)
    assert found.severity == "bad"
    assert "the package apprise is not installed: pip install " in found.text
