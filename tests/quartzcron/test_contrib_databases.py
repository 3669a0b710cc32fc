"""Expressions in databases, with SQLAlchemy and with Django."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from quartzcron import CronError, CronExpression

MONDAYS = CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai")


# -- SQLAlchemy --


def test_sqlalchemy_gives_back_what_it_was_given() -> None:
    """Expressions, texts and NULL; a comparison binds alike."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from quartzcron.contrib.sqlalchemy import CronType

    timers = sqlalchemy.Table(
        "timers",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("schedule", CronType(tz="Asia/Shanghai")),
    )
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as connection:
        timers.metadata.create_all(connection)
        rows = [{"schedule": MONDAYS}, {"schedule": "0 0 9 * * ?"}, {"schedule": None}]
        connection.execute(timers.insert(), rows)
        found = connection.scalars(sqlalchemy.select(timers.c.schedule).order_by(timers.c.id)).all()
        assert found == [MONDAYS, CronExpression("0 0 9 * * ?", tz="Asia/Shanghai"), None]
        same = sqlalchemy.select(timers.c.id).where(timers.c.schedule == MONDAYS)
        assert connection.scalars(same).all() == [1]
        literal = str(same.compile(engine, compile_kwargs={"literal_binds": True}))
        assert connection.scalars(sqlalchemy.text(literal)).all() == [1]
        with pytest.raises(sqlalchemy.exc.StatementError, match="minutes"):
            connection.execute(timers.insert(), {"schedule": "0 75 8 * * ?"})
    engine.dispose()
    assert CronType().python_type is CronExpression


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (CronExpression("0 0 8 * * ?"), "another zone or policy"),
        (CronExpression("0 0 8 * * ?", tz="Asia/Shanghai", dst="quartz"), "another zone or policy"),
        (MONDAYS.excluding([date(2026, 1, 5)]), "not held by its text"),
    ],
)
def test_sqlalchemy_refuses_what_it_could_not_give_back(value: CronExpression, reason: str) -> None:
    """Another zone, another policy, a calendar."""
    pytest.importorskip("sqlalchemy")
    from quartzcron.contrib.sqlalchemy import CronType

    with pytest.raises(CronError, match=reason):
        CronType(tz="Asia/Shanghai").process_bind_param(value, None)


# -- Django --


@pytest.fixture(scope="module")
def timer_model() -> Iterator[Any]:
    """A model with a CronField, and its table in memory."""
    django = pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        settings.configure(DATABASES=databases, USE_TZ=True, INSTALLED_APPS=[])
        django.setup()
    from django.db import connection, models

    from quartzcron.contrib.django import CronField

    class Timer(models.Model):  # type: ignore[misc, unused-ignore]
        schedule = CronField(tz="Asia/Shanghai")
        fallback = CronField(null=True, blank=True)

        class Meta:
            app_label = "tests"

    with connection.schema_editor() as editor:
        editor.create_model(Timer)
    yield Timer
    connection.close()


def test_django_gives_back_what_it_was_given(timer_model: Any) -> None:
    """Expressions and texts, NULL, filters."""
    timer_model.objects.create(schedule=MONDAYS)
    timer_model.objects.create(schedule="0 0 9 * * ?", fallback="0 0 0 1 1 ?")
    first, second = timer_model.objects.order_by("id")
    assert (first.schedule, first.fallback) == (MONDAYS, None)
    assert second.schedule == CronExpression("0 0 9 * * ?", tz="Asia/Shanghai")
    assert second.fallback == CronExpression("0 0 0 1 1 ?")
    assert timer_model.objects.get(schedule=MONDAYS) == first
    first.full_clean()
    assert first._meta.get_field("schedule").value_to_string(first) == "0 0 8 ? * MON"


def test_django_refuses_what_is_no_expression(timer_model: Any) -> None:
    """As forms want it, and what the field could not give back."""
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError, match="75 is out of range"):
        timer_model(schedule="0 75 8 * * ?").full_clean()
    with pytest.raises(ValidationError, match="cannot be blank"):
        timer_model(schedule="").full_clean()
    with pytest.raises(CronError, match="another zone or policy"):
        timer_model.objects.create(schedule=CronExpression("0 0 8 * * ?"))
    with pytest.raises(CronError, match="not held by its text"):
        timer_model.objects.create(schedule=MONDAYS.excluding([date(2026, 1, 5)]))


def test_django_writes_migrations_of_it(timer_model: Any) -> None:
    """With zone and policy, and without the usual length."""
    _, path, _, options = timer_model._meta.get_field("schedule").deconstruct()
    assert (path, options) == ("quartzcron.contrib.django.CronField", {"tz": "Asia/Shanghai"})
    field = type(timer_model._meta.get_field("schedule"))(max_length=80, dst="quartz")
    assert field.deconstruct()[3] == {"max_length": 80, "dst": "quartz"}
