"""A finding of `scheduler doctor`: the result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How serious a finding is; the values are those that --json prints.

    A warning: works, but review it. An error: something does not work.
    """

    OK = "well"
    WARNING = "warning"
    ERROR = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of the check `name`; `text` has the fix where the severity is not OK."""

    name: str
    severity: Severity
    text: str

    @classmethod
    def ok(cls, name: str, text: str) -> Finding:
        return cls(name, Severity.OK, text)

    @classmethod
    def warning(cls, name: str, text: str) -> Finding:
        return cls(name, Severity.WARNING, text)

    @classmethod
    def error(cls, name: str, text: str) -> Finding:
        return cls(name, Severity.ERROR, text)
