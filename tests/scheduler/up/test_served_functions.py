"""The functions that `scheduler up` serves, in the catalogue of the store."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from scheduler.project.project import Project
from scheduler.project.settings import read_settings
from scheduler.store.catalogue import read_functions
from scheduler.store.database import Store
from scheduler.up.served_functions import record_functions

LIVE, PREVIEW = ["send", "(to)", "", "cloud.py:3"], ["send", "(to, copy)", "", "cloud.py:4"]


def test_each_environment_has_the_functions_that_it_runs(store: Store, tmp_path: Path) -> None:
    """Those of a preview where there is one; without one, the timers of both run the same ones."""
    project = Project(read_settings(tmp_path, {}, {}))
    for report, of_stage in (({}, "(to)"), ({"preview_catalogue": [PREVIEW]}, "(to, copy)")):
        record_functions(store, {"catalogue": [LIVE], **report}, project)
        found = {entry.environment: entry.signature for entry in read_functions(store)}
        assert found == {"production": "(to)", "stage": of_stage}


def test_a_forged_report_is_refused(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A function may send anything over its process's channel; the start goes on."""
    with caplog.at_level(logging.WARNING):
        record_functions(store, {"catalogue": [7]}, Project(read_settings(tmp_path, {}, {})))
    assert read_functions(store) == []
    assert "the console does not know the functions of production" in caplog.text
