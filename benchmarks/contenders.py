"""The other calculators: for each a function that returns its next-fire function for an expression, or None.

A contender that is not installed is left out, and the report lists it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

Ask = Callable[[datetime], object]


class Question(NamedTuple):
    """An expression as Quartz writes it, and as five-field cron does if it can."""

    name: str
    quartz: str
    crontab: str | None


QUESTIONS = [
    Question("every second", "* * * * * ?", None),
    Question("every 5 minutes", "0 0/5 * * * ?", "*/5 * * * *"),
    Question("weekdays 9-17, half-hourly", "0 0/30 9-17 ? * MON-FRI", "*/30 9-17 * * mon-fri"),
    Question("daily 8:00", "0 0 8 * * ?", "0 8 * * *"),
    Question("MON 8:00", "0 0 8 ? * MON", "0 8 * * mon"),
    Question("1st", "0 0 8 1 * ?", "0 8 1 * *"),
    Question("L", "0 0 8 L * ?", "0 8 L * *"),
    Question("LW", "0 0 8 LW * ?", "0 8 LW * *"),
    Question("15W", "0 0 8 15W * ?", None),
    Question("6#3", "0 0 8 ? * 6#3", "0 8 * * 5#3"),
    Question("FRIL", "0 0 8 ? * FRIL", "0 8 * * 5L"),
    Question("29 February", "0 0 8 29 2 ?", "0 8 29 2 *"),
    Question("year 2090", "0 0 8 1 1 ? 2090", None),
    Question("MON#5 in February", "0 0 8 ? 2 MON#5", "0 8 * 2 1#5"),
]
#: Compared with Java alone: most others search for it until they give up.
NEVER = Question("30 February", "0 0 8 30 2 ?", None)


def croniter(question: Question, zone: tzinfo | None) -> Ask | None:
    """croniter, through its generator object as in its manual."""
    from croniter import croniter as iterator

    six = {"every second": "* * * * * *", "year 2090": "0 8 1 1 * 0 2090"}.get(question.name, question.crontab)
    if six is None or not iterator.is_valid(six):
        return None
    cron = iterator(six, datetime(2026, 1, 1, tzinfo=zone), max_years_between_matches=100)
    return lambda after: cron.get_next(datetime, start_time=after)


def cronsim(question: Question, zone: tzinfo | None) -> Ask | None:
    """cronsim has no next-after: an object is made for each start, as in its manual."""
    from cronsim import CronSim, CronSimError

    text = {"every second": "* * * * * *", "6#3": "0 8 * * fri#3", "MON#5 in February": "0 8 * 2 mon#5"}.get(
        question.name, question.crontab
    )
    if text is None:
        return None
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=zone)))
    except (CronSimError, StopIteration):
        return None
    return lambda after: next(CronSim(text, after))


def apscheduler(question: Question, zone: tzinfo | None) -> Ask | None:
    """APScheduler 3's CronTrigger, which has no naive times: it gets UTC instead."""
    from apscheduler.triggers.cron import CronTrigger

    words: dict[str, dict[str, str]] = {
        "every second": {"second": "*"},
        "every 5 minutes": {"minute": "*/5"},
        "weekdays 9-17, half-hourly": {"hour": "9-17", "minute": "*/30", "day_of_week": "mon-fri"},
        "daily 8:00": {"hour": "8"},
        "MON 8:00": {"hour": "8", "day_of_week": "mon"},
        "1st": {"hour": "8", "day": "1"},
        "L": {"hour": "8", "day": "last"},
        "6#3": {"hour": "8", "day": "3rd fri"},
        "FRIL": {"hour": "8", "day": "last fri"},
        "29 February": {"hour": "8", "day": "29", "month": "2"},
        "year 2090": {"hour": "8", "day": "1", "month": "1", "year": "2090"},
        "MON#5 in February": {"hour": "8", "day": "5th mon", "month": "2"},
    }
    if question.name not in words:
        return None
    trigger = CronTrigger(**{"minute": "0", "second": "0", **words[question.name]}, timezone=zone or UTC)
    if zone is None:
        return lambda after: trigger.get_next_fire_time(None, after.replace(tzinfo=UTC))
    return lambda after: trigger.get_next_fire_time(None, after)


def croniter_rs(question: Question, zone: tzinfo | None) -> Ask | None:
    """croniter in Rust. It drops the zone of a time, so its New York is naive too."""
    from croniter_rs import CroniterError
    from croniter_rs import croniter as iterator

    text = {
        "every second": "* * * * * *",
        "year 2090": "0 8 1 1 * 0 2090",
        "FRIL": "0 8 * * L5",
    }.get(question.name, question.crontab)
    if text is None:
        return None
    try:
        cron = iterator(text, datetime(2026, 1, 1, tzinfo=zone))
    except CroniterError:
        return None
    return lambda after: cron.get_next(datetime, after)


def cronexpr(question: Question, _zone: tzinfo | None) -> Ask | None:
    """The C library, called without its binding's wrapper. It has no zones, and parses the text at each call."""
    from _ccronexpr import cron_next

    text = {"year 2090": "0 0 8 1 1 * 2090", "every second": "* * * * * *", "15W": "0 0 8 15W * *"}.get(question.name)
    text = text or f"0 {question.crontab}"
    try:
        cron_next(text, datetime(2026, 1, 1))
    except (RuntimeError, ValueError):
        return None
    return lambda after: cron_next(text, after)


#: Name, required module, the function above, and the factor by which it has to be slower.
CONTENDERS = [
    ("croniter", "croniter", croniter, 60),
    ("cronsim", "cronsim", cronsim, 50),
    ("APScheduler", "apscheduler", apscheduler, 30),
    ("croniter-rs", "croniter_rs", croniter_rs, 5),
    ("cronexpr (C)", "_ccronexpr", cronexpr, 6),
]
INSTALLED = [row for row in CONTENDERS if find_spec(row[1])]

JARS = [Path("/usr/share/java") / name for name in ("quartz2.jar", "slf4j-api.jar", "slf4j-nop.jar")]


class Java:
    """A JVM on this core that measures Quartz on request, and otherwise waits."""

    def __init__(self, process: subprocess.Popen[str], starts: list[datetime]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask, self._answers = process.stdin, process.stdout
        self._ask.write(" ".join(str(int(time.timestamp() * 1000)) for time in starts) + "\n")

    def seconds(self, question: Question, zone: str, budget_s: float) -> float:
        """Seconds of processor time per getTimeAfter, the mean over the budget."""
        self._ask.write(f"{zone}\t{int(budget_s * 1000)}\t{question.quartz}\n")
        self._ask.flush()
        return float(self._answers.readline()) * 1e-9


@contextmanager
def java(starts: list[datetime]) -> Iterator[Java | None]:
    """Compile the harness and run it; None if there is no JDK or no Quartz."""
    if not shutil.which("javac") or not all(jar.exists() for jar in JARS):
        yield None
        return
    path = ":".join(map(str, JARS))
    source = Path(__file__).with_name("QuartzBench.java")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-cp", path, "-d", folder, str(source)], check=True)
        command = ["java", "-XX:+UseSerialGC", "-cp", f"{folder}:{path}", "QuartzBench"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                yield Java(process, starts)
            finally:
                process.kill()
