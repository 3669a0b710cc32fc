"""CronField in serializers of Django REST framework, with the framework itself."""

from __future__ import annotations

from typing import Any

import pytest

from quartzcron import CronExpression
from tests.quartzcron.contrib.django_project import set_up

pytest.importorskip("rest_framework")


@pytest.fixture(scope="module")
def serializer() -> Any:
    """The ModelSerializer of a model with fields that are required, unique, and may be empty."""
    set_up()
    from django.db import connection, models
    from rest_framework import serializers

    from quartzcron.contrib.django import CronField

    class Job(models.Model):  # type: ignore[misc, unused-ignore]
        schedule = CronField(tz="Asia/Shanghai")
        only = CronField(unique=True, null=True)
        fallback = CronField(blank=True, default="")

        class Meta:
            app_label = "rest"

    class JobSerializer(serializers.ModelSerializer):  # type: ignore[misc, unused-ignore]
        class Meta:
            model = Job
            fields = ("schedule", "only", "fallback")

    with connection.schema_editor() as editor:
        editor.create_model(Job)
    yield JobSerializer
    connection.close()


@pytest.mark.parametrize("text", ["0 8 * * 1", "0 75 8 ? * MON", "x", "0 0 8 30 2", "@daily"])
@pytest.mark.parametrize("field", ["schedule", "only", "fallback"])
def test_a_wrong_expression_is_refused_by_is_valid(serializer: Any, field: str, text: str) -> None:
    """With the message of the expression, and nothing is left for save() to refuse."""
    data = {"schedule": "0 0 8 ? * MON", "only": "0 0 9 ? * MON", "fallback": "", field: text}
    checked = serializer(data=data)
    assert not checked.is_valid()
    with pytest.raises(ValueError, match=" ") as refused:
        CronExpression(text)
    assert next(str(problem) for problem in checked.errors[field]) == str(refused.value)


def test_a_right_expression_is_saved_and_shown_as_its_text(serializer: Any) -> None:
    """Also as a partial change of what was saved."""
    checked = serializer(data={"schedule": "0 0 8 ? * MON", "only": None})
    assert checked.is_valid(), checked.errors
    job = checked.save()
    job.refresh_from_db()
    assert job.schedule == CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai")
    assert serializer(job).data == {"schedule": "0 0 8 ? * MON", "only": None, "fallback": ""}
    change = serializer(job, data={"schedule": "0 8 * * 1"}, partial=True)
    assert not change.is_valid()
