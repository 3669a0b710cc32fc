"""Zones read from the files of the database that pytz brings along. Imported when a zone is first named."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytz

_NAME_LENGTH = 64
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])([01]?\d|2[0-3])(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_BEIJING = ("beijing", "北京", "上海", "china")


class NamedZoneInfo(ZoneInfo):
    """A ZoneInfo out of pytz's database, which pickles by its name."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        from .lookup import named_zone

        return named_zone, (self.key,)


def load_zone(name: str) -> NamedZoneInfo:
    """The zone of that name; raises OSError or ValueError if there is none."""
    if not name.isascii() or not name.isprintable() or len(name) > _NAME_LENGTH or name != name.strip():
        raise ValueError(name)
    with pytz.open_resource(name) as file:  # type: ignore[attr-defined]
        return NamedZoneInfo.from_file(file, key=name)


def nearest_name(name: str) -> str | None:
    """The name in the database that looks most like this one, if one does; for `GMT+8` the offset that people mean.

    Etc/GMT+8 is eight hours behind UTC, and Beijing is not in the database.
    """
    from difflib import get_close_matches

    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        return f"{sign}{int(hours):02}:{minutes or '00'}"
    if name.rpartition("/")[2].lower() in _BEIJING:
        return "Asia/Shanghai"
    by_lower = {known.lower(): known for known in pytz.all_timezones}
    wanted = name.strip().lower().replace(" ", "_")[:_NAME_LENGTH]
    city = next((known for lower, known in by_lower.items() if wanted and lower.endswith(f"/{wanted}")), None)
    close = get_close_matches(wanted, by_lower, 1)
    return city or (by_lower[close[0]] if close else None)
