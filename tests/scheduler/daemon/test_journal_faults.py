"""The -wal and -shm of a SQLite store are deleted under running daemons, which are killed afterwards."""

from pathlib import Path

import pytest

from tests.scheduler.daemon_processes import account, daemon_group
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("daemons", [1, 2])
@pytest.mark.parametrize("which", [("wal",), ("shm",), ("wal", "shm")], ids="-".join)
def test_nothing_is_lost_or_doubled(daemons: int, which: tuple[str, ...], tmp_path: Path) -> None:
    """What was committed before and after is in the file that the next daemon opens."""
    file = tmp_path / "store.db"
    with daemon_group(str(file), tmp_path) as group:
        group.add(5)
        group.start(daemons)
        for _ in range(2):
            count = len(group.notes())
            eventually(lambda seen=count: len(group.notes()) >= seen + 10)  # type: ignore[misc]
            for name in which:
                file.with_name(f"{file.name}-{name}").unlink(missing_ok=True)
        count = len(group.notes())
        eventually(lambda: len(group.notes()) >= count + 10)
        for daemon in group.daemons:
            daemon.kill()
            daemon.communicate(timeout=PATIENCE_S)
        group.daemons.clear()
        group.start(1)
        end = group.end()
        result = account(group, end)
    assert (result.doubled, result.lost) == (0, 0)
