"""Instants as integers, microseconds since 1970 in UTC: as the store keeps them and as they are sent to workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp(instant: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (instant - EPOCH) // _MICROSECOND


def instant(stamp: int) -> datetime:
    """Microseconds since 1970 as an aware datetime in UTC."""
    return EPOCH + _MICROSECOND * stamp


def stamp_or_none(instant: datetime | None) -> int | None:
    """The same, None for None."""
    return None if instant is None else stamp(instant)


def instant_or_none(stamp: int | None) -> datetime | None:
    """The same, None for None."""
    return None if stamp is None else instant(stamp)
