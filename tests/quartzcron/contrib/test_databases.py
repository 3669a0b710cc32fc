"""Expressions in databases, with SQLAlchemy and with Django."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from quartzcron import CronError, CronExpression
from tests.quartzcron.contrib.django_project import set_up

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
        (CronExpression("0 0 8 * * ?"), "different zone or policy"),
        (CronExpression("0 0 8 * * ?", tz="Asia/Shanghai", dst="quartz"), "different zone or policy"),
        (MONDAYS.excluding([date(2026, 1, 5)]), "cannot be stored as a text"),
    ],
)
def test_sqlalchemy_refuses_what_it_could_not_give_back(value: CronExpression, reason: str) -> None:
    """Another zone, another policy, a calendar."""
    pytest.importorskip("sqlalchemy")
    from quartzcron.contrib.sqlalchemy import CronType

    with pytest.raises(CronError, match=reason):
        CronType(tz="Asia/Shanghai").process_bind_param(value, None)


@pytest.fixture(name="orm")
def _orm() -> Iterator[Any]:
    """A session of SQLAlchemy's ORM, and a mapped class with one row."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

    from quartzcron.contrib.sqlalchemy import CronType

    class Base(DeclarativeBase):
        pass

    class Timer(Base):
        __tablename__ = "timers"
        id = mapped_column(sqlalchemy.Integer, primary_key=True)
        schedule = mapped_column(CronType(tz="Asia/Shanghai"))

    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Timer(schedule="0 0 8 ? * 2"))
        session.commit()
        yield session, Timer
    engine.dispose()


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (lambda column: column.like("0 0 8%"), True),
        (lambda column: column.ilike("% ? * MON"), False),
        (lambda column: column.startswith("0 0"), True),
        (lambda column: column.contains("8 ?"), True),
        (lambda column: column.endswith("%", autoescape=True), False),
        (lambda column: column.regexp_match("^0 0 [89]"), True),
        (lambda column: column.op("GLOB")("0 0*"), True),
        (lambda column: column + " x" == "0 0 8 ? * 2 x", True),
        (lambda column: "x " + column == "x 0 0 8 ? * 2", True),
        (lambda column: column == "0 0 8 ? * 2", True),
        (lambda column: column == MONDAYS, False),
        (lambda column: column.in_(["0 0 8 ? * 2", MONDAYS]), True),
        (lambda column: column.between("0 0 8 ? * 2", "0 0 9 * * ?"), True),
    ],
)
def test_sqlalchemy_compares_texts(orm: Any, condition: Any, found: bool) -> None:
    """LIKE takes any text; comparisons take an expression."""
    session, timer = orm
    from sqlalchemy import select

    assert session.scalars(select(timer.id).where(condition(timer.schedule))).all() == [1] * found


def test_sqlalchemy_reads_no_expression_out_of_a_longer_text(orm: Any) -> None:
    """A column with something added is a text."""
    session, timer = orm
    from sqlalchemy import select

    assert session.scalars(select(timer.schedule + " !")).all() == ["0 0 8 ? * 2 !"]
    with pytest.raises(Exception, match="4 fields"):
        session.scalars(select(timer.id).where(timer.schedule == "no expression at all"))


def test_sqlalchemy_writes_what_is_spelled_otherwise(orm: Any) -> None:
    """An equal expression of another text is a change, the same text is none."""
    session, timer = orm
    row = session.get(timer, 1)
    row.schedule = "0 0 8 ? * 2"
    assert not session.is_modified(row)
    row.schedule = MONDAYS
    assert session.is_modified(row)
    session.commit()
    assert session.get(timer, 1).schedule.text == "0 0 8 ? * MON"


def test_sqlalchemy_keeps_columns_of_different_zones_apart() -> None:
    """Also in its cache of compiled statements, and for dateutil's zones, which do not hash."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from dateutil import tz

    from quartzcron.contrib.sqlalchemy import CronType

    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        new_york = tz.gettz("America/New_York")
        for zone in ("Asia/Shanghai", "Europe/Paris", new_york, None):
            text = sqlalchemy.literal("0 0 8 ? * MON", sqlalchemy.String())
            found = connection.scalar(sqlalchemy.select(sqlalchemy.type_coerce(text, CronType(tz=zone))))
            assert found == CronExpression("0 0 8 ? * MON", tz="America/New_York" if zone is new_york else zone)
    engine.dispose()
    with pytest.raises(CronError, match="unknown time zone"):
        CronType(tz="Asia/Shangai")


# -- Django --


@pytest.fixture(scope="module")
def timer_model() -> Iterator[Any]:
    """A model with a CronField, and its table in memory."""
    set_up()
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
    """As a ValidationError for forms, and as a CronError for what the field could not return."""
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError, match="75 is out of range"):
        timer_model(schedule="0 75 8 * * ?").full_clean()
    with pytest.raises(ValidationError, match="cannot be blank"):
        timer_model(schedule="").full_clean()
    with pytest.raises(CronError, match="different zone or policy"):
        timer_model.objects.create(schedule=CronExpression("0 0 8 * * ?"))
    with pytest.raises(CronError, match="cannot be stored as a text"):
        timer_model.objects.create(schedule=MONDAYS.excluding([date(2026, 1, 5)]))


@pytest.mark.parametrize(
    ("text", "changed"),
    [("0 0 8 ? * MON", False), (" 0 0 8 ? * MON ", False), ("0 0 8 ? * 2", True), ("0 0 9 ? * MON", True), ("x", True)],
)
def test_a_django_form_has_changed_if_the_text_has(timer_model: Any, text: str, changed: bool) -> None:
    """Formsets save only what has changed, so another text with the same fires counts as a change."""
    from django.forms import modelform_factory

    form_class = modelform_factory(timer_model, fields=["schedule", "fallback"])
    form = form_class({"schedule": text, "fallback": ""}, instance=timer_model(schedule=MONDAYS))
    assert form.has_changed() == changed
    assert 'value="0 0 8 ? * MON"' in str(form_class(instance=timer_model(schedule=MONDAYS)))
    if form.is_valid():
        assert form.save().schedule == CronExpression(text.strip(), tz="Asia/Shanghai")
    else:
        assert "1 field" in str(form.errors["schedule"])


def test_django_looks_for_pieces_of_texts(timer_model: Any) -> None:
    """contains, startswith, iexact, regex."""
    timer_model.objects.all().delete()
    row = timer_model.objects.create(schedule=MONDAYS)
    for condition in ("contains", "startswith", "regex", "iexact"):
        text = "0 0 8 ? * mon" if condition == "iexact" else "0 0"
        assert timer_model.objects.filter(**{f"schedule__{condition}": text}).get() == row, condition
    assert not timer_model.objects.filter(schedule__icontains="tue")


def test_django_writes_migrations_of_it(timer_model: Any) -> None:
    """With zone and policy, and without the usual length."""
    _, path, _, options = timer_model._meta.get_field("schedule").deconstruct()
    assert (path, options) == ("quartzcron.contrib.django.CronField", {"tz": "Asia/Shanghai"})
    kind = type(timer_model._meta.get_field("schedule"))
    assert kind(tz=ZoneInfo("Asia/Shanghai")).deconstruct()[3] == {"tz": "Asia/Shanghai"}
    for wrong in ({"tz": "Asia/Shangai"}, {"tz": 3}, {"dst": "java"}, {"dst": []}):
        with pytest.raises((CronError, TypeError), match=r"zone|dst|policy|tz must"):
            kind(**wrong)
    field = kind(max_length=80, dst="quartz")
    assert field.deconstruct()[3] == {"max_length": 80, "dst": "quartz"}


@pytest.mark.parametrize("default", [MONDAYS, "0 0 8 ? * MON"])
def test_django_writes_a_default_into_a_migration(timer_model: Any, default: object) -> None:
    """As a text, since a migration cannot contain an expression."""
    from django.db.migrations.writer import MigrationWriter

    field = type(timer_model._meta.get_field("schedule"))(tz="Asia/Shanghai", default=default)
    text, _ = MigrationWriter.serialize(field)
    assert text == "quartzcron.contrib.django.CronField(default='0 0 8 ? * MON', tz='Asia/Shanghai')"


@pytest.mark.parametrize("wrap", [str, CronExpression])
def test_a_django_field_takes_its_choices_and_no_other(timer_model: Any, wrap: Any) -> None:
    """Whether the choices are texts or expressions."""
    from django.core.exceptions import ValidationError

    choices = [("by day", [(wrap("0 0 8 * * ?"), "daily")]), (wrap("0 0 8 ? * MON"), "weekly")]
    field = type(timer_model._meta.get_field("schedule"))(choices=choices)
    assert field.clean("0 0 8 ? * MON", None) == CronExpression("0 0 8 ? * MON")
    assert field.clean("0 0 8 * * ?", None) == CronExpression("0 0 8 * * ?")
    with pytest.raises(ValidationError, match="not a valid choice"):
        field.clean("0 0 9 * * ?", None)
    assert field.formfield().clean("0 0 8 ? * MON") == CronExpression("0 0 8 ? * MON")
