"""The page of the check-up: the checks of `scheduler doctor` that need no code of the user."""

from __future__ import annotations

from ...doctor.findings import Severity
from ..checkup import findings
from ..rendering import render


def show() -> str:
    """The findings, those that need attention first."""
    found = sorted(findings(), key=lambda finding: finding.severity is Severity.OK)
    return render("checkup.html", findings=found)
