"""scheduler doctor: whether everything that a timer needs is well, thing by thing."""

from __future__ import annotations

import click

from ..doctor.examination import _findings
from ..doctor.findings import Severity
from ..formats import display
from ..formats.json import print_json
from ..project.project import current_project
from .options import json_option, store_option

_SIGNS = {Severity.WELL: "ok", Severity.WARNING: "!", Severity.BAD: "!!"}


@click.command("doctor")
@click.option(
    "--target", metavar="CLOUD.PY", help="What holds the functions; the folder's wsgi.py or cloud.py unless set."
)
@store_option
@json_option
def command(*, target: str | None, store: str | None, as_json: bool) -> None:
    """Look whether everything that a timer needs is well; exit status 1 if something is not, warnings apart."""
    project = current_project(store=store)
    findings = list(_findings(project, target))
    if as_json:
        shown = [
            {"name": one.name, "ok": one.state is not Severity.BAD, "state": one.state, "text": one.text}
            for one in findings
        ]
        print_json(shown)
    else:
        display.print_table(("", "WHAT", "HOW IT IS"), ((_SIGNS[one.state], one.name, one.text) for one in findings))
    raise SystemExit(1 if any(one.state is Severity.BAD for one in findings) else 0)
