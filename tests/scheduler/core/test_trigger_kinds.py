"""The table of trigger kinds, and a kind that another package adds by a real entry point, in every form of a timer."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import update

from scheduler.cli import program
from scheduler.core.intervals import seconds_of
from scheduler.core.timer import Environment, Timer
from scheduler.core.trigger_kinds import TRIGGERS, UnreadableTrigger, plugins, read_trigger, trigger_kind
from scheduler.core.triggers import Cron, Every, Trigger
from scheduler.engine import Engine
from scheduler.errors import TimerError
from scheduler.formats import timer_columns, timer_lists
from scheduler.functions.declarations import declared_timers
from scheduler.store.database import Store
from scheduler.store.schema import timers
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.scripted_service import START, Service

PLUGIN = '''
"""A trigger that fires at certain minutes of every hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from scheduler.timer import TZ, Trigger, TriggerOption

MINUTE = timedelta(minutes=1)


def read(value):
    if not all(part.isdigit() for part in str(value).split(",")):
        raise ValueError(f"expected a list of minutes, got {value!r}")
    return str(value)


@dataclass(frozen=True, slots=True)
class Minutes(Trigger):
    kind: ClassVar[str] = "minutes"
    options: ClassVar[tuple[TriggerOption, ...]] = (
        TriggerOption(
            name="minutes",
            column="at_minutes",
            key="minutes",
            flag="--minutes",
            read=read,
            metavar="LIST",
            help="Fire at these minutes of every hour.",
            synonyms=("minutes",),
            noun="a list of minutes",
            example="5,25",
        ),
        TZ,
    )

    minutes: str
    tz: str = "UTC"

    def next_fire(self, after):
        at = after.replace(second=0, microsecond=0) + MINUTE
        while str(at.minute) not in self.minutes.split(","):
            at += MINUTE
        return at

    def prev_fire(self, before):
        at = before.replace(second=0, microsecond=0)
        while at >= before or str(at.minute) not in self.minutes.split(","):
            at -= MINUTE
        return at

    def count(self, start, end):
        fires, at = 0, self.next_fire(start - timedelta(microseconds=1))
        while at < end:
            fires, at = fires + 1, self.next_fire(at)
        return fires

    def __str__(self):
        return f"at the minutes {self.minutes}"


class Nameless(Minutes):
    pass


class Greedy(Minutes):
    kind = "greedy"
    options = (TriggerOption(name="every", flag="--every"),)


class Taking(Minutes):
    kind = "taking"
    options = (TriggerOption(name="limit_s", flag="--limit"),)


class Empty(Minutes):
    kind = "empty"
    options = ()
'''
BROKEN = """
broken = no_such_module:Broken
number = hourly.triggers:MINUTE
nameless = hourly.triggers:Nameless
greedy = hourly.triggers:Greedy
taking = hourly.triggers:Taking
empty = hourly.triggers:Empty
cron = hourly.triggers:Minutes
"""


class Package:
    """A package that can be installed, as pip does it, and removed again."""

    def __init__(self, site: Path) -> None:
        self.site = site
        (site / "hourly").mkdir()
        (site / "hourly" / "__init__.py").touch()
        (site / "hourly" / "triggers.py").write_text(PLUGIN)
        (site / "hourly-1.0.dist-info").mkdir()
        (site / "hourly-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hourly\nVersion: 1.0\n")

    def install(self, entry_points: str = "minutes = hourly.triggers:Minutes") -> None:
        """Have this process find it, with these entry points."""
        path = self.site / "hourly-1.0.dist-info" / "entry_points.txt"
        path.write_text(f"[scheduler.triggers]\n{entry_points}\n")
        sys.path.insert(0, str(self.site))
        importlib.invalidate_caches()
        plugins.cache_clear()

    def remove(self) -> None:
        """Have this process find it no longer."""
        sys.path[:] = [path for path in sys.path if path != str(self.site)]
        for name in [name for name in sys.modules if name.split(".")[0] == "hourly"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        plugins.cache_clear()


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    """The package, not installed yet."""
    package = Package(tmp_path_factory.mktemp("site"))
    yield package
    package.remove()


@pytest.fixture
def hourly(package: Package) -> Package:
    """The package, installed with the kind `minutes`."""
    package.install()
    return package


def minutes(text: str, tz: str = "UTC") -> Any:
    """A trigger of the kind."""
    return trigger_kind("minutes").from_options({"minutes": text, "tz": tz})


# The table


@given(st.one_of(st.integers(1, 10_000), st.integers(1, 1_000).map(lambda n: n * 3_600), st.integers(1, 31_622_400)))
@example(86_400)
@example(5_400)
def test_the_words_of_an_interval_are_read_as_that_interval(seconds: int) -> None:
    """Hours and minutes where they divide it; a day is one of the calendar."""
    words = str(Every(seconds))
    assert seconds_of(words.removeprefix("every ")) == seconds
    assert words.rsplit(maxsplit=1)[-1] == ("h" if seconds % 3_600 == 0 else "min" if seconds % 60 == 0 else "s")


def test_the_kinds_of_the_table_come_back_from_their_json() -> None:
    """As the store has them, and as a timer is described by options."""
    for trigger in (Cron("0 0 8 ? * MON", "Europe/Berlin", "quartz"), Every(90, anchor=START)):
        assert TRIGGERS[trigger.kind] is type(trigger)
        assert read_trigger(*trigger.stored()) == trigger
        assert type(trigger).from_options(trigger.option_values()).anchored(START) == trigger


def test_an_unknown_kind_is_an_error_that_names_it() -> None:
    """trigger_kind raises it."""
    with pytest.raises(TimerError, match="no installed package has the trigger kind 'moon'"):
        trigger_kind("moon")


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("moon", '{"phase":"full"}', "no installed package has the trigger kind 'moon'"),
        ("every", '{"seconds":0,"anchor_at":0}', "an interval must be from 1 to"),
        ("cron", '{"tz":"UTC"}', """the trigger {"tz":"UTC"} cannot be read as 'cron': KeyError('expression')"""),
        ("cron", "{", "the trigger { cannot be read as 'cron'"),
        ("every", "null", "the trigger null cannot be read as 'every'"),
    ],
)
def test_what_cannot_be_read_stays_as_it_is_and_never_fires(kind: str, text: str, reason: str) -> None:
    """With the reason; it goes back into the store unchanged."""
    trigger = read_trigger(kind, text)
    assert isinstance(trigger, UnreadableTrigger)
    assert trigger.stored() == (kind, text)
    assert trigger.reason.startswith(reason)
    assert (trigger.next_fire(START), trigger.prev_fire(START), trigger.count(START, START)) == (None, None, 0)
    assert trigger.as_json() == (json.loads(text) if text.startswith('{"') else {})


# A kind from another package


@pytest.mark.usefixtures("hourly")
def test_a_program_adds_a_timer_of_a_kind_from_outside_and_it_fires() -> None:
    """Its runs are at its fire times; an edit changes them."""
    engine = Engine()
    engine.define("f")(list)
    with ManualScheduler(engine, now=START) as scheduler:
        scheduler.add(Timer(name="t", function="f", trigger=minutes("5,25"), enabled=True, jitter_s=1))
        scheduler.advance(hours=1)
        scheduler.advance(minutes=6)
        assert [run.fire_time.minute for run in scheduler.runs()] == [5, 25, 5]
        (entry,) = scheduler.timers()
        assert entry.timer.trigger == minutes("5,25")


@pytest.mark.usefixtures("hourly")
def test_the_command_line_adds_shows_and_edits_it_with_its_own_option(command_line: CommandLine) -> None:
    """Beside the options of all timers, and with the time zone that it shares with expressions."""
    command_line.write("cloud.py", CLOUD)
    added = command_line.json(
        "timers", "add", "t", "--function", "hello", "--minutes", "5,25", "--tz", "Asia/Kolkata", "--enable"
    )
    assert (added["minutes"], added["tz"], added["cron"], added["every_s"]) == ("5,25", "Asia/Kolkata", None, None)
    assert added["next_fire"].endswith(":00+05:30")
    assert "at the minutes 5,25" in command_line.run("timers", "list").stdout
    assert command_line.json("timers", "edit", "t", "--minutes", "7")["tz"] == "Asia/Kolkata"
    edited = command_line.json("timers", "edit", "t", "--tz", "Asia/Tokyo")
    assert (edited["minutes"], edited["tz"]) == ("7", "Asia/Tokyo")
    assert command_line.json("timers", "edit", "t", "--cron", "0 0 8 * * ?")["tz"] == "Asia/Tokyo"
    assert command_line.json("timers", "edit", "t", "--every", "60")["every_s"] == 60
    for command in ("add", "edit"):
        assert "Fire at these minutes of every hour." in command_line.run("timers", command, "--help").stdout


@pytest.mark.usefixtures("hourly")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--minutes", "five"), "expected a list of minutes, got 'five'"),
        (
            ("--minutes", "5", "--dst", "quartz"),
            "a list of minutes has no time zone: --tz and --dst go with --cron or --every",
        ),
        (
            (),
            "give one of --cron '0 0 8 ? * MON', --every 60, --at '2026-12-24 18:00', "
            "--rrule 'FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9' and --minutes 5,25",
        ),
        (
            ("--every", "5", "--tz", "UTC"),
            "an interval has no time zone: "
            "--tz and --dst go with --cron, --every '2 weeks', --at, --rrule or --minutes",
        ),
    ],
)
def test_a_mistake_with_it_is_named_as_one_with_the_others(
    command_line: CommandLine, words: tuple[str, ...], message: str
) -> None:
    """One message, with the options that there are."""
    assert message in command_line.refusal("timers", "add", "t", "--function", "hello", *words)


@pytest.mark.usefixtures("hourly")
def test_it_is_exported_and_imported(command_line: CommandLine, tmp_path: Path) -> None:
    """As CSV with a further column, and as JSON; a list without such a timer has no such column."""
    command_line.run("timers", "add", "t", "--function", "hello", "--minutes", "5,25")
    command_line.run("timers", "add", "u", "--function", "hello", "--every", "60")
    exported = command_line.run("timers", "export").stdout
    assert exported.splitlines()[0] == ",".join([*timer_columns.COLUMNS, "at_minutes"])
    for number, text in enumerate((exported, command_line.run("timers", "export", "--json").stdout)):
        words = ["timers", "import", "-", "--store", str(tmp_path / f"{number}.db")]
        assert CliRunner().invoke(program, words, input=text).exit_code == 0
        assert command_line.run("timers", "export", *words[3:]).stdout == exported
    command_line.run("timers", "rm", "t")
    assert command_line.run("timers", "export").stdout.splitlines()[0] == ",".join(timer_columns.COLUMNS)
    path = command_line.write("bad.csv", "name,function,at_minutes\nt,hello,five\n")
    assert "line 2, at_minutes: expected a list of minutes" in command_line.refusal("timers", "import", str(path))


@pytest.mark.usefixtures("hourly")
def test_a_calendar_with_it_is_refused_in_words_that_are_true_of_it(command_line: CommandLine) -> None:
    """It has a time zone, but no `on`, with which a calendar moves fires."""
    command_line.run("calendars", "add", "firm", "--week", "MON-FRI", "--known-until", "2099-01-01")
    words = ("timers", "add", "t", "--function", "hello", "--minutes", "5", "--calendar", "firm")
    refusal = command_line.refusal(*words)
    assert "a calendar goes with a trigger that fires on days of a time zone, unlike 'at the minutes 5'" in refusal


@pytest.mark.usefixtures("hourly")
def test_the_fires_of_it_are_simulated_and_a_list_with_it_is_applied(command_line: CommandLine) -> None:
    """As those of the built-in kinds, also among other triggers of one timer."""
    command_line.run("timers", "add", "t", "--function", "hello", "--minutes", "5,25", "--tz", "UTC", "--enable")
    words = ("simulate", "--from", "2026-01-01T00:00Z", "--to", "2026-01-01T01:00Z")
    fires = [line.split()[1][:5] for line in command_line.run(*words).stdout.splitlines()[:2]]
    assert fires == ["00:05", "00:25"]
    path = command_line.write("timers.csv", "name,function,at_minutes,tz\nt,hello,7,UTC\n")
    assert "at the minutes 5,25 → at the minutes 7" in command_line.run("timers", "apply", str(path)).stdout
    command_line.run("timers", "add", "u", "--function", "hello", "--minutes", "9", "--cron", "0 0 8 * * ?")
    assert command_line.json("timers", "show", "u")["any_of"][1]["minutes"] == "9"


@pytest.mark.usefixtures("hourly")
def test_it_is_declared_beside_a_function() -> None:
    """By the name of its option; a declaration without one names what there is."""
    engine = Engine()
    engine.timer(minutes="5,25")(len)
    (timer,) = declared_timers(engine.registry, Environment.PRODUCTION, "Europe/Berlin")
    assert timer.trigger == minutes("5,25", "Europe/Berlin")
    engine.timer(minutes="5", every=60)(abs)
    with pytest.raises(
        TimerError, match=r"an interval, an instant, a recurrence rule or a list of minutes, as in .* or minutes='5,25'"
    ):
        declared_timers(engine.registry, Environment.PRODUCTION)


# A kind that is missing, or broken


def add_minutes(service: Service) -> None:
    """Two timers of the same instants: one of a kind from outside, and one of a built-in kind."""
    for name, trigger in (("outside", minutes("5,25")), ("inside", Cron("0 5,25 * * * ?", "UTC"))):
        timer = Timer(name=name, function="f", trigger=trigger, enabled=True)
        service.timetable.add([timer], now=START)


def test_timers_of_a_kind_that_is_not_installed_wait_and_others_fire(hourly: Package, service: Service) -> None:
    """The daemon sleeps as long as without them; with the package they fire by their misfire policy."""
    add_minutes(service)
    hourly.remove()
    service.kill()
    service.start()
    for _ in range(3):
        service.after(25 * 60)
    assert {run.timer for run in service.history.runs()} == {"inside"}
    assert service.daemon is not None
    assert service.daemon.next_due == datetime(2026, 1, 1, 1, 25, tzinfo=UTC)
    assert service.daemon.step() > 0.5
    outside = service.timetable.get("outside")
    assert str(outside.timer.schedule) == "unreadable: no installed package has the trigger kind 'minutes'"
    assert outside.next_fire == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def test_they_fire_in_a_daemon_that_has_the_package(hourly: Package, service: Service) -> None:
    """What was missed meanwhile goes by the misfire policy."""
    add_minutes(service)
    hourly.remove()
    service.kill()
    service.start()
    service.after(5 * 60)
    service.kill()
    hourly.install()
    service.start()
    service.after(20 * 60)
    runs = [(run.fire_time.minute, run.outcome) for run in service.history.runs(timer="outside")]
    assert runs == [(25, "succeeded"), (5, "misfired")]


def test_a_timer_that_is_edited_to_a_known_trigger_fires_at_once(hourly: Package, service: Service) -> None:
    """The daemon that left it alone sees the new trigger."""
    add_minutes(service)
    hourly.remove()
    service.kill()
    service.start()
    service.after(5 * 60)
    service.timetable.edit("outside", Environment.PRODUCTION, {"limit_s": 3.0}, now=service.clock.now())
    assert service.timetable.get("outside").next_fire == datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    service.timetable.edit("outside", Environment.PRODUCTION, {"trigger": Every(60)}, now=service.clock.now())
    service.after(60)
    assert [run.outcome for run in service.history.runs(timer="outside")] == ["succeeded"]


def test_thousands_of_timers_that_cannot_be_read_keep_no_other_from_firing(service: Service) -> None:
    """However many are due before it, and each is read once only; the log names the reason once."""
    service.add("t", 10)
    service.timetable.add(
        [Timer(name=f"x{n}", function="f", trigger=Every(1), enabled=True) for n in range(1200)], now=START, quota=0
    )
    with service.store.writing() as connection:
        connection.execute(update(timers).where(timers.c.name != "t").values(trigger_kind="moon"))
    for _ in range(4):
        service.after(10)
    assert service.rows() == [(seconds, 1, "succeeded") for seconds in (10, 20, 30, 40)]
    assert service.daemon is not None
    assert service.daemon.step() > 0.5


def test_a_timer_whose_trigger_is_damaged_is_left_alone_too(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Its row stays as it is, and the log says why it does not fire."""
    service.add("t", 10)
    service.add("u", 10)
    with service.store.writing() as connection:
        damaged = update(timers).where(timers.c.name == "u").values(trigger="{}", revision=timers.c.revision + 1)
        connection.execute(damaged)
    service.after(10)
    service.after(10)
    assert service.rows() == [(10, 1, "succeeded"), (20, 1, "succeeded")]
    (line,) = [record.getMessage() for record in caplog.records if "'u'" in record.getMessage()]
    assert line.startswith("the timer 'u' in production does not fire here: the trigger {}")


def test_the_command_line_shows_a_timer_that_it_cannot_read(command_line: CommandLine, hourly: Package) -> None:
    """It can be disabled, exported without its trigger, and removed."""
    command_line.run("timers", "add", "t", "--function", "hello", "--minutes", "5,25", "--enable")
    command_line.run("timers", "add", "u", "--function", "hello", "--every", "60", "--enable")
    hourly.remove()
    reason = "no installed package has the trigger kind 'minutes'"
    assert f"unreadable: {reason}" in command_line.run("timers", "list").stdout
    shown, other = command_line.json("timers", "list")
    assert shown["trigger"] == {"kind": "minutes", "minutes": "5,25", "tz": "Asia/Shanghai", "error": reason}
    assert "trigger" not in other
    assert command_line.run("timers", "disable", "t").exit_code == 0
    assert reason in command_line.refusal("timers", "enable", "t")
    assert reason in command_line.refusal("timers", "edit", "t", "--tz", "UTC")
    exported = command_line.run("timers", "export")
    assert len(exported.stdout.splitlines()) == 3
    assert f"t in production is exported without its trigger: {reason}" in exported.stderr
    assert command_line.run("simulate").exit_code == 0
    assert command_line.run("timers", "rm", "t").exit_code == 0


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "broken",
            "cannot be loaded from no_such_module:Broken: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("number", "cannot be loaded from hourly.triggers:MINUTE: it is not a subclass of scheduler.timer.Trigger"),
        (
            "nameless",
            "cannot be loaded from hourly.triggers:Nameless: its kind 'minutes' differs from the name of its entry",
        ),
        ("greedy", "cannot be loaded from hourly.triggers:Greedy: its option 'every' already belongs to another kind"),
        (
            "taking",
            "cannot be loaded from hourly.triggers:Taking: its option 'limit_s' is already an attribute of timers",
        ),
        ("empty", "cannot be loaded from hourly.triggers:Empty: it has no options"),
    ],
)
def test_a_broken_entry_point_is_an_error_where_its_kind_is_asked_for(
    package: Package, word: str, message: str
) -> None:
    """With the package, what it names, and what is wrong; the kinds of the table stay what they are."""
    package.install(BROKEN)
    with pytest.raises(TimerError) as refused:
        trigger_kind(word)
    assert str(refused.value).startswith(f"the trigger kind {word!r} of the package hourly {message}")
    assert trigger_kind("cron") is Cron


def test_a_broken_entry_point_is_named_where_an_option_of_it_is_unknown(
    command_line: CommandLine, package: Package
) -> None:
    """On the command line, in a list and in a declaration; timers of other kinds are added all the same."""
    package.install("broken = no_such_module:Broken")
    why = "the trigger kind 'broken' of the package hourly cannot be loaded from no_such_module:Broken"
    assert why in command_line.refusal("timers", "add", "t", "--function", "hello", "--moon", "full")
    path = command_line.write("timers.csv", "name,function,moon\nt,hello,full\n")
    assert why in command_line.refusal("timers", "import", str(path))
    engine = Engine()
    engine.timer("0 0 8 ? * MON", moon="full")(len)
    with pytest.raises(TimerError, match=why):
        declared_timers(engine.registry, Environment.PRODUCTION)
    assert command_line.run("timers", "add", "t", "--function", "hello", "--every", "60").exit_code == 0


def test_packages_are_searched_only_for_a_kind_that_is_not_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a daemon nor a cloud.py pays for them."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("packages were searched"))
    plugins.cache_clear()
    engine = Engine()
    engine.timer("0 0 8 ? * MON", limit_s=3)(len)
    (timer,) = declared_timers(engine.registry, Environment.PRODUCTION)
    with Store("sqlite://") as store:
        TimerTable(store).add([timer], now=START)
        (entry,) = TimerTable(store).list()
    assert isinstance(entry.timer.trigger, Trigger)
    assert timer_lists.as_csv([entry.timer]).startswith("name,")
