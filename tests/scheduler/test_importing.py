"""Modules that are imported without collecting garbage: they are passed over, and the collector is as before."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.importing import imported


@pytest.fixture(autouse=True)
def _collector_as_before() -> Iterator[None]:
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()
    gc.unfreeze()


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_is_off_while_a_module_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_enabled: bool
) -> None:
    (tmp_path / "looks_at_it.py").write_text("import gc\nWAS_ENABLED = gc.isenabled()\n")
    (tmp_path / "breaks.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "looks_at_it", raising=False)
    (gc.enable if is_enabled else gc.disable)()
    assert not imported("looks_at_it").WAS_ENABLED
    assert gc.isenabled() == is_enabled
    frozen = gc.get_freeze_count()
    assert frozen > 0
    assert imported("looks_at_it") is sys.modules["looks_at_it"]
    assert gc.get_freeze_count() == frozen
    with pytest.raises(ZeroDivisionError):
        imported("breaks")
    assert gc.isenabled() == is_enabled
