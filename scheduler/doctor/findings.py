"""A finding of the doctor: what was looked at, how it is, and what there is to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How something is; a warning is worth a look and keeps nothing from working."""

    WELL = "well"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `text` says how it is, with the fix where it is not well."""

    name: str
    state: Severity
    text: str


def well(name: str, text: str) -> Finding:
    return Finding(name, Severity.WELL, text)


def warning(name: str, text: str) -> Finding:
    return Finding(name, Severity.WARNING, text)


def bad(name: str, text: str) -> Finding:
    return Finding(name, Severity.BAD, text)
