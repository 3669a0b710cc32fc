"""Expressions on working days in other libraries: they fire there as here, or are refused with the reason."""

from __future__ import annotations

import json
import pickle
from datetime import date, datetime
from typing import Any

import pytest
import pytz

from quartzcron import CronError, CronExpression
from quartzcron.calendars import WorkingDays

UTC = pytz.utc
CLOSED = WorkingDays(holidays=[date(2026, 4, 30)], name="firm")
PAYDAY = CronExpression("0 0 17 L * ?", tz="UTC").on(CLOSED, "preceding")
BEFORE, PAID = datetime(2026, 4, 28, tzinfo=UTC), datetime(2026, 4, 29, 17, tzinfo=UTC)


def test_celery_beat_fires_them() -> None:
    """A beat scheduler that stores a crontab refuses them."""
    celery = pytest.importorskip("celery")
    from quartzcron.contrib.celery import quartz
    from quartzcron.dialects import DialectError

    app = celery.Celery(set_as_current=False)
    schedule = quartz(PAYDAY, app=app, nowfun=lambda: BEFORE)
    assert schedule.remaining_estimate(BEFORE) == PAID - BEFORE
    assert pickle.loads(pickle.dumps(quartz(PAYDAY))).expression == PAYDAY
    with pytest.raises(DialectError, match="goes by working days"):
        _ = schedule._orig_minute


def test_apscheduler_fires_them() -> None:
    """Also after a pickle, as its job stores hold them."""
    pytest.importorskip("apscheduler")
    from quartzcron.contrib.apscheduler import QuartzTrigger

    for trigger in (QuartzTrigger(PAYDAY), pickle.loads(pickle.dumps(QuartzTrigger(PAYDAY)))):
        assert trigger.get_next_fire_time(None, BEFORE) == PAID


def test_pydantic_reads_and_writes_them() -> None:
    """With their calendar, as the schema says."""
    pydantic = pytest.importorskip("pydantic")

    class Job(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        schedule: CronExpression

    written = Job(schedule=PAYDAY).model_dump_json()
    assert json.loads(written)["schedule"]["on"][0]["roll"] == "preceding"
    assert Job.model_validate_json(written).schedule == PAYDAY
    with pytest.raises(pydantic.ValidationError, match="unknown roll 'nearest'"):
        Job.model_validate({"schedule": {"expression": "0 0 8 * * ?", "on": [{"working_days": {}, "roll": "nearest"}]}})
    properties = Job.model_json_schema()["properties"]["schedule"]["anyOf"][1]["properties"]
    assert set(properties) == {"expression", "tz", "dst", "on"}


@pytest.mark.parametrize("make", ["sqlalchemy", "django"])
def test_columns_of_text_refuse_them(make: str) -> None:
    """Rather than lose their calendar."""
    pytest.importorskip(make)
    column: Any
    if make == "sqlalchemy":
        from quartzcron.contrib.sqlalchemy import CronType

        column = CronType(tz="UTC")
        store = lambda: column.process_bind_param(PAYDAY, None)  # noqa: E731
    else:
        from quartzcron.contrib.django import CronField

        column = CronField(tz="UTC")
        store = lambda: column.get_prep_value(PAYDAY)  # noqa: E731
    with pytest.raises(CronError, match="an expression that goes by working days cannot be stored as a text"):
        store()
