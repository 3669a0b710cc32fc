"""What the doctor looks at on this machine: its clocks, its time zone databases, the disk of the store."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import shutil
import sys
import time
from datetime import UTC, date, datetime, tzinfo
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..formats import display
from .findings import Finding, bad, warning, well

#: The wall clock may differ so much from the monotonic one while we look; more, and somebody sets it.
_MOST_DRIFT_S = 0.005
_LOOK_S = 0.1
#: What adjtimex(2) answers while nothing keeps the system clock right.
_TIME_ERROR = 5
#: A zone database that was made so many years before this one is old: rules change several times a year.
_OLD_YEARS = 2
#: Free space on the disk of the store: below the first nothing is well, below the second it is worth a look.
_NO_ROOM, _LITTLE_ROOM = 100 * 2**20, 2**30


def clock(tz: tzinfo) -> Finding:
    """Whether the wall clock goes evenly, and whether something keeps it right."""
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(_LOOK_S)
    drift_s = (time.time() - wall) - (time.monotonic() - monotonic)
    said = f"{display.instant(datetime.now(UTC), tz)}; wall and monotonic clock agree to {abs(drift_s) * 1000:.1f} ms"
    if (suspended_s := _suspended_s()) >= 1:
        said += f"; the machine was suspended for {display.seconds(suspended_s)} since it started"
    if abs(drift_s) > _MOST_DRIFT_S:
        return warning("clock", f"{said}: something sets the clock at this moment")
    if _is_unsynchronised():
        return warning("clock", f"{said}; nothing keeps it right: start an NTP client (chrony, systemd-timesyncd)")
    return well("clock", said)


def _suspended_s() -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def _is_unsynchronised() -> bool:
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        # All zero it only asks; larger than any struct timex.
        return bool(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)) == _TIME_ERROR)
    return False


def zones(today: date) -> Finding:
    """The versions of the time zone databases at hand; expressions go by pytz's."""
    found = {name: known for name, known in zone_databases().items() if known}
    said = ", ".join(f"{name} {known}" for name, known in found.items())
    used = found.get("pytz", "")
    text = f"time zone databases: {said}; expressions go by pytz's"
    if not used[:4].isdigit() or int(used[:4]) <= today.year - _OLD_YEARS:
        return warning("zones", f"{text}, which is old: pip install -U pytz")
    newer = [name for name, known in found.items() if known > used]
    if newer:
        return warning("zones", f"{text}, which is older than that of {' and '.join(newer)}: pip install -U pytz")
    return well("zones", text)


def zone_databases() -> dict[str, str]:
    """Where rules of time zones come from, and of which version they are, `2026a` for instance; empty = not there."""
    import pytz
    from dateutil.zoneinfo import get_zonefile_instance

    return {
        "pytz": getattr(pytz, "OLSON_VERSION", ""),
        "system": _system_version(),
        "dateutil": str((get_zonefile_instance().metadata or {}).get("tzversion", "")),
        "tzdata": _tzdata_version(),
    }


def _system_version() -> str:
    for name in ("tzdata.zi", "+VERSION"):
        file = Path("/usr/share/zoneinfo", name)
        with contextlib.suppress(OSError), file.open(encoding="utf-8", errors="replace") as opened:
            return opened.readline(80).removeprefix("# version").strip()
    return ""


def _tzdata_version() -> str:
    try:
        return str(importlib.import_module("tzdata").IANA_VERSION)
    except ImportError:
        return ""


def disk(folder: Path) -> Finding:
    """How much room the store has to grow."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return bad("disk", f"{folder}: {error.strerror}")
    text = f"{display.size(usage.free)} free of {display.size(usage.total)} at {folder}"
    if usage.free < _NO_ROOM:
        return bad("disk", f"{text}; free some space before the store cannot be written")
    return warning("disk", text) if usage.free < _LITTLE_ROOM else well("disk", text)


def versions() -> Finding:
    """Of this program, Python, and what stores times and answers calls."""
    named = ("quartzcron", "SQLAlchemy", "waitress", "psycopg")
    known = [f"{name} {found}" for name in named if (found := _version(name))]
    return well("versions", f"{', '.join(known)}; Python {sys.version.split()[0]} at {sys.executable}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
