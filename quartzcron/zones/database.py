"""Zones by name, read from the database of pytz. Imported when a zone is first named."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytz

from ..errors import UnknownZoneError

_NAME_LENGTH = 64
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])([01]?\d|2[0-3])(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_BEIJING = ("beijing", "北京", "上海", "china")

_loaded: dict[str, NamedZoneInfo] = {}


class NamedZoneInfo(ZoneInfo):
    """A ZoneInfo out of pytz's database, which pickles by its name."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return load_zone, (self.key,)


def load_zone(name: str) -> NamedZoneInfo:
    """The zone of a name in the database, one object per name.

    Raises UnknownZoneError, with the nearest name as a hint.

    >>> load_zone("Asia/Shanghai")
    NamedZoneInfo(key='Asia/Shanghai')
    """
    zone = _loaded.get(name)
    if zone is None:
        try:
            zone = _read_zone(name)
        except (OSError, ValueError):
            nearest = nearest_name(name)
            raise UnknownZoneError(name, f"did you mean {nearest!r}?" if nearest else None) from None
        zone = _loaded.setdefault(name, zone)
    return zone


def _read_zone(name: str) -> NamedZoneInfo:
    """Read a zone file; raises OSError or ValueError if there is no such file."""
    if not name.isascii() or not name.isprintable() or len(name) > _NAME_LENGTH or name != name.strip():
        raise ValueError(name)
    with pytz.open_resource(name) as file:  # type: ignore[attr-defined]
        return NamedZoneInfo.from_file(file, key=name)


def nearest_name(name: str) -> str | None:
    """The most similar name in the database, None if no name is similar.

    For `GMT+8` it is +08:00, which is what people mean: Etc/GMT+8 is eight hours behind UTC. For Beijing, which is not
    in the database, it is Asia/Shanghai.
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
