"""JSON values with a `__type`, as LeanCloud's clients send them, and the Python values for them.

Lives here: `CloudObject`, `decode` and `encode`. Never here: storage; an object is its fields and nothing else.
Types without a Python value (GeoPoint, File, Relation …) remain dictionaries.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .not_included import object_error


class CloudObject:
    """An object of a class, as hooks and RPC functions get it: fields by name.

    `updated_keys` names the fields that the client changed (before_update only).
    """

    __slots__ = ("_fields", "class_name", "kind", "updated_keys")

    def __init__(
        self,
        class_name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        updated_keys: Iterable[str] = (),
        kind: str = "Object",
    ) -> None:
        self.class_name = class_name
        self.kind = kind
        self.updated_keys = list(updated_keys)
        self._fields: dict[str, Any] = dict(fields or {})

    @property
    def id(self) -> str | None:
        """The objectId, None before the first save."""
        return self._fields.get("objectId")

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a field, `default` if the object has none."""
        return self._fields.get(key, default)

    def set(self, key: str | Mapping[str, Any], value: Any = None) -> CloudObject:
        """Set one field, or every field of a mapping; returns the object."""
        self._fields.update(key if isinstance(key, Mapping) else {key: value})
        self.kind = "Object"  # a Pointer has no fields
        return self

    def unset(self, key: str) -> CloudObject:
        """Remove a field if the object has it; returns the object."""
        self._fields.pop(key, None)
        return self

    def has(self, key: str) -> bool:
        """Whether the object has the field, and it is not null."""
        return self._fields.get(key) is not None

    def dump(self) -> dict[str, Any]:
        """The fields as JSON values, including the marks `__before`, `__after` and `__ignore_hooks`."""
        return {key: _encode(value, within_object=True) for key, value in self._fields.items()}

    def disable_before_hook(self) -> None:
        """Ask the storage to save this object without calling its before-hooks."""
        self._ignore_hooks("beforeSave", "beforeUpdate", "beforeDelete")

    def disable_after_hook(self) -> None:
        """Ask the storage to save this object without calling its after-hooks."""
        self._ignore_hooks("afterSave", "afterUpdate", "afterDelete")

    def _ignore_hooks(self, *names: str) -> None:
        ignored = self._fields.get("__ignore_hooks") or []
        self._fields["__ignore_hooks"] = [*ignored, *(name for name in names if name not in ignored)]

    if not TYPE_CHECKING:  # otherwise mypy would accept every attribute of an object

        def __getattr__(self, name: str) -> Any:
            raise object_error(self, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CloudObject):
            return NotImplemented
        return (self.class_name, self._fields) == (other.class_name, other._fields)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<CloudObject {self.class_name} {self.id or '(new)'}>"


def decode(value: Any) -> Any:
    """A JSON value with every typed value in it decoded; ValueError for an invalid typed value."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    decoder = _DECODERS.get(value["__type"]) if isinstance(value.get("__type"), str) else None
    return decoder(value) if decoder else decode_fields(value)


def decode_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary with its values decoded; its own `__type` is ignored."""
    return {key: decode(item) for key, item in fields.items()}


def encode(value: Any) -> Any:
    """The inverse of `decode`: a datetime becomes a Date in UTC, an object its fields, `__type` and `className`."""
    return _encode(value, within_object=False)


def _encode(value: Any, *, within_object: bool) -> Any:
    if isinstance(value, dict):
        return {key: _encode(item, within_object=within_object) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_encode(item, within_object=within_object) for item in value]
    if isinstance(value, CloudObject):
        return {"__type": value.kind, "className": value.class_name} | value.dump()
    if isinstance(value, datetime):
        return {"__type": "Date", "iso": iso(value)}
    if isinstance(value, bytes):
        return {"__type": "Bytes", "base64": base64.b64encode(value).decode()}
    return _encoded_by_the_sdk(value, within_object=within_object)


def _encoded_by_the_sdk(value: Any, *, within_object: bool) -> Any:
    """An Object, User, GeoPoint, File … of LeanCloud's SDK, encoded by the SDK; any other value unchanged.

    If there are such values, the SDK is loaded already. An object within another object becomes a pointer.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    sdk = sys.modules.get("leancloud.utils")
    return value if sdk is None else sdk.encode(value, dump_objects=not within_object)


def iso(instant: datetime) -> str:
    """An instant as LeanCloud writes it, UTC with milliseconds; a naive one is local time, as in `datetime.timestamp`.

    >>> iso(datetime(2026, 1, 5, 8, 0, tzinfo=UTC))
    '2026-01-05T08:00:00.000Z'
    """
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _date(value: Mapping[str, Any]) -> datetime:
    text = value.get("iso")
    if not isinstance(text, str):
        raise ValueError("a Date needs an iso text")
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _bytes(value: Mapping[str, Any]) -> bytes:
    text = value.get("base64")
    if not isinstance(text, str):
        raise ValueError("Bytes need a base64 text")
    return base64.b64decode(text, validate=True)


def _object(value: Mapping[str, Any]) -> CloudObject:
    fields = {key: decode(item) for key, item in value.items() if key not in ("__type", "className")}
    return CloudObject(str(value.get("className", "")), fields, kind=value["__type"])


_DECODERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "Date": _date,
    "Bytes": _bytes,
    "Object": _object,
    "Pointer": _object,
}
