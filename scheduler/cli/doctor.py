"""scheduler doctor: checks everything that a timer needs, one thing after another."""

from __future__ import annotations

import click

from ..doctor.examination import examine
from ..doctor.findings import Severity
from ..formats import display
from ..formats.json import print_json
from ..project.project import current_project
from .options import json_option, store_option, target_option

_SIGNS = {Severity.OK: "ok", Severity.WARNING: "!", Severity.ERROR: "!!"}


@click.command("doctor")
@target_option
@store_option
@json_option
def command(*, target: str | None, store: str | None, as_json: bool) -> None:
    """Check everything that a timer needs: store, clocks, time zones, functions, workers.

    `!` is a warning, `!!` an error; exit status 1 if there is an error.
    """
    findings = list(examine(current_project(store=store), target))
    has_error = any(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        print_json(
            [
                {
                    "name": finding.name,
                    "ok": finding.severity is not Severity.ERROR,
                    "state": finding.severity,
                    "text": finding.text,
                }
                for finding in findings
            ]
        )
    else:
        rows = ((_SIGNS[finding.severity], finding.name, finding.text) for finding in findings)
        display.print_table(("", "CHECK", "RESULT"), rows)
    raise SystemExit(1 if has_error else 0)
