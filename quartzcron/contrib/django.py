"""A model field for Django (4.2 and later): `schedule = CronField(tz="Asia/Shanghai")`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from django import forms  # type: ignore[import-untyped, import-not-found, unused-ignore]
from django.core.exceptions import ValidationError  # type: ignore[import-untyped, import-not-found, unused-ignore]
from django.db import models  # type: ignore[import-untyped, import-not-found, unused-ignore]

from ..errors import CronError
from ..expression import CronExpression
from ..schedules import Schedule
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_name
from .stored_text import read, stored_text

_LENGTH = 255


def validate_expression(value: object) -> None:
    """Refuse a text that is not an expression, for code that validates without to_python, as Django REST framework."""
    if not isinstance(value, (CronExpression, Schedule)):
        try:
            read(str(value), tz=None, dst=VIXIE)
        except CronError as error:
            raise ValidationError(str(error), code="invalid") from None


class CronFormField(forms.CharField):  # type: ignore[misc, unused-ignore]
    """The form field: it edits the text, and counts any other text as changed, even one with the same meaning."""

    def has_changed(self, initial: object, data: object) -> bool:
        """Whether the text differs from that of the initial expression."""
        changed: bool = super().has_changed(getattr(initial, "text", initial), data)
        return changed


class CronField(models.CharField):  # type: ignore[misc, unused-ignore]
    """Stores an expression as its text; zone and policy are the field's. Raises CronError for invalid ones.

    A schedule of several expressions is stored as `0 0 8 ? * SAT#1 || 0 0 8 ? * SAT#3`.

    Forms and full_clean() refuse an invalid expression with a ValidationError that names column and fix.
    """

    description = "Quartz cron expression"
    default_validators = (validate_expression,)

    def __init__(self, *args: Any, tz: str | tzinfo | None = None, dst: str = VIXIE, **options: Any) -> None:
        CronExpression("* * * * * ?", tz=tz, dst=dst)  # raises for an invalid zone or policy
        self.tz, self.dst = zone_name(tz) if isinstance(tz, tzinfo) else tz, dst
        if tz is not None and self.tz is None:
            raise CronError(f"the zone {tz!r} has no name that a migration could contain")
        options.setdefault("max_length", _LENGTH)
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """The arguments for a migration."""
        name, path, args, options = super().deconstruct()
        if options.get("max_length") == _LENGTH:
            del options["max_length"]
        if self.tz is not None:
            options["tz"] = self.tz
        if self.dst != VIXIE:
            options["dst"] = self.dst
        if isinstance(options.get("default"), (CronExpression, Schedule)):
            options["default"] = self.get_prep_value(options["default"])  # a migration can contain a text
        return name, path, args, options

    def to_python(self, value: object) -> CronExpression | Schedule | str | None:
        """The expression of a text from a form or a fixture."""
        if value is None or value == "" or isinstance(value, (CronExpression, Schedule)):
            return value
        try:
            return read(str(value), tz=self.tz, dst=self.dst)
        except CronError as error:
            raise ValidationError(str(error), code="invalid") from None

    def from_db_value(
        self, value: str | None, _expression: object, _connection: object
    ) -> CronExpression | Schedule | str | None:
        """The expression of a text from the database."""
        return read(value, tz=self.tz, dst=self.dst) if value else value

    def get_prep_value(self, value: object) -> str | None:
        """The text of an expression; raises CronError for one of another zone or policy."""
        expression = self.to_python(value)
        if not isinstance(expression, (CronExpression, Schedule)):
            return expression
        return stored_text(expression, tz=self.tz, dst=self.dst, where="field")

    def formfield(self, **options: Any) -> Any:
        """The form field of a ModelForm."""
        return super().formfield(**{"form_class": CronFormField, **options})

    def validate(self, value: object, model_instance: models.Model | None) -> None:
        """A choice is compared as its text, or as an expression if the choices are expressions."""
        options = [option for option, _ in self.flatchoices]
        text = value.text if isinstance(value, (CronExpression, Schedule)) else value
        super().validate(value if value in options else text, model_instance)

    def run_validators(self, value: object) -> None:
        """Validators get the text."""
        super().run_validators(value.text if isinstance(value, (CronExpression, Schedule)) else value)

    def value_to_string(self, obj: models.Model) -> str:
        """The text for a fixture."""
        return self.get_prep_value(self.value_from_object(obj)) or ""
