"""A list of timers as CSV or JSON text: what `timers export` writes and `timers import` reads.

Lives here: columns, what a cell may hold, and which line is wrong. Never here: files, the store.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..core.timer import Environment, Timer, check_new, params_text
from ..core.triggers import DEFAULT_TZ, Cron, Every
from ..errors import TimerError

COLUMNS = (
    *("name", "function", "cron", "seconds", "environment", "enabled", "tz", "dst"),
    *("params", "limit_s", "misfire", "overlap", "delivery", "breaker", "jitter_s", "retries", "retry_backoff_s"),
)
#: Other names under which a column may come: those of `timers list --json`, of the options, and plain English.
SYNONYMS = {
    "every": "seconds",
    "every_s": "seconds",
    "interval": "seconds",
    "expression": "cron",
    "env": "environment",
    "limit": "limit_s",
    "timezone": "tz",
    "jitter": "jitter_s",
    "retry_backoff": "retry_backoff_s",
}
#: LeanCloud's own words for its environments, beside ours.
ENVIRONMENTS = {
    "production": Environment.PRODUCTION,
    "prod": Environment.PRODUCTION,
    "1": Environment.PRODUCTION,
    "生产环境": Environment.PRODUCTION,
    "stage": Environment.STAGE,
    "staging": Environment.STAGE,
    "0": Environment.STAGE,
    "预备环境": Environment.STAGE,
}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_COLUMN_OF_FIELD = {"expression": "cron", "every": "seconds", "breaker_threshold": "breaker"}
_FIELD_OF_COLUMN = {column: field for field, column in _COLUMN_OF_FIELD.items()}
_OF_TRIGGER = ("expression", "every", "tz", "dst")


class FileProblem(NamedTuple):
    """What is wrong with one line, and in which column, None where it is the line as a whole."""

    line: int
    column: str | None
    text: str

    def __str__(self) -> str:
        return f"line {self.line}{f', {self.column}' if self.column else ''}: {self.text}"


class TimerListError(TimerError):
    """A list of timers that cannot be taken; `problems` has every line that is wrong."""

    MOST_SHOWN = 20

    def __init__(self, problems: Iterable[FileProblem]) -> None:
        self.problems = sorted(problems, key=_place)
        more = len(self.problems) - self.MOST_SHOWN
        shown = [str(problem) for problem in self.problems[: self.MOST_SHOWN]]
        super().__init__("\n".join([*shown, f"and {more} more"] if more > 0 else shown))


def _place(problem: FileProblem) -> tuple[int, int]:
    column = problem.column
    return problem.line, COLUMNS.index(column) if column in COLUMNS else -1


class Listed(NamedTuple):
    """What stands on a line: the values that are sound by column, and the timer, None where not all are."""

    line: int
    values: Mapping[str, Any]
    timer: Timer | None

    @property
    def key(self) -> tuple[Environment, str] | None:
        """Under which the store would keep it, None where the line does not say so."""
        environment, name = self.values.get("environment"), self.values.get("name")
        return None if environment is None or name is None else (environment, name)


class TimerList(NamedTuple):
    """All lines of a list, and all that is wrong with them."""

    lines: list[Listed]
    problems: list[FileProblem]

    @property
    def timers(self) -> list[Timer]:
        """The timers; TimerListError where anything is wrong."""
        if self.problems:
            raise TimerListError(self.problems)
        return [listed.timer for listed in self.lines if listed.timer]


class _FileRow(NamedTuple):
    line: int
    values: Mapping[str, Any]


def read(text: str, *, environment: Environment, tz: str, limit_s: float) -> TimerList:
    """A list of timers: JSON where it begins with a bracket, else CSV with a header.

    `environment`, `tz` and `limit_s` are for lines that name none. TimerError for a text that is no list at all.
    """
    rows, problems = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    defaults = {"environment": environment, "tz": tz, "limit_s": limit_s, "params": {}}
    lines = []
    for row in rows:
        listed, faults = _listed(row, defaults)
        lines.append(listed)
        problems += faults
    return TimerList(lines, problems + _doubles(lines))


def as_csv(timers: Iterable[Timer]) -> str:
    """Timers as CSV with every column; what has no meaning for a timer is empty."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    # A blank at the beginning of a cell is kept only between quotes.
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(COLUMNS)
    for timer in timers:
        values = record(timer) | {"params": params_text(timer.params), "enabled": str(timer.enabled).lower()}
        cells = ["" if values[column] is None else str(values[column]) for column in COLUMNS]
        (quoted if any(cell[:1] == " " for cell in cells) else plain).writerow(cells)
    return text.getvalue()


def record(timer: Timer) -> dict[str, Any]:
    """A timer as one JSON object of a list."""
    trigger = timer.trigger
    cron, every = (trigger, None) if isinstance(trigger, Cron) else (None, trigger)
    return {
        "name": timer.name,
        "function": timer.function,
        "cron": cron and cron.expression,
        "seconds": every and every.seconds,
        "environment": timer.environment.value,
        "enabled": timer.enabled,
        "tz": cron and cron.tz,
        "dst": cron and cron.dst,
        "params": dict(timer.params),
        "limit_s": timer.limit_s,
        "misfire": timer.misfire.value,
        "overlap": timer.overlap.value,
        "delivery": timer.delivery.value,
        "breaker": timer.breaker_threshold,
        "jitter_s": timer.jitter_s,
        "retries": timer.retries,
        "retry_backoff_s": timer.retry_backoff_s,
    }


# From text to rows


def _csv_rows(text: str) -> tuple[list[_FileRow], list[FileProblem]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    rows: list[_FileRow] = []
    problems: list[FileProblem] = []
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, line)
            elif len(cells) > len(header):
                problems.append(FileProblem(line, None, f"{len(cells)} cells under {len(header)} columns"))
            else:
                filled = {column: cell for column, cell in zip(header, cells, strict=False) if cell.strip()}
                rows.append(_FileRow(line, filled))
    except csv.Error as error:
        raise TimerListError([FileProblem(reader.line_num, None, f"no CSV: {error}")]) from error
    if header is None:
        raise TimerError(f"the list is empty; its first line names the columns, as in {','.join(COLUMNS[:5])}")
    return rows, problems


def _header(cells: list[str], line: int) -> list[str]:
    columns = [_column(cell) for cell in cells]
    problems = [FileProblem(line, None, fault) for cell in cells if (fault := _unknown(cell))]
    problems += [
        FileProblem(line, None, f"the column {column!r} comes twice") for column in COLUMNS if columns.count(column) > 1
    ]
    if problems:
        raise TimerListError(problems)
    return columns


def _json_rows(text: str) -> tuple[list[_FileRow], list[FileProblem]]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise TimerListError([FileProblem(error.lineno, f"column {error.colno}", f"no JSON: {error.msg}")]) from error
    except RecursionError as error:
        raise TimerError("no JSON: it is nested too deeply") from error
    if not isinstance(values, list):
        raise TimerError('a list of timers in JSON is an array: [{"name": …, "function": …, "cron": …}]')
    rows, problems = [], []
    for line, value in _elements(text):
        if not isinstance(value, dict):
            problems.append(FileProblem(line, None, f"a timer is an object, not {json.dumps(value)[:40]}"))
            continue
        problems += [FileProblem(line, None, fault) for key in value if (fault := _unknown(key))]
        known = {_column(key): held for key, held in value.items() if held is not None}
        rows.append(_FileRow(line, {column: held for column, held in known.items() if column in COLUMNS}))
    return rows, problems


def _elements(text: str) -> Iterator[tuple[int, Any]]:
    """The elements of a JSON array that is known to be sound, each with the line on which it begins."""
    decoder = json.JSONDecoder()
    position, line, counted = text.index("[") + 1, 1, 0
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return
        line, counted = line + text.count("\n", counted, position), position
        value, position = decoder.raw_decode(text, position)
        yield line, value


def _column(name: str) -> str:
    name = name.strip().lower()
    return SYNONYMS.get(name, name)


def _unknown(name: str) -> str | None:
    if _column(name) in COLUMNS:
        return None
    close = difflib.get_close_matches(_column(name), (*COLUMNS, *SYNONYMS), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"columns are {', '.join(COLUMNS)}"
    return f"there is no column {name.strip()[:80]!r}; {hint}"


# From rows to timers


def _listed(row: _FileRow, defaults: Mapping[str, Any]) -> tuple[Listed, list[FileProblem]]:
    """A line, and everything that is wrong with it: what is wrong is left out, and the rest tried again."""
    values, problems = _parsed(row)
    values = {column: value for column, value in defaults.items() if column not in row.values} | values
    spoiled = {problem.column for problem in problems}
    timer = None
    while timer is None:
        try:
            timer = _built(values, spoiled)
        except TimerError as error:
            column = _COLUMN_OF_FIELD.get(error.field or "", error.field)
            problems.append(FileProblem(row.line, column, str(error)))
            if column in spoiled or column is None:
                break
            spoiled.add(column)
            values.pop(column, None)
    return Listed(row.line, values, None if problems else timer), problems


def _parsed(row: _FileRow) -> tuple[dict[str, Any], list[FileProblem]]:
    values: dict[str, Any] = {}
    problems = []
    for column, value in row.values.items():
        try:
            values[column] = _PARSERS[column](value)
        except ValueError as error:
            problems.append(FileProblem(row.line, column, str(error)))
    return values, problems


def _built(values: Mapping[str, Any], spoiled: Container[str | None]) -> Timer:
    """The timer of these values; something sound stands for what is spoiled."""
    fields = {_FIELD_OF_COLUMN.get(column, column): value for column, value in values.items()}
    options = {name: value for name, value in fields.items() if name not in _OF_TRIGGER}
    names = {name: "spoiled" if name in spoiled else "" for name in ("name", "function")}
    timer = Timer(trigger=_trigger(values, spoiled), **(names | options))
    check_new(timer)
    return timer


def _trigger(values: Mapping[str, Any], spoiled: Container[str | None]) -> Cron | Every:
    if "cron" in spoiled or "seconds" in spoiled:
        return Every(60)
    cron, seconds = values.get("cron"), values.get("seconds")
    if (cron is None) == (seconds is None):
        raise TimerError("a timer has a cron expression or a number of seconds: fill one of the two", field="cron")
    if seconds is not None:
        return Every(seconds)
    return Cron(str(cron), values.get("tz", DEFAULT_TZ), values.get("dst", "vixie"))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"it is a text, not {json.dumps(value)[:40]}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return int(value)
        except ValueError:
            pass
    raise ValueError(f"it is a whole number, not {value!r:.40}")


def _number(value: Any) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"it is a number of seconds, not {value!r:.40}")


def _truth(value: Any) -> bool:
    found = _TRUTH.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"it is true or false, not {value!r:.40}")
    return found


def _environment(value: Any) -> Environment:
    found = ENVIRONMENTS.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"it is production or stage, not {value!r:.40}")
    return found


def _params(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is a JSON object ({error})") from None


def _trimmed(value: Any) -> str:
    return _text(value).strip()


def _word(value: Any) -> str:
    return _trimmed(value).lower()


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "name": _text,
    "function": _text,
    "seconds": _whole,
    "environment": _environment,
    "enabled": _truth,
    "cron": _trimmed,
    "tz": _trimmed,
    "dst": _word,
    "params": _params,
    "limit_s": _number,
    "misfire": _word,
    "overlap": _word,
    "delivery": _word,
    "breaker": _whole,
    "jitter_s": _whole,
    "retries": _whole,
    "retry_backoff_s": _number,
}


def _doubles(lines: Iterable[Listed]) -> list[FileProblem]:
    first: dict[tuple[Environment, str], int] = {}
    problems = []
    for listed in lines:
        if (key := listed.key) is None:
            continue
        if key in first:
            environment, name = key
            text = f"{environment} has {name!r} twice, on line {first[key]} too"
            problems.append(FileProblem(listed.line, "name", text))
        first.setdefault(key, listed.line)
    return problems
