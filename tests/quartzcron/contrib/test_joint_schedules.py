"""Schedules of several expressions in the adapters, with the packages themselves."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from quartzcron import CronError, CronExpression
from quartzcron.schedules import Schedule, overlap, union
from tests.quartzcron.contrib.django_project import set_up

SATURDAYS = union(*(CronExpression(f"0 0 8 ? * SAT#{n}", tz="Asia/Shanghai") for n in (1, 3)))
NESTED = overlap(SATURDAYS, CronExpression("0 0 8 1-20 * ?", tz="Asia/Shanghai"))
NOT_STORED = [
    union(CronExpression("0 0 8 * * ?", tz="UTC"), CronExpression("0 0 9 * * ?", tz="Asia/Shanghai")),
    union(CronExpression("0 0 8 * * ?", tz="Asia/Shanghai").excluding([date(2026, 1, 1)]), SATURDAYS),
]


def test_apscheduler_fires_when_any_does() -> None:
    """In the zone of the expressions, and through pickles."""
    pytest.importorskip("apscheduler")
    from quartzcron.contrib.apscheduler import QuartzTrigger

    trigger = pickle.loads(pickle.dumps(QuartzTrigger(SATURDAYS)))
    fire = trigger.get_next_fire_time(None, datetime(2026, 1, 4, tzinfo=UTC))
    assert fire == datetime(2026, 1, 17, tzinfo=UTC)
    assert str(trigger) == "quartz[0 0 8 ? * SAT#1 || 0 0 8 ? * SAT#3]"
    with pytest.raises(TypeError, match="own policy"):
        QuartzTrigger(SATURDAYS, dst="quartz")


@pytest.mark.parametrize("schedule", [SATURDAYS, NESTED])
def test_sqlalchemy_gives_back_a_schedule(schedule: Schedule) -> None:
    """Stored as its text; a text of one is validated."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from quartzcron.contrib.sqlalchemy import CronType

    column = sqlalchemy.Column("schedule", CronType(tz="Asia/Shanghai"))
    timers = sqlalchemy.Table("timers", sqlalchemy.MetaData(), column)
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as connection:
        timers.create(connection)
        connection.execute(timers.insert(), [{"schedule": schedule}, {"schedule": schedule.text}])
        assert connection.scalars(sqlalchemy.select(timers.c.schedule)).all() == [schedule, schedule]
        for wrong in (*NOT_STORED, "0 0 8 ? * SAT#1 || x", "(0 0 8 * * ?"):
            with pytest.raises((CronError, sqlalchemy.exc.StatementError)):
                connection.execute(timers.insert(), {"schedule": wrong})
    engine.dispose()


@pytest.mark.parametrize(
    "arguments", [{}, {"length": 80}, {"tz": "Asia/Shanghai"}, {"tz": "UTC", "dst": "quartz"}, {"dst": "quartz"}]
)
def test_a_migration_writes_the_whole_column_type(arguments: dict[str, Any]) -> None:
    """Alembic writes the repr of a type."""
    pytest.importorskip("sqlalchemy")
    from quartzcron.contrib.sqlalchemy import CronType

    made = CronType(**arguments)
    again = eval(repr(made), {"CronType": CronType})
    assert (again.length, again.tz, again.dst) == (made.length, made.tz, made.dst)


@pytest.fixture
def model() -> Iterator[Any]:
    """A model with a CronField, and its table in memory."""
    set_up()
    from django.db import connection, models

    from quartzcron.contrib.django import CronField

    class Joint(models.Model):  # type: ignore[misc, unused-ignore]
        schedule = CronField(tz="Asia/Shanghai")

        class Meta:
            app_label = "joint"

    with connection.schema_editor() as editor:
        editor.create_model(Joint)
    yield Joint
    with connection.schema_editor() as editor:
        editor.delete_model(Joint)
    connection.close()


def test_django_gives_back_a_schedule(model: Any) -> None:
    """From objects and from texts, as forms send them."""
    for schedule in (SATURDAYS, NESTED):
        for value in (schedule, schedule.text):
            row = model(schedule=value)
            row.full_clean()
            row.save()
            row.refresh_from_db()
            assert row.schedule == schedule
            assert row._meta.get_field("schedule").value_to_string(row) == schedule.text
    for wrong in NOT_STORED:
        with pytest.raises(CronError):
            model.objects.create(schedule=wrong)
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError, match="75 is out of range"):
        model(schedule="0 0 8 * * ? || 0 75 8 * * ?").full_clean()
