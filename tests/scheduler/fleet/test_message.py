"""What a message of the broker may contain: which runs to begin. Everything else in it is ignored."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from scheduler.core.run import Kind, Task
from scheduler.core.timer import Environment
from scheduler.fleet.message import (
    MOST_RUNS,
    TASK,
    MessageError,
    RunKey,
    arguments,
    cleaned,
    hard_limit_s,
    is_envelope,
    parsed,
)
from scheduler.fleet.runs import FleetRuns
from tests.scheduler.fleet.test_runs import WORKER, begun
from tests.scheduler.scripted_service import START, Service

pytest.importorskip("kombu")

CHANNEL = "scheduler_0123456789abcdef"
KEY = [7, "00ff00ff00ff00ff"]


def task(run_id: int) -> Task:
    return Task(run_id, 1, "t", "f", "production", "{}", 15.0, Kind.SCHEDULED, START, 1, f"{run_id:016x}", False)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_what_a_daemon_sends_is_what_a_worker_reads(count: int) -> None:
    """Through JSON, with the limit of the runs."""
    sent = arguments([task(number) for number in range(1, count + 1)], CHANNEL)
    message = parsed(json.loads(json.dumps(sent)), [hard_limit_s(15.0, count), None])
    assert message.runs == tuple(RunKey(number, f"{number:016x}") for number in range(1, count + 1))
    assert (message.channel, message.limit_s) == (CHANNEL, 15.0)


def test_of_a_message_of_an_earlier_version_the_ids_are_believed() -> None:
    """Not its function, its parameters or the name of its timer."""
    old = [7, "pay", '{"to": "mallory"}', 15.0, "00ff00ff00ff00ff", "harmless", 0, 1, False]
    assert parsed([[old], CHANNEL], (15.2, None)).runs == (RunKey(7, "00ff00ff00ff00ff"),)


@pytest.mark.parametrize(
    "arguments",
    [
        [], None, {}, {"a": 1}, "word", 7, [[], []], [[], [], []], [[KEY]], [[KEY], None], [[KEY], CHANNEL, 1],
        [[], CHANNEL], [["word"], CHANNEL], [[[]], CHANNEL], [[None], CHANNEL], [[{"0": 7}], CHANNEL],
        [[[KEY]], CHANNEL], [{"a": KEY}, CHANNEL], [[[7]], CHANNEL], [[["7", "ff"]], CHANNEL], [[[7, 8]], CHANNEL],
        [[[True, "ff"]], CHANNEL], [[[-1, "ff"]], CHANNEL], [[[2**63, "ff"]], CHANNEL], [[[7.0, "ff"]], CHANNEL],
        [[[7, ""]], CHANNEL], [[[7, "x" * 65]], CHANNEL], [[[7, "ff'; --"]], CHANNEL], [[[7, "ff"] * 4], CHANNEL],
        [[KEY], "scheduler"], [[KEY], "scheduler_0123456789abcde'"], [[KEY], f"{CHANNEL}\n"],
        [[KEY] * (MOST_RUNS + 1), CHANNEL],
    ],
    ids=repr,
)  # fmt: skip
def test_arguments_that_are_not_ours_are_refused(arguments: Any) -> None:
    """With the reason, whatever they are."""
    with pytest.raises(MessageError):
        parsed(arguments, [15.2, None])


@pytest.mark.parametrize(
    "time_limit",
    [
        None, [], 15, "15", [None, None], ["15", None], [True, None], [-1, None], [0, None], [float("nan"), None],
        [float("inf"), None], [1e300, None], {}, {"0": 15},
    ],
    ids=repr,
)  # fmt: skip
def test_a_time_limit_that_is_not_ours_is_refused(time_limit: Any) -> None:
    """It is what Celery kills a child by."""
    with pytest.raises(MessageError):
        parsed([[KEY], CHANNEL], time_limit)


def message(**changes: Any) -> Any:
    """A message of Kombu's, as a daemon sends it, but for these changes."""
    from kombu.message import Message

    content = [[[KEY], CHANNEL], {"a": 1}, {"callbacks": [{"task": TASK}], "chain": None}]
    headers = {"task": TASK, "id": "7", "lang": "py", "timelimit": [15.2, None], "eta": "2099-01-01", "expires": 1}
    values = {"headers": headers, "body": json.dumps(content), "content_type": "application/json"} | changes
    return Message(content_encoding="utf-8", accept=["application/json"], **values)


def test_what_celery_would_obey_besides_is_left_out_of_a_message() -> None:
    """Callbacks, a time to wait for and a time to expire."""
    clean = message(properties={"reply_to": "somebody"})
    cleaned(clean)
    assert clean.payload == json.loads(clean.body) == [[[KEY], CHANNEL], {}, {}]
    assert clean.headers["timelimit"] == [15.2, None]
    assert not {"eta", "expires"} & clean.headers.keys()
    assert clean.properties == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"body": None}, {"body": ""}, {"body": "word"}, {"body": "null"}, {"body": "{}"}, {"body": "[]"},
        {"body": "[" * 100_000}, {"body": "1" * 5_000}, {"body": b"\xff\xfe"}, {"body": "[[" + "1," * 1_000_000},
        {"headers": {}}, {"headers": {"task": "os.system"}}, {"headers": {"task": TASK}},
        {"headers": {"task": TASK, "id": 7, "timelimit": [15.2, None]}},
        {"content_type": "application/x-python-serialize", "body": b"cos\nsystem\n(S'id'\ntR."},
        {"content_type": "application/x-nonesuch"},
    ],
    ids=lambda changes: repr(changes)[:60],
)  # fmt: skip
def test_a_message_that_is_not_ours_is_refused(changes: dict[str, Any]) -> None:
    """Before Celery reads it."""
    with pytest.raises(MessageError):
        cleaned(message(**changes))


@pytest.mark.parametrize(
    "payload",
    [
        None, [], "word", 7, {}, {"body": "x"}, {"body": 7, "properties": {}, "headers": {}},
        {"body": "x", "properties": [], "headers": {}}, {"body": "x", "properties": {}, "headers": {}},
        {"body": "x", "properties": {"delivery_tag": "t", "delivery_info": {"exchange": []}}, "headers": {}},
    ],
    ids=repr,
)  # fmt: skip
def test_a_text_in_a_queue_that_is_no_message(payload: Any) -> None:
    """Kombu's own would raise."""
    assert not is_envelope(payload)


def test_function_parameters_and_limit_come_from_the_row(service: Service) -> None:
    """A message with another limit, or for another environment, begins nothing."""
    fleet = FleetRuns(service.store)
    task = begun(service, limit_s=3.0, params={"a": 1})
    key = (task.run_id, task.request_id, WORKER, START)
    assert fleet.begin(*key, limit_s=600.0) is None
    assert fleet.begin(*key, limit_s=0.1) is None
    assert fleet.begin(*key, limit_s=3.0, environments=["stage"]) is None
    assert fleet.limits([task.run_id, 99]) == {task.run_id: 3.0}
    assert fleet.begin(*key, limit_s=3.0, environments=["production"]) == task._replace(past_due=False)
    assert fleet.begin(task.run_id, task.request_id, WORKER, START + timedelta(seconds=1)) is None


def test_a_run_whose_timer_is_removed_does_not_begin(service: Service) -> None:
    """Its parameters are gone."""
    fleet, task = FleetRuns(service.store), begun(service)
    service.timetable.remove("t", Environment.PRODUCTION)
    assert fleet.begin(task.run_id, task.request_id, WORKER, START) is None
    assert fleet.limits([task.run_id]) == {}
