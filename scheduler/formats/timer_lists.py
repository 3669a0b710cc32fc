"""Lists of timers as CSV or JSON text, which `timers export` writes and `timers import` reads.

Lives here: lines, and the errors of each line. Never here: columns (timer_columns.py), files, the store, the checks of
attributes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from ..core.attributes import ATTRIBUTES
from ..core.environments import CONSOLE_WORDS
from ..core.options import json_fault
from ..core.timer import Environment, Timer
from ..core.timer_checks import check_new_names, check_roll
from ..core.trigger_kinds import choices, chosen_kind, listed
from ..core.triggers import Every, Trigger
from ..default_rules import LEANCLOUD_TZ
from ..errors import TimerError
from .list_problems import FileProblem, TimerListError
from .timer_columns import BUILT_IN, COLUMNS, Columns


class Listed(NamedTuple):
    """A line of a list: its valid values by column, and its timer; None if a value is invalid."""

    line: int
    values: Mapping[str, Any]
    timer: Timer | None
    names_zone: bool = True

    @property
    def key(self) -> tuple[Environment, str] | None:
        """The key of the timer in the store; None if the line lacks a part of it."""
        environment, name = self.values.get("environment"), self.values.get("name")
        return None if environment is None or name is None else (environment, name)


class TimerList(NamedTuple):
    """All lines of a list, and all their errors."""

    lines: list[Listed]
    problems: list[FileProblem]

    @property
    def timers(self) -> list[Timer]:
        """The timers; TimerListError if there is any error."""
        if self.problems:
            raise TimerListError(self.problems)
        return [listed.timer for listed in self.lines if listed.timer]


class _FileRow(NamedTuple):
    line: int
    values: Mapping[str, Any]


class _FileRows(NamedTuple):
    """The lines of a list by column, with unparsed cells."""

    columns: Columns
    rows: list[_FileRow]
    problems: list[FileProblem]


def read(text: str, *, environment: Environment, tz: str, limit_s: float) -> TimerList:
    """Parse a list of timers: JSON if it begins with a bracket, else CSV with a header.

    `environment`, `tz` and `limit_s` are the defaults of lines; but a line with the words of LeanCloud's console for
    its environment defaults to LeanCloud's zone. TimerError if the text cannot be parsed as a list.
    """
    text = text.lstrip("\ufeff")  # a file has two where a program added its own
    columns, rows, problems = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    defaults = {"environment": environment, "tz": tz, "limit_s": limit_s, "params": {}}
    lines = []
    on_line = Counter(row.line for row in rows)
    for row in rows:
        line, faults = _listed(columns, row, defaults | _of_console(row))
        lines.append(line)
        timer = line.values.get("name") if on_line[row.line] > 1 else None
        problems += [fault._replace(timer=timer) for fault in faults]
    return TimerList(lines, problems + _doubles(lines))


def _of_console(row: _FileRow) -> dict[str, Any]:
    """The defaults of a line that comes from LeanCloud's console."""
    environment = row.values.get("environment")
    is_of_console = isinstance(environment, str) and environment.strip() in CONSOLE_WORDS
    return {"tz": LEANCLOUD_TZ} if is_of_console else {}


#: A cell that a spreadsheet would compute is exported with a quote before it, which import removes.
_FORMULA = re.compile(r"\s*'*\s*[=+\-@\t\r]")
_QUOTED_FORMULA = re.compile(r"'" + _FORMULA.pattern)


def as_csv(timers: Sequence[Timer]) -> str:
    """Timers as CSV with every column; a cell that has no meaning for a timer is empty."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    # A blank at the beginning of a cell is preserved only in quotes.
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    columns = Columns.of_timers(timers)
    plain.writerow(columns.options)
    for timer in timers:
        values = _values(timer)
        cells = [option.cell(values[column]) if column in values else "" for column, option in columns.options.items()]
        cells = [f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells]
        (quoted if any(cell[:1] == " " for cell in cells) else plain).writerow(cells)
    return text.getvalue()


def as_object(timer: Timer) -> dict[str, Any]:
    """A timer as one JSON object of a list."""
    values = _values(timer) | {row.column: row.to_json(getattr(timer, row.name)) for row in ATTRIBUTES}
    return {column: values.get(column) for column in Columns.of_timers([timer]).options}


def _values(timer: Timer) -> dict[str, Any]:
    """The values of a timer by column."""
    given = timer.trigger.option_values()
    of_trigger = {option.column: given[option.name] for option in timer.trigger.options}
    of_trigger = {column: value for column, value in of_trigger.items() if value is not None}
    return of_trigger | {attribute.column: getattr(timer, attribute.name) for attribute in ATTRIBUTES}


# From text to rows


def _csv_rows(text: str) -> _FileRows:
    text, delimiter = _delimited(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[_FileRow] = []
    problems: list[FileProblem] = []
    columns = BUILT_IN
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            while cells and not cells[-1].strip():  # spreadsheets write empty columns, too
                cells.pop()
            if not cells:
                continue
            if header is None:
                columns = Columns.of_names(cells)
                header = _header(columns, cells, line)
            elif len(cells) > len(header):
                problems.append(FileProblem(line, None, f"{len(cells)} cells under {len(header)} columns"))
            else:
                read = [cell[1:] if _QUOTED_FORMULA.match(cell) else cell for cell in cells]
                filled = {column: cell for column, cell in zip(header, read, strict=False) if cell.strip()}
                rows.append(_FileRow(line, filled))
    except csv.Error as error:
        raise TimerListError([FileProblem(reader.line_num, None, f"invalid CSV: {error}")]) from error
    if header is None:
        raise TimerError(f"the list is empty; its first line names the columns, as in {','.join(COLUMNS[:5])}")
    return _FileRows(columns, rows, problems)


def _delimited(text: str) -> tuple[str, str]:
    """The text, and the delimiter of its cells: a comma, or the semicolon or tab that Excel writes in some countries.

    A line `sep=;`, which sets Excel's delimiter, becomes empty.
    """
    first = next((line for line in text.splitlines() if line.strip()), "").strip()
    if re.fullmatch(r'"?sep=.?"?', first, re.IGNORECASE):
        return text.replace(first, "", 1), first.strip('"')[4:] or "\t"
    if "," in first:
        return text, ","
    delimiter = next((delimiter for delimiter in ";\t" if delimiter in first), ",")
    if delimiter == "," and (found := re.search("[，；、|]", first)):
        raise TimerError(f"cells are separated by a comma, a semicolon or a tab, not by {found[0]}: {first:.60}")
    return text, delimiter


def _header(columns: Columns, cells: list[str], line: int) -> list[str]:
    header = [columns.column(cell) for cell in cells]
    problems = [FileProblem(line, None, fault) for cell in cells if (fault := columns.unknown(cell))]
    problems += [
        FileProblem(line, None, f"the column {column!r} comes twice")
        for column in columns.options
        if header.count(column) > 1
    ]
    if problems:
        raise TimerListError(problems)
    return header


_ARRAY = 'expected a JSON array of timers: [{"name": …, "function": …, "cron": …}]'


def _json_rows(text: str) -> _FileRows:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            raise TimerError(f"{_ARRAY}; put the objects into brackets, with commas between them") from error
        raise TimerListError(
            [FileProblem(error.lineno, f"column {error.colno}", f"invalid JSON: {error.msg}")]
        ) from error
    except RecursionError as error:
        raise TimerError("invalid JSON: nested too deeply") from error
    except ValueError as error:  # a number that Python does not read
        line = text.count("\n", 0, _too_long_number(text)) + 1
        raise TimerListError([FileProblem(line, None, f"invalid JSON: {json_fault(error)}")]) from error
    if not isinstance(values, list):
        raise TimerError(_ARRAY)
    columns = Columns.of_names({key for value in values if isinstance(value, dict) for key in value})
    rows: list[_FileRow] = []
    problems: list[FileProblem] = []
    for line, value in _elements(text):
        if not isinstance(value, _JsonObject):
            problems.append(FileProblem(line, None, f"expected a timer as an object, got {json.dumps(value)[:40]}"))
            continue
        problems += [FileProblem(line, None, fault) for key in value if (fault := columns.unknown(key))]
        problems += [FileProblem(line, None, fault) for fault in _doubled_keys(columns, value)]
        filled = {columns.column(key): held for key, held in value.items() if held is not None}
        rows.append(_FileRow(line, {column: held for column, held in filled.items() if column in columns.options}))
    return _FileRows(columns, rows, problems)


def _too_long_number(text: str) -> int:
    """The position of the first number with more digits than Python reads."""
    found = re.search(rf"\d{{{sys.get_int_max_str_digits() + 1}}}", text)
    return found.start() if found else 0


class _JsonObject(dict[str, Any]):
    """An object of a JSON text, with its keys that come twice; of those, a dict has the last value only."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.doubled = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]


def _doubled_keys(columns: Columns, value: _JsonObject) -> list[str]:
    """The errors about keys that come twice, and about several keys for one column."""
    params = value.get("params")
    doubled = [*value.doubled, *(params.doubled if isinstance(params, _JsonObject) else ())]
    faults = [f"the key {key!r:.80} comes twice" for key in doubled]
    keys = sorted(value, key=columns.column)
    for column, same in groupby(keys, key=columns.column):
        if column in columns.options and len(names := list(same)) > 1:
            faults.append(f"the keys {' and '.join(map(repr, names))} mean the same; keep one")
    return faults


def _elements(text: str) -> Iterator[tuple[int, Any]]:
    """The elements of a valid JSON array, each with the line on which it begins."""
    decoder = json.JSONDecoder(object_pairs_hook=_JsonObject)
    position, line, counted = text.index("[") + 1, 1, 0
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return
        line, counted = line + text.count("\n", counted, position), position
        value, position = decoder.raw_decode(text, position)
        yield line, value


# From rows to timers


def _listed(columns: Columns, row: _FileRow, defaults: Mapping[str, Any]) -> tuple[Listed, list[FileProblem]]:
    """A line and all its errors: an invalid value is left out, and the others are checked again."""
    values, problems = _read_cells(columns, row)
    values = {column: value for column, value in defaults.items() if column not in row.values} | values
    wrong = {problem.column for problem in problems}
    timer = None
    while timer is None:
        try:
            timer = _timer(columns, values, wrong)
        except TimerError as error:
            candidates = columns.of_fields.get(error.field or "", [error.field])
            column = next((name for name in candidates if name in values), candidates[0])
            problems.append(FileProblem(row.line, column, _without(column, str(error))))
            if column in wrong or column is None:
                break
            wrong.add(column)
            values.pop(column, None)
    if timer is not None and not _has_wrong_trigger(columns, wrong):
        problems += _of_other_kinds(columns, row, timer.trigger)
    return Listed(row.line, values, None if problems else timer, names_zone=_names_zone(row.values)), problems


def _of_other_kinds(columns: Columns, row: _FileRow, trigger: Trigger) -> list[FileProblem]:
    """The cells of options that the kind of a line's trigger lacks, as an interval has no time zone."""
    known = {option.name for option in trigger.options}
    noun = trigger.options[0].noun
    return [
        FileProblem(row.line, option.column, f"{noun} has no {option.noun or option.name}: leave it empty")
        for option in columns.of_triggers
        if option.column in row.values and option.name not in known
    ]


def _without(column: str | None, text: str) -> str:
    """An error without its column, which is shown before it."""
    return text.removeprefix(f"{column}: ")


def _names_zone(values: Mapping[str, Any]) -> bool:
    """Whether a line says in which zone its times are; each of several triggers may say so itself."""
    triggers = values.get("any_of")
    return "tz" in values or (isinstance(triggers, list) and all("tz" in one or "every" in one for one in triggers))


def _read_cells(columns: Columns, row: _FileRow) -> tuple[dict[str, Any], list[FileProblem]]:
    values: dict[str, Any] = {}
    problems = []
    for column, value in row.values.items():
        try:
            values[column] = columns.options[column].read(value)
        except ValueError as error:
            problems.append(FileProblem(row.line, column, _without(column, str(error))))
    return values, problems


def _timer(columns: Columns, values: Mapping[str, Any], wrong: Container[str | None]) -> Timer:
    """The timer of these values, with a placeholder for each required value that is invalid."""
    given = {row.name: values[row.column] for row in ATTRIBUTES if row.column in values}
    names = {name: "wrong" if name in wrong else "" for name in ("name", "function")}
    timer = Timer(trigger=_trigger(columns, values, wrong), **(names | given))
    check_new_names(timer.name, timer.function)
    check_roll(timer.roll, timer.calendar)
    return timer


def _has_wrong_trigger(columns: Columns, wrong: Container[str | None]) -> bool:
    """Whether the cell that selects the kind of trigger is invalid, so that the kind is not known."""
    return any(kind.options[0].column in wrong for kind in columns.kinds)


def _trigger(columns: Columns, values: Mapping[str, Any], wrong: Container[str | None]) -> Trigger:
    if _has_wrong_trigger(columns, wrong):
        return Every(60)
    given = {option.name: values[option.column] for option in columns.of_triggers if option.column in values}
    for option in columns.of_triggers:
        if option.column in values and given[option.name] is not values[option.column]:
            raise TimerError(
                f"the columns {' and '.join(columns.of_fields[option.name])} are both filled", field=option.name
            )
    kind = chosen_kind(given, columns.kinds)
    if kind is None:
        raise TimerError(
            f"a timer has {listed([option.noun for option in choices(columns.kinds)], 'or')}: "
            f"fill one of the columns {listed([kind.options[0].column for kind in columns.kinds], 'and')}",
            field=columns.kinds[0].options[0].name,
        )
    return kind.from_options(given)


def _doubles(lines: Iterable[Listed]) -> list[FileProblem]:
    first: dict[tuple[Environment, str], int] = {}
    problems = []
    for line in lines:
        if (key := line.key) is None:
            continue
        if key in first:
            environment, name = key
            where = "on this line" if first[key] == line.line else f"on line {first[key]} too"
            text = f"{environment} has {name!r} twice, {where}"
            problems.append(FileProblem(line.line, "name", text))
        first.setdefault(key, line.line)
    return problems
