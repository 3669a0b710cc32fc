"""The checks of this machine: its clocks, its time zone databases, the disk of the store, the versions of packages."""

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
from ..install import damage, other_distributions, reinstalling
from .findings import Finding

#: How long the two clocks are compared, and the most that they may differ unless a program sets the wall clock.
_COMPARED_S, _MAX_DRIFT_S = 0.1, 0.005


def check_clock(tz: tzinfo) -> Finding:
    """Check that the wall clock runs evenly and is synchronised."""
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(_COMPARED_S)
    drift_s = (time.time() - wall) - (time.monotonic() - monotonic)
    text = f"{display.instant(datetime.now(UTC), tz)}; wall and monotonic clock agree to {abs(drift_s) * 1000:.1f} ms"
    if (suspended_s := _suspended_s()) >= 1:
        text += f"; the machine was suspended for {display.seconds(suspended_s)} since it started"
    if made := _newest_database_after(datetime.now(UTC).year):
        return Finding.error(
            "clock", f"{text}; it is behind: the time zone database is of {made}; set the clock, or start an NTP client"
        )
    if abs(drift_s) > _MAX_DRIFT_S:
        return Finding.warning("clock", f"{text}: the clock is being set at this moment")
    if _is_unsynchronised():
        return Finding.warning(
            "clock", f"{text}; the clock is not synchronised: start an NTP client (chrony, systemd-timesyncd)"
        )
    return Finding.ok("clock", text)


def _newest_database_after(year: int) -> str:
    """The year of the newest time zone database if it is after this one, as where the clock was never set."""
    years = {number[:4] for number in zone_databases().values() if number[:4].isdigit()}
    return max((each for each in years if int(each) > year), default="")


def _suspended_s() -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


#: The result of adjtimex(2) while the system clock is not synchronised.
_TIME_ERROR = 5


def _is_unsynchronised() -> bool:
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        # With all zeros, the call only reads; the buffer is larger than any struct timex.
        return bool(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)) == _TIME_ERROR)
    return False


#: A zone database that is this many years old counts as old, because rules change several times a year.
_OLD_YEARS = 2


def check_zone_databases(today: date) -> Finding:
    """Check that the time zone database of pytz, which expressions use, is not old or older than another one."""
    known = {name: number for name, number in zone_databases().items() if number}
    listed = ", ".join(f"{name} {number}" for name, number in known.items())
    used = known.get("pytz", "")
    text = f"time zone databases: {listed}; expressions use that of pytz"
    if not used[:4].isdigit() or int(used[:4]) <= today.year - _OLD_YEARS:
        return Finding.warning("zones", f"{text}, which is old: pip install -U pytz")
    newer = [name for name, number in known.items() if number > used]
    if newer:
        return Finding.warning(
            "zones", f"{text}, which is older than that of {' and '.join(newer)}: pip install -U pytz"
        )
    return Finding.ok("zones", text)


def zone_databases() -> dict[str, str]:
    """The version of each time zone database, as in `2026a`; empty for a missing one."""
    import pytz

    return {
        "pytz": getattr(pytz, "OLSON_VERSION", ""),
        "system": _system_version(),
        "dateutil": _dateutil_version(),
        "tzdata": _tzdata_version(),
    }


def _dateutil_version() -> str:
    if int(version("python-dateutil").partition(".")[0]) >= 4:
        return ""  # it uses tzdata, and has no database of its own
    from dateutil.zoneinfo import get_zonefile_instance

    return str((get_zonefile_instance().metadata or {}).get("tzversion", ""))


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


#: Free bytes on the disk of the store: fewer than the first are an error, fewer than the second a warning.
_ERROR_BELOW, _WARNING_BELOW = 100 * 2**20, 2**30


def check_disk(folder: Path) -> Finding:
    """Check that the disk of the store has free space."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Finding.error("disk", f"{folder}: {error.strerror}")
    text = f"{display.size(usage.free)} free of {display.size(usage.total)} at {folder}"
    if usage.free < _ERROR_BELOW:
        return Finding.error("disk", f"{text}; free some space, or writes to the store will fail")
    return Finding.warning("disk", text) if usage.free < _WARNING_BELOW else Finding.ok("disk", text)


def check_versions() -> Finding:
    """Report the versions of this program, of Python, and of the packages that store timers and answer calls."""
    packages = ("quartzcron", "SQLAlchemy", "waitress", "psycopg")
    installed = [f"{name} {number}" for name in packages if (number := _version(name))]
    text = f"{', '.join(installed)}; Python {sys.version.split()[0]} at {sys.executable}"
    if found := damage():
        return Finding.error("versions", f"{text}; {found}")
    if others := other_distributions():
        return Finding.warning(
            "versions",
            f"{text}; {' and '.join(others)} has files in the same package 'scheduler', so one of both does not work; "
            f"{reinstalling(others)}",
        )
    return Finding.ok("versions", text)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
