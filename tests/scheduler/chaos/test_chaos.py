"""Daemons, `scheduler up` and a Celery fleet under random faults that overlap, on each store.

SCHEDULER_CHAOS_SEED=n      draws the same faults again
SCHEDULER_CHAOS_ONLY=0,3    makes only these of them
SCHEDULER_CHAOS_TRIES=8     looks for fewer faults that fail too, in so many further runs

The long form goes on for SCHEDULER_CHAOS_MINUTES, 30 unless it says otherwise, in rounds, and watches how memory,
descriptors, threads and processes grow.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.scheduler.chaos import faults
from tests.scheduler.chaos.editor import Editor
from tests.scheduler.chaos.faults import NOT_YET, Kind
from tests.scheduler.chaos.field import Field
from tests.scheduler.chaos.machine import ChaosError, Machine, Report, wait_until_all_fire
from tests.scheduler.chaos.plan import Fault, Range, drawn, shortened
from tests.scheduler.chaos.soak import Soak
from tests.scheduler.chaos.timetable import DEEDS
from tests.scheduler.fault_scale import IS_LONG, scaled
from tests.scheduler.postgres_server import Server

pytestmark = pytest.mark.faults

#: Seconds of faults in a round, and how many begin in a second.
ROUND_S, PER_SECOND = scaled(10.0, 40.0), scaled(1.6, 0.8)
TARGETS = 2
MINUTES = float(os.environ.get("SCHEDULER_CHAOS_MINUTES", "30"))
TRIES = int(os.environ.get("SCHEDULER_CHAOS_TRIES", "0"))
# Read now, because each test begins without settings of ours in the environment.
SEED, ONLY = os.environ.get("SCHEDULER_CHAOS_SEED"), os.environ.get("SCHEDULER_CHAOS_ONLY")
#: What Celery's own processes do not survive: they trust what comes through their pipes.
NOT_IN_A_FLEET = {"write_everywhere"}


class Setting(NamedTuple):
    """What is broken: a field of so many members of each sort, in a folder, and the kinds of faults."""

    field: Callable[[Path], AbstractContextManager[Field]]
    kinds: dict[str, Kind]
    members: dict[str, int]
    deeds: list[str]

    def ranges(self) -> dict[str, Range]:
        return {name: kind.long_range if IS_LONG else kind.range for name, kind in self.kinds.items()}

    def drawn(self, seed: int) -> list[Fault]:
        """The faults of a seed, or those of them that are asked for."""
        planned = drawn(seed, self.ranges(), seconds=ROUND_S, targets=TARGETS, per_second=PER_SECOND)
        numbers = {int(word) for word in ONLY.split(",") if word} if ONLY is not None else None
        return [fault for fault in planned if numbers is None or fault.number in numbers]


def setting(
    field: Callable[[Path], AbstractContextManager[Field]],
    *tables: Mapping[str, Kind],
    leave_out: set[str] = frozenset(),  # type: ignore[assignment]
    **members: int,
) -> Setting:
    """A setting with the kinds of these tables, without those that the service does not survive yet."""
    kinds = {name: kind for table in tables for name, kind in table.items()}
    left_out = leave_out | NOT_YET.keys()
    return Setting(
        field,
        {name: kind for name, kind in kinds.items() if name not in left_out},
        members,
        [deed for deed in DEEDS if deed not in left_out],
    )


def check(setting: Setting, folder: Path) -> None:
    """Make faults and judge; where it fails, look for fewer faults with which it does, if that is asked for."""
    seed = int(SEED or random.randrange(1_000_000))
    planned = setting.drawn(seed)
    numbers = iter(range(1_000))

    def fails(some: Sequence[Fault]) -> bool:
        try:
            run(setting, folder / f"again-{next(numbers)}", seed, some)
        except ChaosError:
            return True
        return False

    try:
        run(setting, folder / "first", seed, planned)
    except ChaosError as error:
        if not TRIES or IS_LONG:
            raise
        fewer = ",".join(str(fault.number) for fault in shortened(planned, fails, tries=TRIES))
        raise ChaosError(f"fails with fewer faults, too: SCHEDULER_CHAOS_ONLY={fewer}\n{error}") from error


def run(setting: Setting, folder: Path, seed: int, planned: Sequence[Fault]) -> Report:
    """Start members and make rounds of faults, one or for minutes; end everything, and judge."""
    folder.mkdir()
    with setting.field(folder) as field:
        editor = Editor(field.store, field.notes_file, setting.deeds)
        editor.add_all()
        field.start(**setting.members)
        field.wait_until_ready()
        wait_until_all_fire(field)
        machine = Machine(field, setting.kinds, editor, seed)
        soak = Soak(field.members)
        until = time.monotonic() + MINUTES / 3 * 60
        machine.round(planned, seed, seconds=ROUND_S)
        while IS_LONG and time.monotonic() < until:
            seed += 1
            machine.round(setting.drawn(seed), seed, seconds=ROUND_S)
        grown = soak.stop()
        report = machine.end()
    print(f"\n{report}", *grown[:12], sep="\n    ")
    assert [growth for growth in grown if growth.an_hour > growth.most_an_hour] == []
    return report


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of 32 megabytes, None without the right to mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={scaled(32, 256)}m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def field_on_file(folder: Path) -> Iterator[Field]:
    """Members on a SQLite file, on a small disk where one can be mounted."""
    with small_disk(folder / "disk") as disk:
        field = Field(f"sqlite:///{(disk or folder) / 'a.db'}", folder, disk=disk)
        try:
            yield field
        finally:
            field.close()


def fields_on(server: Server, *, broker: str = "") -> Callable[[Path], AbstractContextManager[Field]]:
    """Members on a database of a server."""

    @contextmanager
    def field_on_server(folder: Path) -> Iterator[Field]:
        with server.database() as url:
            field = Field(url, folder, server=server, broker=broker)
            try:
                yield field
            finally:
                field.close()

    return field_on_server


def test_sqlite(tmp_path: Path) -> None:
    """Three daemons and a `scheduler up` on a file that other programs lock, read for long, move and compact."""
    check(setting(field_on_file, faults.PROCESSES, faults.UPS, faults.SQLITE, daemons=3, ups=1), tmp_path)


def test_postgresql(tmp_path: Path, postgres: Server) -> None:
    """The same on a server that stands still, restarts, cuts connections, and whose tables are locked."""
    tables = (faults.PROCESSES, faults.UPS, faults.POSTGRESQL)
    check(setting(fields_on(postgres), *tables, daemons=2, ups=1), tmp_path)


def test_fleet(tmp_path: Path, postgres: Server) -> None:
    """Two daemons and two workers of a Celery fleet, whose broker is the store."""
    pytest.importorskip("celery")
    pytest.importorskip("pgmq")
    tables = (faults.PROCESSES, faults.FLEETS, faults.POSTGRESQL)
    fields = fields_on(postgres, broker="pgmq://")
    check(setting(fields, *tables, leave_out=NOT_IN_A_FLEET, daemons=2, fleet=2), tmp_path)
