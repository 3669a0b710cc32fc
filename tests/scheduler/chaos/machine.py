"""Carries a plan of faults out on a field, waits until timers fire on time again, ends everything, and judges.

A run that fails raises ChaosError, which shows the seed, the faults with their times, and the offending rows.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from tests.scheduler.chaos import oracle
from tests.scheduler.chaos.editor import Editor
from tests.scheduler.chaos.faults import Kind
from tests.scheduler.chaos.field import Field
from tests.scheduler.chaos.oracle import Account, Row
from tests.scheduler.chaos.plan import Fault
from tests.scheduler.chaos.timetable import HEALTHY
from tests.scheduler.up_process import cli, curl
from tests.waiting import PATIENCE_S, eventually, slowdown, slowed

#: How late a healthy timer may be after the last fault.
ON_TIME_S = 1.0
#: How many times longer than on an idle machine the return may take at most: a timer that is dead is found soon.
_MOST_SLOWDOWN = 4.0
#: The most findings that are shown, and lines of each log.
_MOST_FINDINGS, _MOST_LINES = 12, 25


class ChaosError(AssertionError):
    """A promise was broken; the text shows how to see it again."""


@dataclass(slots=True)
class Report:
    """What happened in a run so far."""

    seed: int
    faults: list[str] = field(default_factory=list)
    #: After how many seconds every healthy timer was on time again, for each round of faults.
    returns_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    outcomes: Counter[str] = field(default_factory=Counter)
    #: How many timers with a bound of runs came to it.
    finished: int = 0

    def __str__(self) -> str:
        account = self.account
        return (
            f"seed {self.seed}: {len(self.faults)} faults; due {account.due}, fired {account.begun}, "
            f"passed over {account.passed_over}, doubled {account.count(*oracle.DOUBLED_RULES)}, "
            f"lost {account.count(*oracle.LOST_RULES)}; on time again after {max(self.returns_s, default=0):.1f} s; "
            f"{self.finished} came to their last run; {dict(self.outcomes)}"
        )


class _GoingOn(NamedTuple):
    """A fault that was made, and when it ends."""

    ends_at: float
    number: int
    resource: str
    made: contextlib.ExitStack


class Machine:
    """One run: rounds of faults on a field, and what was seen."""

    def __init__(self, play: Field, kinds: Mapping[str, Kind], editor: Editor, seed: int) -> None:
        self._field, self._kinds, self._editor = play, kinds, editor
        self.report = Report(seed)
        self._most_ahead_s = 0.0
        #: When the last round of faults was over.
        self._since = 0.0

    def round(self, faults: Sequence[Fault], seed: int, *, seconds: float) -> None:
        """Make the faults while timers are changed; then wait until healthy timers are on time, and ask the doctor."""
        self._editor.start(seed)
        try:
            self._make(faults, seconds)
        finally:
            self._editor.stop()
            for member in self._field.members:
                member.join()
        self._since = time.time()
        self._wait_for_return(self._since)
        self._wait_for_outcomes(self._since)
        self._wait_until_ready()
        self._call_over_http()
        self._ask_doctor()

    def end(self) -> Report:
        """End everything with SIGTERM, and compare what was due with what happened."""
        stopped_at = time.time_ns() // 1000
        self._field.stop()
        self._check_left_over()
        self._check_rows(stopped_at)
        self._raise_if_broken()
        return self.report

    def _make(self, faults: Sequence[Fault], seconds: float) -> None:
        """Begin and end each fault at its time."""
        began_at = time.monotonic()
        going_on: list[_GoingOn] = []
        waiting = list(faults)
        with contextlib.ExitStack() as whatever_goes_on:
            while waiting or going_on:
                begin_at = waiting[0].at_s if waiting else inf
                end_at = going_on[0].ends_at if going_on else inf
                time.sleep(max(0.0, min(begin_at, end_at) - (time.monotonic() - began_at)))
                self._revive()
                if end_at <= begin_at:
                    heapq.heappop(going_on).made.close()
                    continue
                fault, made = waiting.pop(0), contextlib.ExitStack()
                self._end_those_of(self._resource(fault), going_on)
                whatever_goes_on.push(made)
                self._begin(fault, made)
                now = time.monotonic() - began_at
                heapq.heappush(going_on, _GoingOn(now + fault.lasts_s, fault.number, self._resource(fault), made))
        time.sleep(max(0.0, seconds - (time.monotonic() - began_at)))

    def _resource(self, fault: Fault) -> str:
        return self._kinds[fault.kind].range.resource_of(fault.target)

    def _end_those_of(self, resource: str, going_on: list[_GoingOn]) -> None:
        """End the fault of a resource that goes on, because it began late."""
        for other in [other for other in going_on if resource and other.resource == resource]:
            other.made.close()
            going_on.remove(other)
        heapq.heapify(going_on)

    def _begin(self, fault: Fault, made: contextlib.ExitStack) -> None:
        at = f"{time.strftime('%H:%M:%S')} {fault}"
        try:
            made.enter_context(self._kinds[fault.kind].make(self._field, fault))
        except Exception as error:
            # Another fault may keep this one from being made: a file that is away cannot be locked.
            at += f" (not made: {type(error).__name__}: {str(error)[:100]})"
        self.report.faults.append(at)
        ahead_s = max((self._field.clock(number) for number in range(len(self._field.daemons))), default=0.0)
        self._most_ahead_s = max(self._most_ahead_s, ahead_s)

    def _wait_for_return(self, since: float) -> None:
        """Every healthy timer begins on time again, within the bound."""
        # A fire time that a daemon whose clock was ahead has claimed already does not come again.
        bound_s = self._bound_s(self._field.return_s) + self._most_ahead_s
        names = {entry.name for entry in HEALTHY}
        back: dict[str, float] = {}
        # Others of the last seconds are read again.
        already = max(0, len(self._field.notes()) - 2_000)

        def look() -> bool:
            self._revive()
            for note in self._field.notes()[already:]:
                at = note.at / 1e6
                is_on_time = at - note.fire_at / 1e6 <= slowed(ON_TIME_S)
                if note.word == "begin" and at >= since and is_on_time and note.timer in names:
                    back.setdefault(note.timer, at - since)
            return back.keys() >= names

        try:
            eventually(look, within_s=bound_s)
        except AssertionError:
            self._break(f"not on time again {bound_s:.1f} s after the last fault: {sorted(names - back.keys())}")
        self.report.returns_s.append(max(back.values(), default=bound_s))
        self._raise_if_broken()

    def _wait_for_outcomes(self, since: float) -> None:
        """Whatever a daemon had claimed before the last fault ended has an outcome, within the bound."""

        def still_open() -> list[Row]:
            rows = [row for row in self._field.rows() if row.outcome is None and row.fire_at < since * 1e6]
            # Others wait for runs of their timer.
            return [row for row in rows if row.owner is not None]

        try:
            eventually(still_open, lambda seen: not seen, within_s=self._bound_s(self._field.outcomes_s))
        except AssertionError as error:
            self._break(f"claimed before the last fault ended, and still without an outcome: {error}")
        self._raise_if_broken()

    def _bound_s(self, seconds: float) -> float:
        """A bound of time on this machine as it is now, but not as long as a very busy one would need."""
        return seconds * min(slowdown(), _MOST_SLOWDOWN)

    def _revive(self) -> None:
        for member in self._field.members:
            member.revive()

    def _wait_until_ready(self) -> None:
        """Every member is up."""

        def waited_for() -> list[str]:
            self._revive()
            return [member.name for member in self._field.members if not member.is_ready()]

        try:
            eventually(waited_for, lambda seen: not seen, within_s=self._bound_s(PATIENCE_S))
        except AssertionError as error:
            self._break(f"not ready: {error}")
        self._raise_if_broken()

    def _call_over_http(self) -> None:
        """Every `scheduler up` answers."""
        for member in self._field.ups:
            call = json.loads(member.first_line)["call"]

            def answer(call: str = call) -> tuple[int, str]:
                try:
                    return curl(call, instead="hello")
                except (OSError, HTTPException) as error:
                    return 0, str(error)

            try:
                # One that does not answer is replaced after five seconds.
                eventually(answer, lambda seen: seen == (200, '{"result":"hello"}'), within_s=self._bound_s(15.0))
            except AssertionError as error:
                self._break(f"{member.name} does not answer over HTTP: {error}")
        self._raise_if_broken()

    def _ask_doctor(self) -> None:
        """`scheduler doctor` finds no error, once every member is up."""
        words = ("doctor", "--target", "cloud.py", "--store", self._field.url, "--json")

        def is_wrong(finding: dict[str, Any]) -> bool:
            # The disk of a test is small, which the doctor rightly says.
            return not finding["ok"] and finding["name"] != "disk"

        def errors() -> list[str]:
            answer = cli(self._field.folder, *words)
            assert answer.stdout, f"the doctor says nothing: {answer.stderr}"
            findings = json.loads(answer.stdout)
            return [f"{finding['name']}: {finding['text']}" for finding in findings if is_wrong(finding)]

        try:
            # A timer may be overdue by a moment on a busy machine.
            eventually(errors, lambda seen: not seen, within_s=self._bound_s(10.0))
        except AssertionError as error:
            self._break(f"the doctor finds errors although all is well: {error}")
        self._raise_if_broken()

    def _check_left_over(self) -> None:
        try:
            eventually(lambda: not self._field.left_over(), within_s=self._bound_s(10.0))
        except AssertionError:
            names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self._field.left_over()]
            self._break(f"processes are left over: {names}")

    def _check_rows(self, stopped_at: int) -> None:
        for name in self._editor.timetable.most_runs.keys() - self._editor.timetable.finished:
            self._editor.look_for_the_end(name)
        self.report.finished = len(self._editor.timetable.finished)
        next_fires = self._field.next_fires()
        horizon = {}
        for name in {phase.timer for phase in self._editor.timetable.phases}:
            next_fire = next_fires.get(name, stopped_at)
            if next_fire < stopped_at - slowed(self._field.return_s) * 1_000_000:
                self._break(f"{name} was due for {(stopped_at - next_fire) / 1e6:.1f} s and not claimed")
            horizon[name] = min(next_fire - 1, stopped_at - 500_000)
        rows = self._field.rows()
        self.report.outcomes = Counter(str(row.outcome) for row in rows)
        self.report.account = oracle.compare(
            self._editor.timetable,
            rows,
            self._field.notes(),
            horizon=horizon,
            ahead=round(self._most_ahead_s * 1e6),
            # Daemons do not wait for a fleet.
            settled=self._since * 1e6 if self._field.broker else inf,
        )

    def _break(self, text: str) -> None:
        self.report.broken.append(text)

    def _raise_if_broken(self) -> None:
        broken = [*self.report.broken, *self._field.all_violations()]
        findings = self.report.account.findings
        if broken or findings:
            raise ChaosError(self._text(broken))

    def _text(self, broken: list[str]) -> str:
        findings = self.report.account.findings
        parts = [str(self.report), f"again with: SCHEDULER_CHAOS_SEED={self.report.seed}", *broken]
        parts += [*self._open_rows(), "", "faults:", *self.report.faults, "", "changes:", *self._editor.log[-40:], ""]
        for rule, timer, fire_at, evidence in findings[:_MOST_FINDINGS]:
            parts += [f"{timer} at {fire_at}: {rule}", *(f"    {item}" for item in evidence)]
        if len(findings) > _MOST_FINDINGS:
            parts.append(f"and {len(findings) - _MOST_FINDINGS} more: {Counter(found.rule for found in findings)}")
        for member in self._field.members:
            parts += ["", f"{member.name}:", *member.log()[-_MOST_LINES:]]
        return "\n".join(parts)

    def _open_rows(self) -> list[str]:
        """The last row of each timer, and those without an outcome."""
        with contextlib.suppress(Exception):
            rows = self._field.rows()
            last = {row.timer: row for row in rows}.values()
            still_open = [row for row in rows if row.outcome is None]
            return ["", "open:", *map(str, still_open[-_MOST_LINES:]), "", "last:", *map(str, last)]
        return ["the history cannot be read"]


def wait_until_all_fire(play: Field) -> None:
    """Wait until every healthy timer has begun once."""
    names = {entry.name for entry in HEALTHY}
    eventually(lambda: {note.timer for note in play.notes()}, lambda seen: seen >= names, within_s=slowed(PATIENCE_S))
