"""Finds the Zone for a user's zone: a name, a zoneinfo, pytz or dateutil object, a fixed offset, the local zone.

Names are looked up in the database of pytz, so that results are right on a machine with an old database, or with none.
"""

from __future__ import annotations

import sys
from datetime import UTC, timedelta, timezone, tzinfo

from ..lazy import Lazy
from .zone import NamedZone, PytzZone, Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import database
else:
    database = Lazy("zones.database")

_REMEMBERED = 2048

# By id, since dateutil zones do not hash; the value keeps the object alive, so that its id is not reused.
_zones: dict[int, tuple[tzinfo | None, Zone]] = {}
_named: dict[str, tzinfo] = {}
_pytz_zones: dict[str, PytzZone] = {}
_fixed_zones: dict[tuple[timezone, str], timezone] = {}
_rules: dict[int, tuple[tzinfo, object]] = {}


def canonical(info: tzinfo | None) -> tzinfo | None:
    """One object for all equal datetime.timezone objects, because parsers make a new one for every time."""
    if type(info) is not timezone:
        return info
    if len(_fixed_zones) >= _REMEMBERED:
        _fixed_zones.clear()
    return _fixed_zones.setdefault((info, info.tzname(None)), info)


def zone_of(info: tzinfo | None) -> Zone:
    """The Zone of a tzinfo; None is the zone of naive times.

    Raises UnknownZoneError for a pytz zone that is not in the database.
    """
    known = _zones.get(id(info))
    if known is not None:
        return known[1]
    zone = _make_zone(info)
    if len(_zones) >= _REMEMBERED:
        _zones.clear()
    _zones[id(info)] = (info, zone)
    return zone


def _make_zone(info: tzinfo | None) -> Zone:
    name = zone_name(info)
    if name is None or _is_zoneinfo(info) or _fixed(info):
        return Zone(info, info)
    if not _is_pytz(info):
        return NamedZone(named_zone(name), info)
    zone = _pytz_zones.get(name)
    if zone is None:
        import pytz

        zone = _pytz_zones[name] = PytzZone(named_zone(name), pytz.timezone(name))
    return zone


def same_name_or_zone(one: tzinfo | None, other: tzinfo | None) -> bool:
    """Whether a zone keeps its name when it is stored by name and read back from the database."""
    name = zone_name(one)
    return (name is not None and name == zone_name(other)) or same_zone(one, other)


def same_zone(one: tzinfo | None, other: tzinfo | None) -> bool:
    """Whether two tzinfo objects have the same clock from 1970 to 2099, by whatever names: links are the same zone.

    A zoneinfo object has its own rules, a name those of pytz's database. If one of them is older, they may differ.

    >>> same_zone(named_zone("Asia/Calcutta"), named_zone("Asia/Kolkata")), same_zone(UTC, named_zone("Etc/UTC"))
    (True, True)
    """
    return one is other or (one is not None and other is not None and bool(_rules_of(one) == _rules_of(other)))


def zone_hash(info: tzinfo | None) -> object:
    """Equal for objects that are the same zone."""
    name = zone_name(info)
    if info is None or name is None:
        return None
    return _rules_of(info) if _fixed_zoneinfo_name(info) is not None else _rules_of_name(name)


def _rules_of(info: tzinfo) -> object:
    """Equal for objects that are the same zone; cached for zoneinfo objects, whose rules have to be computed."""
    name = zone_name(info)
    if name is None:
        return info
    if not _is_zoneinfo(info) or isinstance(info, database.NamedZoneInfo):
        return _fixed_zoneinfo_name(info) or database.identity(name)
    known = _rules.get(id(info))
    if known is None:
        if len(_rules) >= _REMEMBERED:
            _rules.clear()
        known = _rules[id(info)] = info, _rules_of_zoneinfo(info, name)
    return known[1]


def _rules_of_zoneinfo(info: tzinfo, name: str) -> object:
    """The rules of the name in the database if the object agrees with them, else the object's own.

    EST, HST and MST are offsets in some databases, and in others places whose last change was before 1970.
    """
    from ..errors import UnknownZoneError

    zone = zone_of(info)
    try:
        if zone.agrees_with(zone_of(named_zone(name))):
            return _rules_of_name(name)
    except UnknownZoneError:
        pass
    return _fixed_zoneinfo_name(info) or zone.rules_in_full


def _rules_of_name(name: str) -> object:
    """The rules of a name in the database; the name itself if the database lacks it."""
    from ..errors import UnknownZoneError

    try:
        return _rules_of(named_zone(name))
    except UnknownZoneError:
        return database.identity(name)


def _fixed_zoneinfo_name(info: tzinfo) -> str | None:
    """The offset of a zoneinfo object or another one without any change, such as Etc/UTC."""
    return _fixed_name(info) if _is_zoneinfo(info) or _fixed(info) else None


def zone_name(info: tzinfo | None) -> str | None:
    """The name of a zone in the database, or a fixed offset such as "+08:00"; None for zones that have neither."""
    if info is None:
        return None
    key = getattr(info, "zone", None) if _is_pytz(info) else getattr(info, "key", None) if _is_zoneinfo(info) else None
    if isinstance(key, str):
        return key
    if type(info) is timezone or _module(info) in ("dateutil", "pytz"):
        return _fixed_name(info) or _dateutil_name(info)
    return None


def named_zone(name: str) -> tzinfo:
    """The zone of a name in pytz's database, such as "Asia/Shanghai", or of a fixed offset, such as "+08:00".

    Raises UnknownZoneError, with the nearest name as a hint.

    >>> named_zone("Asia/Shanghai")
    NamedZoneInfo(key='Asia/Shanghai')
    >>> named_zone("+05:45")
    datetime.timezone(datetime.timedelta(seconds=20700))
    """
    zone = _named.get(name)
    if zone is None:
        zone = _named[name] = _offset_zone(name) or database.load_zone(name)
    return zone


def local_zone() -> tzinfo:
    """The zone of this machine: TZ if it is set, else /etc/localtime, else dateutil's tzlocal (the C library's).

    If /etc/localtime is a copy of a zone file, /etc/timezone names the zone.
    """
    from ..errors import UnknownZoneError
    from .machine import local_name

    try:
        return named_zone(local_name())
    except UnknownZoneError:
        from dateutil.tz import tzlocal

        return tzlocal()


def local_zone_name() -> tuple[str, bool]:
    """The name of `local_zone`, or its fixed offset, and whether that is certain; without a name it is UTC."""
    import os

    zone = local_zone()
    name = zone_name(zone)
    is_guess = not _is_zoneinfo(zone) and type(zone) is not timezone
    if name is None or (is_guess and name == "UTC" and os.environ.get("TZ")):
        return "UTC", False
    return name, True


def _offset_zone(name: str) -> timezone | None:
    """`UTC`, `Z`, `+08:00`, `UTC+08:00`, `-03:30:15`."""
    if name in ("UTC", "Z"):
        return UTC
    text = name.removeprefix("UTC")
    parts = text[1:].split(":")
    if text[:1] not in ("+", "-") or len(parts) not in (2, 3):
        return None
    if not all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
        return None
    hours, minutes, seconds = (*map(int, parts), 0)[:3]
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-offset if text[0] == "-" else offset)


def _fixed_name(info: tzinfo) -> str | None:
    offset = info.utcoffset(None)
    if offset is None or offset.microseconds:
        return None
    if not offset:
        return "UTC"
    seconds = abs(offset) // timedelta(seconds=1)
    of_minute = f":{seconds % 60:02}" if seconds % 60 else ""
    return f"{'-' if offset < timedelta(0) else '+'}{seconds // 3600:02}:{seconds // 60 % 60:02}{of_minute}"


def _dateutil_name(info: tzinfo) -> str | None:
    """The name of the zone file that dateutil read."""
    name = str(getattr(info, "_filename", "")).rpartition("zoneinfo/")[2]
    if name not in _named:
        from ..errors import UnknownZoneError

        try:
            named_zone(name)
        except UnknownZoneError:
            return None
    return name


def _fixed(info: tzinfo | None) -> bool:
    offset_only = type(info) is timezone or _module(info) in ("dateutil", "pytz")
    return info is not None and offset_only and _fixed_name(info) is not None


def _module(info: tzinfo | None) -> str:
    return type(info).__module__.partition(".")[0]


def _is_pytz(info: tzinfo | None) -> bool:
    return _module(info) == "pytz"


def _is_zoneinfo(info: tzinfo | None) -> bool:
    zoneinfo = sys.modules.get("zoneinfo")  # a ZoneInfo cannot exist before its module does
    return zoneinfo is not None and isinstance(info, zoneinfo.ZoneInfo)
