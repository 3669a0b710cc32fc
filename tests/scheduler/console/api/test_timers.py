"""Timers through the API: creating, changing, removing; ETags; several at once; requested runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.formats.json import timer_json
from scheduler.functions.descriptions import FunctionDescription
from scheduler.store.catalogue import replace_functions
from scheduler.store.pauses import read_pauses
from scheduler.store.timers_at_once import MAX_TIMERS

from ..conftest import HOSTILE, START, Place
from .conftest import CRON, Program

REPORT = "timers/production/report"


def test_a_timer_is_created_disabled(place: Place, program: Program) -> None:
    """Unless its body says so; the answer is what `timers show --json` prints."""
    answer = program.send("PUT", REPORT, CRON)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "report"
    entry = place.timers.get("report")
    assert answer.json == timer_json(entry, "UTC") | {"warnings": []}
    assert answer.headers["ETag"] == f'"{entry.revision}"'
    assert not entry.timer.enabled
    assert program.does("PUT", "timers/stage/b", CRON | {"enabled": True}, status=201)["state"] == "enabled"


def test_what_is_probably_not_meant_is_a_warning(place: Place, program: Program) -> None:
    """A function that the loaded ones lack, a policy without effect, a ping that is not sent; the timer is stored."""
    replace_functions(place.store, Environment.PRODUCTION, [FunctionDescription("send", "()")])
    idle = {"max_concurrent": 2, "ping_url": "http://127.0.0.1:9/x"}
    warnings = program.does("PUT", REPORT, CRON | idle | {"function": "sned"}, status=201)["warnings"]
    assert warnings == program.does("GET", REPORT)["warnings"]
    assert {warning["field"]: warning["message"].partition(";")[0] for warning in warnings} == {
        "function": "no function 'sned' has been loaded in production",
        "max_concurrent": "max_concurrent has no effect: it goes with overlap = allow, and overlap is skip",
        "ping_url": "127.0.0.1 of its ping_url is a private address",
    }
    assert warnings[0]["message"].endswith("did you mean 'send'?")
    mended = {"function": "send", "overlap": "allow", "ping_url": None}
    assert program.does("PATCH", REPORT, mended)["warnings"] == []


def test_what_a_body_lacks_has_the_default_of_the_settings(make_place: Any) -> None:
    """The time limit and the time zone, as on the command line."""
    place = make_place(limit_s=30, tz="Asia/Shanghai")
    Program(place).does("PUT", REPORT, {"function": "send", "cron": "0 0 8 * * ?"}, status=201)
    timer = place.timers.get("report").timer
    assert (timer.limit_s, timer.trigger.tz) == (30.0, "Asia/Shanghai")


def test_a_name_may_have_any_character(place: Place, program: Program) -> None:
    """In the address it has the escapes of the console's pages."""
    place.fill()
    page = program.get("timers?environment=stage")
    assert [item["name"] for item in page["items"]] == [HOSTILE]
    from urllib.parse import quote

    from scheduler.console.names import segment

    address = f"timers/stage/{quote(segment(HOSTILE), safe='~')}"
    assert program.get(address)["name"] == HOSTILE
    assert program.does("POST", f"{address}/enable")["state"] == "enabled"
    program.refused(404, "GET", "timers/stage/~x")


#: What a body has besides, and the field that is wrong.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"crn": "0 0 8 * * ?"}, "crn"),
    ({"function": None}, "function"),
    ({"cron": None}, "cron"),
    ({"every": 60}, "every"),
    ({"cron": None, "every": 60, "tz": "UTC"}, "tz"),
    ({"cron": "0 75 8 * * ?"}, "cron"),
    ({"cron": 5}, "cron"),
    ({"tz": "Mars/Olympus"}, "tz"),
    ({"limit_s": 0}, "limit_s"),
    ({"limit_s": "15"}, "limit_s"),
    ({"retries": 1.5}, "retries"),
    ({"retries": True}, "retries"),
    ({"enabled": 1}, "enabled"),
    ({"params": []}, "params"),
    ({"params": {"a": "x" * 70_000}}, "params"),
    ({"tags": "a"}, "tags"),
    ({"tags": ["a,b"]}, "tags"),
    ({"misfire": "never"}, "misfire"),
    ({"starts_at": "soon"}, "starts_at"),
    ({"calendar": "none"}, "calendar"),
    ({"name": "other"}, "name"),
    ({"description": "\ud800"}, "description"),
    ({"why": "x" * 501}, "why"),
    ({"next_fire": None}, "next_fire"),
]


def test_what_is_wrong_is_named(place: Place, program: Program) -> None:
    """A field that does not exist, a wrong type, and each refusal of Timer; nothing is saved."""
    for body, field in WRONG:
        problem = program.refused(422, "PUT", REPORT, CRON | body)
        assert problem["field"].split(".")[0] == field, problem
    large = '{"limit_s": 1e400, "function": "f", "every": 60}'
    assert program.refused(422, "PUT", REPORT, large, Content_Type="application/json")["field"] == "limit_s"
    assert place.timers.list() == []


def test_the_errors_of_an_expression_have_their_places(program: Program) -> None:
    """Each with field, column, text, reason and hint; and what would be right, if that is certain."""
    problem = program.refused(422, "PUT", REPORT, CRON | {"cron": "0 75 8 * * MON"})
    first = problem["problems"][0]
    assert (first["field"], first["column"], first["text"]) == ("minutes", 3, "75")
    assert problem["field"] == "cron"
    assert program.refused(422, "PUT", REPORT, CRON | {"cron": "0 0 8 * * MON"})["fix"] == "0 0 8 ? * MON"


def test_put_replaces_and_keeps_the_state(place: Place, program: Program) -> None:
    """What the body lacks has its default again; an unchanged interval keeps its anchor."""
    every = {"function": "send", "every": 90, "tags": ["a"], "retries": 3}
    program.does("PUT", REPORT, every | {"enabled": True}, status=201)
    first = place.timers.get("report")
    place.wait(seconds=5)
    again = program.does("PUT", REPORT, {"function": "send", "every": 90}, status=200)
    assert (again["enabled"], again["tags"], again["retries"]) == (True, [], 0)
    assert place.timers.get("report").timer.trigger == first.timer.trigger
    same = program.does("PUT", REPORT, {"function": "send", "every_s": 90})
    assert same["revision"] == again["revision"]


def test_patch_changes_what_it_names(place: Place, program: Program) -> None:
    """Another zone of the same expression, another kind of trigger, a new name."""
    program.does("PUT", REPORT, CRON | {"retries": 3}, status=201)
    program.does("PATCH", REPORT, {"tz": "Asia/Tokyo", "description": "x"})
    timer = place.timers.get("report").timer
    assert timer.trigger == Cron("0 30 2 ? * MON-FRI", "Asia/Tokyo")
    assert (timer.retries, timer.description) == (3, "x")
    assert program.refused(422, "PATCH", REPORT, {"every": 60, "dst": "quartz"})["field"] == "dst"
    program.does("PATCH", REPORT, {"every": 60})
    assert isinstance(place.timers.get("report").timer.trigger, Every)
    assert program.refused(422, "PATCH", REPORT, {"tz": "UTC"})["field"] == "tz"
    assert program.refused(422, "PATCH", REPORT, {})["detail"].startswith("nothing to change")
    renamed = program.does("PATCH", REPORT, {"name": "other", "why": "clearer"})
    assert renamed["name"] == "other"
    assert program.refused(404, "GET", REPORT)["detail"].startswith("no timer")
    (change, *_) = program.get("changes?name=other&environment=production")["items"]
    assert (change["action"], change["why"], change["author"], change["way"]) == (
        "renamed", "clearer", "operator", "api",
    )  # fmt: skip


def test_whoever_was_faster_wins(place: Place, program: Program) -> None:
    """If-Match with another revision changes nothing, and If-None-Match: * only creates."""
    first = program.send("PUT", REPORT, CRON, If_None_Match="*")
    assert first.status_code == 201
    assert program.refused(412, "PUT", REPORT, CRON, If_None_Match="*")["field"] == "name"
    etag = first.headers["ETag"]
    program.does("PATCH", REPORT, {"retries": 1}, If_Match=etag)
    for method, address, body in (
        ("PATCH", REPORT, {"retries": 2}),
        ("PUT", REPORT, CRON),
        ("DELETE", REPORT, None),
        ("POST", f"{REPORT}/enable", None),
        ("POST", f"{REPORT}/disable", None),
        ("POST", f"{REPORT}/reset", None),
    ):
        program.refused(412, method, address, body, If_Match=etag)
        program.refused(412, method, address, body, If_Match='"')
    program.refused(412, "PUT", "timers/production/new", CRON, If_Match="*")
    entry = place.timers.get("report")
    assert (entry.timer.retries, entry.timer.enabled) == (1, False)
    assert program.send("DELETE", f"{REPORT}?why=over", If_Match=f'"{entry.revision}"').status_code == 204
    assert program.get("changes")["items"][0]["why"] == "over"


def test_a_misspelt_name_gets_the_nearest(place: Place, program: Program) -> None:
    """In the text, and alone."""
    place.fill()
    problem = program.refused(404, "POST", "timers/production/reprot/enable")
    assert (problem["fix"], "did you mean 'report'?" in problem["detail"]) == ("report", True)


def test_enable_disable_and_reset(place: Place, program: Program) -> None:
    """With the reason, and with the time until which a timer is disabled."""
    program.does("PUT", REPORT, CRON, status=201)
    assert program.does("POST", f"{REPORT}/enable", {"why": "ready"})["enabled"]
    assert not program.does("POST", f"{REPORT}/disable", {"until": "+2h"})["enabled"]
    with place.store.reading() as connection:
        assert [pause.until for pause in read_pauses(connection)] == [START + timedelta(hours=2)]
    until = (START + timedelta(days=1)).isoformat()
    assert not program.does("POST", f"{REPORT}/disable", {"until": until})["enabled"]
    with place.store.reading() as connection:
        (pause,) = read_pauses(connection)
    assert pause.until == START + timedelta(days=1)
    assert program.refused(422, "POST", f"{REPORT}/disable", {"until": "2020-01-01T00:00Z"})["field"] == "until"
    program.does("POST", f"{REPORT}/reset")


def test_pages_of_timers(place: Place, program: Program) -> None:
    """Filters, the cursor, and the link to the next page; an unknown filter is refused."""
    place.timers.add(
        [Timer(name=f"t{n}", function="f" if n % 2 else "g", trigger=Every(60), tags=["x"]) for n in range(5)],
        now=place.now,
    )
    seen: list[str] = []
    address = "timers?limit=2&q=t"
    while True:
        answer = program.send("GET", address)
        seen += [item["name"] for item in answer.json["items"]]
        if answer.json["next"] is None:
            break
        address = "timers" + answer.headers["Link"].partition("<")[2].partition(">")[0]
    assert seen == [f"t{n}" for n in range(5)]
    assert [item["name"] for item in program.get("timers?function=f&tag=x&state=disabled")["items"]] == ["t1", "t3"]
    for query in ("colour=red", "limit=0", "limit=1001", "state=odd", "environment=moon"):
        assert program.refused(422, "GET", f"timers?{query}")["field"] == query.partition("=")[0]
    program.refused(400, "GET", "timers?cursor=nonsense")


# Several at once


def test_bulk_does_all_or_nothing(place: Place, program: Program) -> None:
    """By names or by a filter; first as a dry run."""
    place.timers.add(
        [Timer(name=f"t{n}", function="f", trigger=Every(60), tags=["x"]) for n in range(3)]
        + [Timer(name="over", function="f", trigger=Every(60), environment=Environment.STAGE)],
        now=place.now,
    )
    names = [{"name": f"t{n}"} for n in range(3)]
    dry = program.does("POST", "timers/bulk", {"action": "enable", "filter": {"tag": "x"}, "dry_run": True})
    assert [key["name"] for key in dry["timers"]] == ["t0", "t1", "t2"]
    assert not any(entry.timer.enabled for entry in place.timers.list())
    before = place.timers.list()
    missing = {"action": "enable", "timers": [*names, {"name": "t9"}]}
    program.refused(404, "POST", "timers/bulk", missing)
    assert place.timers.list() == before
    program.does("POST", "timers/bulk", {"action": "enable", "timers": names, "why": "all of them"})
    assert [entry.timer.enabled for entry in place.timers.list()] == [True, True, True, False]
    assert {item["why"] for item in program.get("changes?limit=3")["items"]} == {"all of them"}
    program.does("POST", "timers/bulk", {"action": "run", "filter": {"environment": "production"}})
    assert len(program.get("runs")["items"]) == 3
    program.does("POST", "timers/bulk", {"action": "disable", "filter": {"state": "enabled"}})
    program.does("POST", "timers/bulk", {"action": "remove", "filter": {}})
    assert place.timers.list() == []
    assert program.does("POST", "timers/bulk", {"action": "remove", "filter": {}})["timers"] == []


WRONG_BULK: list[dict[str, Any]] = [
    {"action": "enable"},
    {"action": "enable", "timers": [], "filter": {}},
    {"action": "explode", "filter": {}},
    {"action": "enable", "timers": [{"name": "a"}] * (MAX_TIMERS + 1)},
    {"action": "enable", "filter": {"colour": "red"}},
]


def test_a_wrong_bulk_is_refused(program: Program) -> None:
    """Without a choice, with two, with too many."""
    for body in WRONG_BULK:
        program.refused(422, "POST", "timers/bulk", body)


def test_one_that_refuses_stops_all(place: Place, program: Program) -> None:
    """As a timer that would never fire again; it is named."""
    over = Timer(name="over", function="f", trigger=Every(60), ends_at=START + timedelta(hours=1))
    place.timers.add([over, Timer(name="t", function="f", trigger=Every(60))], now=place.now)
    place.wait(days=1)
    problem = program.refused(422, "POST", "timers/bulk", {"action": "enable", "filter": {}})
    assert "'over'" in problem["detail"]
    assert not any(entry.timer.enabled for entry in place.timers.list())


# Requested runs


def test_a_run_is_requested_once_for_a_key(place: Place, program: Program) -> None:
    """The same key within a day gives the same run; another request with it is refused."""
    program.does("PUT", REPORT, CRON, status=201)
    body = {"params": {"n": 1}, "note": "look"}
    answer = program.send("POST", f"{REPORT}/runs", body, Idempotency_Key="k1")
    assert answer.status_code == 202
    assert answer.headers["Location"] == "../../../runs/1"
    assert answer.json["own_params"] == {"n": 1}
    assert program.does("POST", f"{REPORT}/runs", body, Idempotency_Key="k1", status=202)["id"] == 1
    assert program.does("POST", f"{REPORT}/runs", body, Idempotency_Key="k2", status=202)["id"] == 2
    assert program.does("POST", f"{REPORT}/runs", status=202)["id"] == 3
    other = program.refused(422, "POST", f"{REPORT}/runs", {"params": {"n": 2}}, Idempotency_Key="k1")
    assert other["field"] == "Idempotency-Key"
    colleague = Program(place, name="colleague")
    assert colleague.does("POST", f"{REPORT}/runs", body, Idempotency_Key="k1", status=202)["id"] == 4
    place.wait(hours=25)
    assert program.does("POST", f"{REPORT}/runs", body, Idempotency_Key="k1", status=202)["id"] == 5
    program.refused(422, "POST", f"{REPORT}/runs", body, Idempotency_Key="x" * 256)
    requested = [item for item in program.get("changes")["items"] if item["action"] == "requested"]
    assert [(item["after"]["run"], item["why"]) for item in requested][-1] == (1, "look")
    assert len(requested) == 5


def test_times_are_written_as_people_write_them(place: Place, program: Program) -> None:
    """In every field for a time; a plus sign of an address may have become a space."""
    made = program.does("PUT", REPORT, CRON | {"starts_at": "tomorrow 8:00", "ends_at": "in 3 days"}, status=201)
    assert datetime.fromisoformat(made["starts_at"]) == datetime(2026, 12, 1, 13, tzinfo=UTC)
    changed = program.does("PATCH", REPORT, {"ends_at": "+4d", "starts_at": None})
    assert datetime.fromisoformat(changed["ends_at"]) == START + timedelta(days=4)
    for text in ("%2B2d", "+2d", "in 2 days"):
        fires = program.get(f"{REPORT}/fires?from={text}&limit=1")["items"]
        assert datetime.fromisoformat(fires[0]["fire_time"]) > START + timedelta(days=2)
    assert program.get("changes?since=-1h")["items"]
    assert program.get("changes?since=2 hours ago&until=1h ago")["items"] == []
    problem = program.refused(422, "PATCH", REPORT, {"ends_at": "soon"})
    assert (problem["field"], "is not a time" in problem["detail"]) == ("ends_at", True)
