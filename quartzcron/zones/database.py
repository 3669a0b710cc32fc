"""Zones by name, read from the database of pytz. Imported when a zone is first named."""

from __future__ import annotations

from hashlib import blake2b
from zoneinfo import ZoneInfo

import pytz

from ..errors import UnknownZoneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_NAME_LENGTH = 64
_REMEMBERED = 2048

_loaded: dict[str, NamedZoneInfo] = {}
_identities: dict[str, object] = {}


class NamedZoneInfo(ZoneInfo):
    """A ZoneInfo from pytz's database, which pickles by its name."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return load_zone, (self.key,)


def load_zone(name: str) -> NamedZoneInfo:
    """The zone of a name in the database, one object per name.

    Raises UnknownZoneError, with a hint.

    >>> load_zone("Asia/Shanghai")
    NamedZoneInfo(key='Asia/Shanghai')
    """
    zone = _loaded.get(name)
    if zone is None:
        try:
            zone = _read_zone(name)
        except (OSError, ValueError):
            from .zone_hints import zone_hint

            raise UnknownZoneError(name, zone_hint(name)) from None
        zone = _loaded.setdefault(name, zone)
    return zone


def _read_zone(name: str) -> NamedZoneInfo:
    """Read a zone file; raises OSError or ValueError if there is no such file."""
    with _open(name) as file:
        return NamedZoneInfo.from_file(file, key=name)


def _open(name: str) -> BinaryIO:
    if not name.isascii() or not name.isprintable() or len(name) > _NAME_LENGTH or name != name.strip():
        raise ValueError(name)
    return pytz.open_resource(name)  # type: ignore[attr-defined,no-any-return]


def identity(name: str) -> object:
    """Equal for the names of one zone, such as Asia/Calcutta and Asia/Kolkata, whose files are the same."""
    known = _identities.get(name)
    if known is None:
        try:
            with _open(name) as file:
                known = blake2b(file.read(), digest_size=16).digest()
        except (OSError, ValueError):
            known = name
        if len(_identities) >= _REMEMBERED:
            _identities.clear()
        _identities[name] = known
    return known
