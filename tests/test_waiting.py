"""The waiting of tests: on a busy machine they wait longer."""

from __future__ import annotations

import os
from itertools import count

import pytest

from tests import waiting


def test_a_condition_may_come_late_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience is that of an idle machine, times the processes that each processor has to run."""
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.02)
    looks = count()
    with pytest.raises(AssertionError, match="last saw"):
        waiting.eventually(lambda: next(looks), lambda seen: seen > 1_000, within_s=0.02)
    monkeypatch.setattr(os, "getloadavg", lambda: (100_000.0, 0.0, 0.0))
    looks = count()
    assert waiting.eventually(lambda: next(looks), lambda seen: seen > 20) == 21
