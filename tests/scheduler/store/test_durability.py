"""What a commit to a SQLite file survives, and what the keys do."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from scheduler.errors import StoreError
from scheduler.project import data_folder, keys, setting_table
from scheduler.store.database import DURABILITIES, Store

FULL, NORMAL = 2, 1


@pytest.mark.parametrize(("options", "expected"), [({}, FULL), ({"durability": "process"}, NORMAL)])
def test_every_connection_has_the_durability_of_its_store(
    tmp_path: Path, options: dict[str, str], expected: int
) -> None:
    """FULL unless asked otherwise: SQLite syncs its journal at each commit."""
    with Store(str(tmp_path / "store.db"), **options) as store, store.reading() as first, store.writing() as second:
        for connection in (first, second):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == expected
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_an_unknown_durability_is_refused() -> None:
    """With the two that exist, which are also those of the setting."""
    with pytest.raises(StoreError, match="durability must be power or process, got 'disk'"):
        Store("sqlite://", durability="disk")
    assert setting_table.DURABILITIES == DURABILITIES


def test_keys_are_on_the_disk_before_they_have_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file first, then its name in the folder, and the folder's own name."""
    synced: list[tuple[str, int]] = []
    fsync, path = os.fsync, tmp_path / ".scheduler" / "keys.json"

    def noted(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    keys.save_keys({"APP_ID": "a"}, path)
    assert synced == [("folder", False), ("file", False), ("folder", True)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path) -> None:
    """Some file systems refuse; nothing more can be done there."""
    data_folder.sync_entries(tmp_path / "missing")
