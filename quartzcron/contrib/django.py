"""A model field for Django (4.2 and later): `schedule = CronField(tz="Asia/Shanghai")`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from django import forms  # type: ignore[import-untyped, import-not-found, unused-ignore]
from django.core.exceptions import ValidationError  # type: ignore[import-untyped, import-not-found, unused-ignore]
from django.db import models  # type: ignore[import-untyped, import-not-found, unused-ignore]

from ..errors import CronError
from ..expression import CronExpression
from ..zones.dst_policies import VIXIE
from ..zones.lookup import zone_key, zone_name

_LENGTH = 255


class CronFormField(forms.CharField):  # type: ignore[misc, unused-ignore]
    """What a form edits: the text, which has changed if it is another one, whatever it means."""

    def has_changed(self, initial: object, data: object) -> bool:
        """Whether the text differs from that of the expression which the form began with."""
        changed: bool = super().has_changed(getattr(initial, "text", initial), data)
        return changed


class CronField(models.CharField):  # type: ignore[misc, unused-ignore]
    """Holds an expression as its text; zone and policy are the field's. Raises CronError for those that are none.

    Forms and full_clean() refuse what is no expression with a ValidationError that tells column and fix.
    """

    description = "Quartz cron expression"

    def __init__(self, *args: Any, tz: str | tzinfo | None = None, dst: str = VIXIE, **options: Any) -> None:
        CronExpression("* * * * * ?", tz=tz, dst=dst)  # a wrong zone or policy is told here
        self.tz, self.dst = zone_name(tz) if isinstance(tz, tzinfo) else tz, dst
        if tz is not None and self.tz is None:
            raise CronError(f"the zone {tz!r} has no name that a migration could write down")
        options.setdefault("max_length", _LENGTH)
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """What a migration writes down."""
        name, path, args, options = super().deconstruct()
        if options.get("max_length") == _LENGTH:
            del options["max_length"]
        if self.tz is not None:
            options["tz"] = self.tz
        if self.dst != VIXIE:
            options["dst"] = self.dst
        return name, path, args, options

    def to_python(self, value: object) -> CronExpression | str | None:
        """The expression of a text from a form or a fixture."""
        if value is None or value == "" or isinstance(value, CronExpression):
            return value
        try:
            return CronExpression(str(value), tz=self.tz, dst=self.dst)
        except CronError as error:
            raise ValidationError(str(error), code="invalid") from None

    def from_db_value(self, value: str | None, _expression: object, _connection: object) -> CronExpression | str | None:
        """The expression of a text from the database."""
        return CronExpression(value, tz=self.tz, dst=self.dst) if value else value

    def get_prep_value(self, value: object) -> str | None:
        """The text of an expression; raises CronError for one of another zone or policy."""
        found = self.to_python(value)
        if not isinstance(found, CronExpression):
            return found
        expected = CronExpression(found.text, tz=self.tz, dst=self.dst)
        if found.calendar is not None:
            raise CronError("an expression that leaves out the days of a calendar is not held by its text")
        if (zone_key(found.tz), found.dst) != (zone_key(expected.tz), expected.dst):
            raise CronError(f"{found!r} has another zone or policy than its field")
        return found.text

    def formfield(self, **options: Any) -> Any:
        """What stands for it in a ModelForm."""
        return super().formfield(**{"form_class": CronFormField, **options})

    def run_validators(self, value: object) -> None:
        """Validators see the text."""
        super().run_validators(value.text if isinstance(value, CronExpression) else value)

    def value_to_string(self, obj: models.Model) -> str:
        """What a fixture holds."""
        return self.get_prep_value(self.value_from_object(obj)) or ""
