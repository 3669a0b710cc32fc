"""The arguments `tz` and `dst` of an expression, as users give them: checked, and in the form that expressions keep."""

from __future__ import annotations

from datetime import tzinfo

from ..lazy import Lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import errors
    from . import dst_policies, lookup
else:
    errors, dst_policies, lookup = Lazy("errors"), Lazy("zones.dst_policies"), Lazy("zones.lookup")


def zone_argument(tz: object) -> tzinfo | None:
    """The zone of a name or a tzinfo; raises UnknownZoneError for an unknown name, TypeError for another type."""
    if tz is None:
        return None
    if isinstance(tz, tzinfo):
        return lookup.canonical(tz)
    if isinstance(tz, str):
        return lookup.named_zone(tz)
    raise TypeError(f"tz must be a zone name or a tzinfo, got {type(tz).__name__}")


def policy_argument(dst: object) -> str:
    """The name of a policy for gaps and overlaps; raises PolicyError for an unknown one, TypeError for another type."""
    if not isinstance(dst, str):
        raise TypeError(f"dst must be {dst_policies.VIXIE!r} or {dst_policies.QUARTZ!r}, got {type(dst).__name__}")
    if (dst, False) not in dst_policies.POLICIES:
        raise errors.PolicyError(dst)
    return dst
