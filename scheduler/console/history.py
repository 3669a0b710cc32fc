"""Queries for pages: the strips of timers, the last lines of a run, the number of failing timers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, text

from ..core.run import Line, Run
from ..store.database import Store
from ..store.log_lines import LinePosition
from ..store.rows import line_of, run_of
from ..store.schema import TROUBLED, lines, runs, timers
from ..store.timer_pages import TimerKey

MAX_LINES_OF_RUN = 600


def latest_runs(store: Store, keys: Sequence[TimerKey], *, each: int, look_at: int) -> dict[TimerKey, list[Run]]:
    """The latest runs of these timers, oldest first, among the newest rows of a table that has no index by timer."""
    found: dict[TimerKey, list[Run]] = {key: [] for key in keys}
    if not keys:
        return found
    with store.reading() as connection:
        highest = connection.execute(select(func.max(runs.c.id))).scalar() or 0
        names = [key.name for key in keys]
        query = select(runs).where(runs.c.id > highest - look_at, runs.c.timer.in_(names)).order_by(runs.c.id.desc())
        for row in connection.execute(query):
            of_timer = found.get(TimerKey(row.environment, row.timer))
            if of_timer is not None and len(of_timer) < each:
                of_timer.append(run_of(row))
    return {key: of_timer[::-1] for key, of_timer in found.items()}


def lines_of_run(store: Store, run_id: int) -> tuple[list[Line], bool]:
    """The last lines of a run, oldest first, and whether there are earlier ones."""
    query = select(lines).where(lines.c.run_id == run_id).order_by(lines.c.id.desc()).limit(MAX_LINES_OF_RUN + 1)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [line_of(row) for row in rows[:MAX_LINES_OF_RUN]][::-1], len(rows) > MAX_LINES_OF_RUN


def count_in_trouble(store: Store) -> int:
    """The number of timers whose last run failed, or whose breaker is open; an index contains exactly these."""
    with store.reading() as connection:
        query = select(func.count()).select_from(timers).where(text(f"({TROUBLED})"))
        return int(connection.execute(query).scalar_one())


# Positions in addresses


def key_text(key: TimerKey) -> str:
    """A timer in an address or a form: `production:report`."""
    return f"{key.environment}:{key.name}"


def key_of(given: str | None) -> TimerKey | None:
    """The timer of a `key_text`; None if it is invalid."""
    environment, colon, name = (given or "").partition(":")
    return TimerKey(environment, name) if colon and environment in ("production", "stage") else None


def position_text(position: LinePosition) -> str:
    """A position among log lines in an address: `120-34`."""
    return f"{position.run_line}-{position.call_line}"


def position_of(given: str | None) -> LinePosition | None:
    """The position of a `position_text`; None if it is invalid."""
    parts = (given or "").split("-")
    if len(parts) == 2 and all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        return LinePosition(int(parts[0]), int(parts[1]))
    return None
