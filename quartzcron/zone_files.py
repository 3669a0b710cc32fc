"""Zones read from the files of the database that pytz brings along. Imported when a zone is first named."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytz

_NAME_LENGTH = 64


class NamedZoneInfo(ZoneInfo):
    """A ZoneInfo out of pytz's database, which pickles by its name."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        from .zone_names import named_zone

        return named_zone, (self.key,)


def load_zone(name: str) -> NamedZoneInfo:
    """The zone of that name; raises OSError or ValueError if there is none."""
    if not name.isascii() or not name.isprintable() or len(name) > _NAME_LENGTH or name != name.strip():
        raise ValueError(name)
    with pytz.open_resource(name) as file:  # type: ignore[attr-defined]
        return NamedZoneInfo.from_file(file, key=name)


def nearest_name(name: str) -> str | None:
    """The name in the database that looks most like this one, if one does."""
    from difflib import get_close_matches

    by_lower = {known.lower(): known for known in pytz.all_timezones}
    wanted = name.strip().lower().replace(" ", "_")[:_NAME_LENGTH]
    city = next((known for lower, known in by_lower.items() if wanted and lower.endswith(f"/{wanted}")), None)
    close = get_close_matches(wanted, by_lower, 1)
    return city or (by_lower[close[0]] if close else None)
