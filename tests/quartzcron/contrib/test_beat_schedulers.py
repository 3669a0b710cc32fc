"""quartz(…) under the beat schedulers of django-celery-beat and RedBeat, with the packages themselves."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from quartzcron.dialects import DialectError
from tests.quartzcron.contrib.django_project import set_up

celery = pytest.importorskip("celery")

from quartzcron.contrib.celery import quartz  # noqa: E402 - needs celery


def app(schedule: quartz, **settings: Any) -> Any:
    """An app without a broker, whose beat has one entry."""
    made = celery.Celery("tests", set_as_current=False, broker="memory://")
    made.conf.update({"timezone": "UTC", "beat_schedule": {"report": {"task": "report", "schedule": schedule}}})
    made.conf.update(settings)
    return made


@pytest.fixture
def database_scheduler() -> Any:
    """The scheduler of django-celery-beat, on tables in memory."""
    pytest.importorskip("django_celery_beat")
    set_up()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    from django_celery_beat.models import PeriodicTask
    from django_celery_beat.schedulers import DatabaseScheduler

    yield DatabaseScheduler
    PeriodicTask.objects.all().delete()
    connection.close()


def test_django_celery_beat_stores_it_as_the_crontab_that_it_equals(database_scheduler: Any) -> None:
    """And gives back a crontab with the same fields."""
    entry = database_scheduler(app(quartz("0 0/15 9-17 ? * MON-FRI"))).schedule["report"]
    fields = [getattr(entry.schedule, f"_orig_{name}") for name in ("minute", "hour", "day_of_month", "day_of_week")]
    assert fields == ["*/15", "9-17", "*", "1-5"]


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (quartz("30 0 8 ? * MON"), "whole minutes"),
        (quartz("0 0 8 LW * ?"), "no L and no W"),
        (quartz("0 0 8 * * ?", tz="Asia/Tokyo"), "not the app's"),
    ],
)
def test_django_celery_beat_says_why_it_drops_another_one(
    database_scheduler: Any, schedule: quartz, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In its log: it stores nothing but Celery's own kinds."""
    with caplog.at_level(logging.ERROR):
        assert "report" not in database_scheduler(app(schedule)).schedule
    assert reason in caplog.text


def test_redbeat_stores_it_as_the_crontab_that_it_equals() -> None:
    """In its JSON, and reads a crontab back."""
    decoder = pytest.importorskip("redbeat.decoder")
    written = json.dumps({"schedule": quartz("0 0 8 ? * MON")}, cls=decoder.RedBeatJSONEncoder)
    assert json.loads(written, cls=decoder.RedBeatJSONDecoder)["schedule"] == celery.schedules.crontab("0", "8", "1")
    for inexact in (quartz("30 0 8 ? * MON"), quartz("0 0 8 * * ?", tz="Asia/Tokyo")):
        with pytest.raises(DialectError):
            json.dumps({"schedule": inexact}, cls=decoder.RedBeatJSONEncoder)
