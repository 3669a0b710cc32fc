"""scheduler timers import and export: many timers at once, all or none."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from unicodedata import is_normalized

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cli import program
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Every
from scheduler.errors import TimerError
from scheduler.formats import timer_columns, timer_lists
from tests import strategies
from tests.example_counts import examples
from tests.scheduler.command_line import CLOUD, CommandLine

CSV = """\
name,function,cron,seconds,environment
report,hello,0 0 8 ? * MON,,production
often,hello,,60,production
preview,hello,,30,stage
"""

texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20).filter(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
timers = st.builds(
    Timer,
    # Others are refused when they are added.
    name=texts.map(str.strip).filter(lambda name: is_normalized("NFC", name) and name not in {".", ".."}),
    function=texts.map(str.strip),
    trigger=strategies.triggers(),
    params=st.dictionaries(texts, json_values, max_size=3),
    environment=st.sampled_from(Environment),
    enabled=st.booleans(),
    limit_s=st.floats(0.001, 86_400),
    misfire=st.sampled_from(MisfirePolicy),
    overlap=st.sampled_from(OverlapPolicy),
    delivery=st.sampled_from(Delivery),
    breaker_threshold=st.integers(0, 1_000_000),
    retries=st.integers(0, 100),
    retry_backoff_s=st.floats(0.001, 86_400),
)


def read(text: str) -> list[Timer]:
    return timer_lists.read(text, environment=Environment.PRODUCTION, tz="Asia/Shanghai", limit_s=15.0).timers


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(timers, max_size=4, unique_by=lambda timer: (timer.environment, timer.name)))
def test_an_exported_list_imports_the_same_timers(some: list[Timer]) -> None:
    """As CSV and as JSON, for every valid timer."""
    assert read(timer_lists.as_csv(some)) == some
    assert read(json.dumps([timer_lists.as_object(timer) for timer in some], indent=2)) == some


@pytest.mark.parametrize(
    "name",
    ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "'=1", "''=1", "'quoted", "'", " =1".strip(), "a=1"],
)
def test_a_spreadsheet_computes_nothing_of_an_exported_list(name: str) -> None:
    """A cell that it would take for a formula begins with a quote, which import takes off again."""
    timer = Timer(name=name, function="f", trigger=Every(60))
    text = timer_lists.as_csv([timer])
    (_, row) = csv.reader(io.StringIO(text))
    assert row[0][0] not in "=+-@"
    assert read(text) == [timer]


@settings(max_examples=examples(300), deadline=None)
@given(st.text(max_size=200) | st.text("[{\"nameron,:0 *?\n\r]}'", max_size=80))
def test_any_text_is_imported_or_refused(text: str) -> None:
    """With a TimerError, never another exception."""
    with contextlib.suppress(TimerError):
        read(text)


def test_a_list_of_leancloud_timers_is_imported_unchanged(command_line: CommandLine) -> None:
    """Name, function, cron or seconds, environment: added disabled, with the command that enables one."""
    command_line.write("cloud.py", CLOUD)
    said = command_line.run("timers", "import", str(command_line.write("timers.csv", CSV))).stdout
    assert said.startswith("added 3 timers: 2 in production, 1 in stage\n3 of them disabled;")
    assert said.rstrip().endswith("timers enable report")
    kept = {timer["name"]: timer for timer in command_line.json("timers", "list")}
    assert (kept["report"]["cron"], kept["report"]["tz"]) == ("0 0 8 ? * MON", "Asia/Shanghai")
    assert (kept["preview"]["every_s"], kept["preview"]["environment"]) == (30, "stage")
    assert not any(timer["enabled"] for timer in kept.values())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("1", "production"), ("0", "stage"), ("生产环境", "production"), ("预备环境", "stage"), (" Stage ", "stage")],
)
def test_an_environment_may_have_its_name_on_leancloud(environment: str, expected: str) -> None:
    """Those of LeanCloud's console, and the numbers of X-LC-Prod."""
    (timer,) = read(f"name,function,every,env\nt,f,60,{environment}\n")
    assert timer.environment == expected


def test_a_csv_may_come_from_a_spreadsheet(command_line: CommandLine) -> None:
    """With a byte order mark, CRLF, empty lines, blanks after commas and short lines."""
    path = command_line.folder / "timers.csv"
    path.write_bytes("\ufeffName, Function, Seconds, Env\r\n\r\n周报, hello, 60\r\n,,,\r\n".encode())
    (timer,) = command_line.json("timers", "import", str(path), "--env", "stage", "--enable")
    assert (timer["name"], timer["environment"], timer["enabled"]) == ("周报", "stage", True)


_LIST = "name,function,cron,environment\na,hello,0 0 8 ? * MON,production\n"


@pytest.mark.parametrize(
    "data",
    [
        _LIST.replace(",", ";").encode(),
        _LIST.replace(",", "\t").encode("utf-16"),
        ("sep=;\r\n" + _LIST.replace(",", ";")).encode("utf-8-sig"),
        b"sep=,\r\n\r\n" + _LIST.encode(),
        "任务名称,云函数,Cron 表达式,部署环境,状态\na,hello,0 0 8 ? * MON,production,启用\n".encode(),
        _LIST.replace("\n", ",,\r\n").encode(),
        b"\xef\xbb\xbf" + _LIST.encode("utf-8-sig"),
        _LIST.replace("function", "\ufefffunction").encode(),
    ],
    ids=["semicolons", "Unicode text", "sep=;", "sep=,", "in Chinese", "empty columns", "two marks", "joined files"],
)
def test_a_list_may_be_separated_and_headed_as_excel_does_it_somewhere(command_line: CommandLine, data: bytes) -> None:
    """Semicolons where the comma is in numbers, tabs in UTF-16, the line that tells Excel, headings in Chinese."""
    command_line.write("cloud.py", CLOUD)
    (command_line.folder / "list.csv").write_bytes(data)
    assert command_line.run("timers", "import", "list.csv").exit_code == 0
    (timer,) = command_line.json("timers", "list")
    assert (timer["name"], timer["function"], timer["cron"]) == ("a", "hello", "0 0 8 ? * MON")


@pytest.mark.parametrize("mark", "，；、|")
def test_marks_that_separate_no_cells_are_named(mark: str) -> None:
    """Not taken for the name of one column."""
    with pytest.raises(TimerError, match=rf"a comma, a semicolon or a tab, not by [{mark}]: name"):
        read(_LIST.replace(",", mark))


@pytest.mark.parametrize("word", ["TRUE", "on", "是", "启用"])
def test_a_timer_is_enabled_by_each_word_for_yes(word: str) -> None:
    """Spreadsheets and people write several; 否 is one for no."""
    assert [timer.enabled for timer in read(f"name,function,every,启用\na,f,60,{word}\nb,f,60,否\n")] == [True, False]


@pytest.mark.parametrize("when", ["2026/12/24 9:05", "2026-12-24 9:05", "2026/12/24 09:05:00", "2026年12月24日 9:05"])
def test_a_time_may_be_as_a_spreadsheet_saves_it(when: str) -> None:
    """It writes dates in the manner of its country; those that begin with the year have one meaning."""
    (timer,) = read(f"name,function,at,tz,starts_at\na,f,{when},UTC,{when}\n")
    assert str(timer.trigger) == "at 2026-12-24 09:05:00+00:00"
    assert str(timer.starts_at) == "2026-12-24 09:05:00+00:00"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('"every": 60, "every": 90', "line 2: the key 'every' comes twice"),
        ('"every": 60, "seconds": 90', "line 2, .*: the columns seconds and every are both filled"),
        ('"every": 60, "params": {"n": 1, "n": 2}', "line 2: the key 'n' comes twice"),
        ('"every": 60, "limit": 5, "limit_s": 9', "line 2: the keys 'limit' and 'limit_s' mean the same; keep one"),
    ],
)
def test_a_key_that_comes_twice_is_refused(keys: str, said: str) -> None:
    """A program that reads JSON takes the last one and says nothing."""
    with pytest.raises(TimerError, match=said):
        read(f'[\n{{"name": "a", "function": "f", {keys}}}]')


def test_a_wrong_line_has_its_number_below_a_line_for_excel(command_line: CommandLine) -> None:
    """Of the file as it is."""
    (command_line.folder / "list.csv").write_text("sep=;\nname;function;cron\na;hello;0 8 * * 1\n")
    assert "line 3, cron: " in command_line.refusal("timers", "import", "list.csv")


def test_a_workbook_is_refused_with_what_to_save_instead(command_line: CommandLine) -> None:
    """It is no text."""
    (command_line.folder / "list.xlsx").write_bytes(b"PK\x03\x04" + bytes(99))
    assert "a workbook; save the list as text" in command_line.refusal("timers", "import", "list.xlsx")


def test_every_invalid_line_is_reported_with_its_column(command_line: CommandLine) -> None:
    """All at once, and no timer is added."""
    command_line.write("scheduler.toml", 'rules = "leancloud"\n')
    bad = (
        "name,function,cron,seconds,environment,params\ngood,hello,,60,,\nx,hello,0 75 8 ? * MON,,,\n"
        '"two\n",hello,,1,,\n'
        "y,hello,,soon,prodction,\nz,hello,0 0 8 ? * MON,60,,\ngood,hello,,5,,\nw,,,5,,{\nv,hello,,5,,,,x\n"
    )
    path = str(command_line.write("timers.csv", bad.replace("v,hello,,5,,,,x\n", "")))
    said = command_line.refusal("timers", "import", path)
    for expected in (
        "line 3, cron: minutes, column 3: 75 is out of range",
        "line 4, name: name 'two\\n' has the control character U+000A",
        "line 6, seconds: expected an interval as in 60, 90s, 5m, 2h, 1d or '2 weeks', got 'soon'",
        "line 6, environment: expected production or stage, got 'prodction'",
        "line 7, cron: a timer has an expression, an interval, an instant, a recurrence rule or several triggers: "
        "fill one of the columns cron, seconds, every, at, rrule and any_of",
        "line 8, name: production has 'good' twice, on line 2 too",
        "line 9, params: invalid JSON: ",
    ):
        assert expected in said
    assert not (command_line.folder / ".scheduler").exists()
    assert len(said.splitlines()) == 9
    path = str(command_line.write("timers.csv", bad))
    assert "line 10: 8 cells under 6 columns" in command_line.refusal("timers", "import", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty; its first line names the columns"),
        ("name,functoin,cron\n", "there is no column 'functoin'; did you mean 'function'?"),
        ("name,function,interval,seconds\n", "line 1: the column 'seconds' comes twice"),
        ("name,function,every,seconds\nt,f,60,30\n", "the columns seconds and every are both filled"),
        ('name,function\n"x,y\n', "invalid CSV: "),
        ("[\n{", "line 2, column 2: invalid JSON: "),
        ('{"name": "t"}', "expected a JSON array of timers"),
        ('[\n\n{"name": "t", "function": "f", "cronn": "x"}]', "line 3: there is no column 'cronn'"),
        ('[{"name": "t", "function": "f", "seconds": 1},\n3]', "line 2: expected a timer as an object, got 3"),
        ('[\n{"name": 1, "function": "f", "seconds": 1}]', "line 2, name: expected text, got 1"),
        (
            '[{"name": "t", "function": "f", "seconds": 1, "params": [1]}]',
            "line 1, params: parameters must be a JSON obj",
        ),
        (
            '[{"name": " t", "function": "f", "seconds": 1}]',
            "line 1, name: name ' t' has leading or trailing",
        ),
        ('[{"name": "t", "function": "f", "seconds": 0}]', "line 1, seconds: an interval must be from 1 to"),
        (
            '[{"name": "t", "function": "f", "seconds": 1}, {"name": "u", "function": "f", "seconds": 0}]',
            "line 1, timer 'u', seconds: an interval must be from 1 to",
        ),
        ('[{"name": "t", "function": "f", "cron": "0 0 8 * * ?", "tz": "Mars"}]', "line 1, tz: "),
        ("[" * 100_000, "invalid JSON: "),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_the_line(
    text: str, message: str, command_line: CommandLine
) -> None:
    """Also for an unknown heading, which is not left out silently."""
    path = command_line.write("timers.txt", text)
    assert message in command_line.refusal("timers", "import", str(path))


def test_a_file_that_is_missing_or_not_utf_8_is_refused(command_line: CommandLine) -> None:
    """Spreadsheets in China save CSV in another encoding."""
    assert "nowhere.csv: cannot be read (No such file" in command_line.refusal("timers", "import", "nowhere.csv")
    path = command_line.folder / "gbk.csv"
    path.write_bytes("name,function,seconds\n周报,f,60\n".encode("gbk"))
    assert "line 2 is not UTF-8; save the list as UTF-8" in command_line.refusal("timers", "import", str(path))


def test_a_missing_function_is_reported_before_a_timer_is_added(command_line: CommandLine) -> None:
    """With its line; --no-check adds the timers anyway."""
    command_line.write("cloud.py", CLOUD)
    path = str(command_line.write("timers.csv", CSV.replace("preview,hello", "preview,helo")))
    said = command_line.refusal("timers", "import", path)
    assert "line 4, function: cloud.py has no function 'helo'; did you mean 'hello'?" in said
    assert command_line.run("timers", "import", path, "--no-check").exit_code == 0


def test_all_problems_are_reported_at_once(command_line: CommandLine) -> None:
    """Several of one line, of its function, its parameters, its name in the store and the quota; in order of lines."""
    command_line.write("cloud.py", CLOUD)
    command_line.write("scheduler.toml", 'rules = "leancloud"\n')
    command_line.run("timers", "add", "often", "--function", "hello", "--every", "5")
    bad = (
        "name,function,cron,seconds,environment,params,tz,dst,limit_s,misfire,breaker\n"
        ",,,,,,,,,,\n"
        'often,helo,0 75 8 ? * MON,,,"{""a"": 1}",Mars,summer,0,never,-1\n'
        'sum,add,,60,production,"{""a"": 1}",,,,,\n'
        'sum,add,,60,production,"{""a"": 1, ""b"": ""x""}",,,,,\n'
        "too,hello,,60,,,,,,,,,,many\n"
        "p4,hello,,60,,,,,,,\np5,hello,,60,,,,,,,\np6,hello,,60,,,,,,,\n"
    )
    said = command_line.refusal("timers", "import", str(command_line.write("timers.csv", bad)))
    lines = [line.removeprefix("Error: ") for line in said.splitlines()]
    assert [line.split(": ")[0] for line in lines] == [
        "line 3, name",
        "line 3, function",
        "line 3, cron",
        "line 3, tz",
        "line 3, dst",
        "line 3, limit_s",
        "line 3, misfire",
        "line 3, breaker",
        "line 4, params",
        "line 5, name",
        "line 5, params",
        "line 6",
        "line 9, environment",
        "(use --no-check to add them anyway)",
    ]
    assert "Mars" in lines[3]
    assert "summer" in lines[4]
    assert "missing argument 'b'" in lines[8]
    assert "argument 'b' must be a whole number, not 'x'" in lines[10]
    assert [timer["name"] for timer in command_line.json("timers", "list")] == ["often"]


def test_each_line_is_checked_against_the_functions_of_its_environment(command_line: CommandLine) -> None:
    """Those of a preview are in other sources, which share no module with those here."""
    command_line.write("cloud.py", CLOUD)
    (command_line.folder / "preview").mkdir()
    preview = (
        "import os\n"
        + CLOUD
        + '\nprint("loaded")\nif os.environ["LEANCLOUD_APP_ENV"] == "stage":\n    engine.define("coming")(lambda: 1)\n'
    )
    command_line.write("preview/cloud.py", preview.replace("def bad", "def worse"))
    text = "name,function,seconds,environment\na,coming,60,stage\nb,bad,60,stage\nc,coming,60,production\nd,bad,60,\n"
    path = str(command_line.write("timers.csv", text))
    said = command_line.refusal("timers", "import", path, "--stage-source", "preview")
    assert [line.split(";")[0] for line in said.splitlines()[:-1]] == [
        "Error: line 3, function: cloud.py has no function 'bad'",
        "line 4, function: cloud.py has no function 'coming'",
    ]
    assert "--stage-source DIR" not in said
    assert "--stage-source DIR checks those of stage" in command_line.refusal("timers", "import", path)
    good = str(command_line.write("good.csv", text.replace("b,bad", "b,worse").replace("c,coming", "c,hello")))
    assert len(command_line.json("timers", "import", good, "--stage-source", "preview")) == 4
    command_line.write("preview/cloud.py", "1 / 0")
    said = command_line.refusal("timers", "import", good, "--stage-source", "preview")
    assert "cloud.py raised while it was imported: ZeroDivisionError" in said
    assert "there is no such folder" in command_line.refusal("timers", "import", good, "--stage-source", "nowhere")


def test_a_timer_that_exists_already_refuses_the_whole_list(command_line: CommandLine) -> None:
    """All or none."""
    command_line.run("timers", "add", "often", "--function", "hello", "--every", "5")
    path = str(command_line.write("timers.csv", CSV))
    assert "line 3, name: timer 'often' exists already in production" in command_line.refusal("timers", "import", path)
    assert [timer["name"] for timer in command_line.json("timers", "list")] == ["often"]


def test_a_list_beyond_the_quota_is_refused_with_the_option_that_raises_it(command_line: CommandLine) -> None:
    """Five timers an environment under LeanCloud's rules, unless --max-timers is given."""
    command_line.write("scheduler.toml", 'rules = "leancloud"\n')
    many = "name,function,seconds\n" + "".join(f"t{n},hello,60\n" for n in range(7))
    path = str(command_line.write("timers.csv", many))
    said = command_line.refusal("timers", "import", path)
    assert "production would have 7 timers, 7 of them from the list; at most 5 are allowed" in said
    assert "--max-timers 7" in said
    assert said == command_line.refusal("timers", "import", path, "--dry-run")
    assert command_line.run("timers", "import", path, "--max-timers", "7").exit_code == 0


def test_a_list_that_was_imported_already_does_not_exceed_the_quota(command_line: CommandLine) -> None:
    """It is refused for its names alone: its timers would be no further ones."""
    path = str(command_line.write("timers.csv", "name,function,seconds\na,hello,60\nb,hello,60\n"))
    command_line.run("timers", "import", path, "--max-timers", "2")
    said = command_line.refusal("timers", "import", path, "--max-timers", "2")
    assert "timer 'a' exists already" in said
    assert "at most" not in said


def test_a_dry_run_adds_no_timer(command_line: CommandLine) -> None:
    """Nor does it create a store; timers that exist already are reported all the same."""
    path = str(command_line.write("timers.csv", CSV))
    said = command_line.run("timers", "import", path, "--dry-run").stdout
    assert said == "would add 3 timers: 2 in production, 1 in stage\n"
    assert not (command_line.folder / ".scheduler").exists()
    command_line.run("timers", "import", path)
    assert "exists already" in command_line.refusal("timers", "import", path, "--dry-run")


def test_an_export_can_be_imported_elsewhere(command_line: CommandLine, tmp_path: Path) -> None:
    """Through a pipe, as CSV and as JSON; --env takes one environment."""
    command_line.run("timers", "import", str(command_line.write("timers.csv", CSV)), "--enable")
    command_line.run("timers", "edit", "often", "--limit", "2.5", "n:=[1]")
    exported = command_line.run("timers", "export").stdout
    assert exported.splitlines()[0] == ",".join(timer_columns.COLUMNS)
    for number, text in enumerate((exported, command_line.run("timers", "export", "--json").stdout)):
        words = ["timers", "import", "-", "--store", str(tmp_path / f"{number}.db")]
        assert CliRunner().invoke(program, words, input=text).exit_code == 0
        assert command_line.run("timers", "export", *words[3:]).stdout == exported
    (stage,) = command_line.json("timers", "export", "--env", "stage")
    assert stage["name"] == "preview"


def test_an_export_leaves_out_followers_that_were_removed(command_line: CommandLine, tmp_path: Path) -> None:
    """An import of them would be refused."""
    for name, *options in (("c",), ("b",), ("a", "--then", "b,c")):
        command_line.run("timers", "add", name, "--function", "hello", "--every", "60", *options)
    command_line.run("timers", "rm", "b")
    exported = command_line.run("timers", "export")
    assert exported.stderr == "a in production is exported without b, which was removed\n"
    for text in (exported.stdout, command_line.run("timers", "export", "--json").stdout):
        words = ["timers", "import", "-", "--store", str(tmp_path / f"{len(text)}.db")]
        assert CliRunner().invoke(program, words, input=text).exit_code == 0
    (leader,) = [timer for timer in command_line.json("timers", "export") if timer["name"] == "a"]
    assert leader["then"] == ["c"]


def test_a_file_without_an_end_is_refused(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the memory is full."""
    monkeypatch.setattr("scheduler.cli.transfer._MOST_BYTES", 1_000_000)
    assert "/dev/zero: more than 1 MB" in command_line.refusal("timers", "import", "/dev/zero")
