"""Messages of another program in the queue of a fleet: they end no worker, and call no function."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scheduler.clock import SystemClock
from scheduler.core.run import Outcome
from scheduler.core.timer import Environment
from scheduler.fleet.broker import queues
from scheduler.fleet.message import TASK
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import WatchedDaemon, Worker

pytestmark = pytest.mark.slow

CHANNEL = "scheduler_0123456789abcdef"
#: The first of the three parts of a message's body: the arguments of the Celery task.
ARGUMENTS: list[Any] = [
    [], None, {"a": 1}, "word", 7, [[], []], [[[]], CHANNEL], [["word"], CHANNEL], [[[7, "ff"]], "other"],
    [[[10**30, "ff"]], CHANNEL], [[[7, "nothing", "{}", 1.0, "ff", "t", 0, 1, False]], CHANNEL],
    [[[7, "ff"]] * 1_000, CHANNEL],
]  # fmt: skip
LIMITS: list[Any] = [[15.2, None], None, ["a", "b"], [1e308, 1e308], [-1, None], [], {}, [[], []], 10**400]
BODIES = [json.dumps([some, {}, {}]) for some in ARGUMENTS]
BODIES += ["[]", "null", "{}", "word", '"word"', "[[],[],[]]", '{"a":1}', "[" * 50_000, "1" * 6_000]
#: So many of the messages are in order, but name a run that there is not.
NAME_NO_RUN = 4
#: Texts in place of the whole message, for brokers where it is one.
TEXTS = ["word", "null", "[]", "{}", "7", '"word"', "[[],[],[]]", '{"body": "x", "headers": {}, "properties": {}}']
TEXTS += ['{"__type__": "datetime", "__value__": 7}', '{"__type__": ["a"], "__value__": {}}', "[" * 50_000]


def _headers() -> Iterator[dict[str, Any]]:
    for limit in LIMITS:
        yield {"task": TASK, "id": "x", "lang": "py", "timelimit": limit}
    good = {"task": TASK, "id": "x", "lang": "py", "timelimit": LIMITS[0]}
    yield {}
    yield good | {"task": "os.system"}
    yield good | {"task": ["a"]}
    yield good | {"id": 7}
    yield good | {"id": None}
    yield good | {"eta": "2099-01-01T00:00:00", "expires": "yesterday"}
    yield good | {"compression": "application/x-gzip"}
    yield good | {"group": [], "root_id": {}, "stamps": 7, "retries": "a"}


def _messages() -> Iterator[tuple[dict[str, Any], str]]:
    headers = list(_headers())
    for body in BODIES:
        yield headers[0], body
    for some in headers:
        yield some, json.dumps([[[[7, "ff"]], CHANNEL], {}, {}])


def _envelope(number: int, headers: object, body: str) -> dict[str, Any]:
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "correlation_id": "x",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "scheduler"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": f"tag-{number}",
        },
    }


def _envelopes() -> list[Any]:
    envelopes: list[Any] = [_envelope(n, headers, body) for n, (headers, body) in enumerate(_messages())]
    good = next(_headers())
    for changes in (
        {"body": None}, {"body": 7}, {"body": "%%%"}, {"headers": []}, {"headers": None}, {"properties": []},
        {"properties": {"delivery_tag": "a"}}, {"properties": {"delivery_tag": [], "delivery_info": {}}},
        {"content-type": 7}, {"content-type": "application/x-python-serialize"}, {"content-encoding": "nonesuch"},
        {"content-encoding": 7},
    ):  # fmt: skip
        envelopes.append(_envelope(len(envelopes), good, "[]") | changes)
    return envelopes


@contextmanager
def sender(kind: str, broker: str, url: str, queue: str) -> Iterator[Callable[[], int]]:
    """Sends all of these messages into a queue; returns how many."""
    if kind == "pgmq":
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:

            def send() -> int:
                count = 0
                for text in [*TEXTS, *map(json.dumps, _envelopes())]:
                    try:
                        connection.execute("SELECT pgmq.send(%s, %s::jsonb)", (queue.replace(".", "_"), text))
                        count += 1
                    except psycopg.Error:
                        pass  # it is no JSON for PostgreSQL
                return count

            yield send
    elif kind == "redis":
        import redis

        client = redis.Redis.from_url(broker)

        def send() -> int:
            texts = [*TEXTS, *map(json.dumps, _envelopes()), b"\xff\xfe", b""]
            client.lpush(queue, *texts)
            return len(texts)

        yield send
        client.close()
    else:
        from kombu import Connection

        with Connection(broker) as connection:
            channel = connection.channel()

            def send() -> int:
                count = 0
                for headers, body in _messages():
                    try:
                        message = channel.prepare_message(body, 0, "application/json", "utf-8", headers=headers)
                        channel.basic_publish(message, "", queue)
                        count += 1
                    except Exception:  # it cannot be said in AMQP
                        continue
                message = channel.prepare_message(b"\xff", 0, "x/y", "nonesuch", headers={"task": TASK, "id": "x"})
                channel.basic_publish(message, "", queue)
                return count + 1

            yield send


@pytest.mark.parametrize("kind", ["pgmq", "redis", "rabbitmq"])
def test_messages_that_are_not_ours_are_dropped_and_counted(
    request: pytest.FixtureRequest, postgres: Server, kind: str, tmp_path: Path
) -> None:
    """The same worker then runs a function, and ends in order."""
    broker = "pgmq://" if kind == "pgmq" else request.getfixturevalue(kind).url
    with postgres.database() as url, Store(url) as store:
        worker = Worker(tmp_path, url, broker, concurrency=2)
        try:
            with (
                sender(kind, broker, url, queues(store)["production"]) as send,
                WatchedDaemon(store, broker) as watched,
            ):
                count = send()
                print(f"{count} messages on {kind}")
                for number in range(3):
                    watched.add(f"hello{number}", "hello")
                ended = watched.end_of(*watched.begin("hello0", "hello1", "hello2"))
                assert [run.outcome for run in ended] == [Outcome.SUCCEEDED] * 3
            log = "".join(worker.log)
            assert "dropped a message of the broker, 1 so far" in log
            assert "Traceback" not in log
            # One line each ten seconds.
            assert log.count("is dropped") < 6
            assert worker.process.poll() is None
        finally:
            status = worker.stop() if worker.process.poll() is None else worker.process.returncode
            print(*worker.log, sep="")
        assert status == 0
        assert f"dropped {count - NAME_NO_RUN} messages of the broker in all" in "".join(worker.log)


def test_a_message_with_another_function_calls_the_one_of_the_row(postgres: Server, tmp_path: Path) -> None:
    """And with the parameters of the row: only the ids of the message are used."""
    import psycopg

    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        watched.add("harmless", "hello", params={"name": "you"})
        (run_id,) = watched.begin("harmless")
        queue = queues(store)["production"].replace(".", "_")
        with psycopg.connect(url, autocommit=True) as connection:
            found = f"SELECT msg_id, message FROM pgmq.q_{queue}"
            exists = f"SELECT to_regclass('pgmq.q_{queue}') IS NOT NULL"
            eventually(lambda: connection.execute(exists).fetchone() == (True,))
            ((number, message),) = eventually(lambda: connection.execute(found).fetchall())
            ((keys, channel), _, rest) = json.loads(base64.b64decode(message["body"]))
            ((_, request_id),) = keys
            old = [run_id, "fail", '{"name": "mallory"}', 600.0, request_id, "pay", 0, 1, False]
            body = json.dumps([[[old], channel], {}, rest])
            message["body"] = base64.b64encode(body.encode()).decode()
            update = f"UPDATE pgmq.q_{queue} SET message = %s::jsonb WHERE msg_id = %s"
            connection.execute(update, (json.dumps(message), number))
        worker = Worker(tmp_path, url, "pgmq://", concurrency=1)
        try:
            (run,) = watched.end_of(run_id)
            assert (run.function, run.outcome, run.result) == ("hello", Outcome.SUCCEEDED, '"hello, you"')
        finally:
            assert worker.stop() == 0


def test_a_limit_that_was_edited_holds_for_a_run_that_waits(postgres: Server, tmp_path: Path) -> None:
    """Its message says the earlier one, so another message is sent."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        for name in ("edited", "removed"):
            watched.add(name, "spin", limit_s=600.0)
        run_ids = watched.begin("edited", "removed")
        eventually(lambda: watched.executor.waiting, lambda seen: seen == 2)
        watched.timetable.edit("edited", Environment.PRODUCTION, {"limit_s": 1.0}, now=SystemClock().now())
        watched.timetable.remove("removed", Environment.PRODUCTION)
        worker = Worker(tmp_path, url, "pgmq://", concurrency=2)
        try:
            edited, removed = watched.end_of(*run_ids)
            assert (edited.outcome, edited.error) == (Outcome.TIMED_OUT, "over its limit of 1 s")
            assert removed.outcome is Outcome.ABANDONED
        finally:
            assert worker.stop() == 0


def test_odd_notifications_cost_a_daemon_nothing(postgres: Server) -> None:
    """Anybody who can connect to the database may send them."""
    import psycopg

    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        channel = watched.executor._channel
        with psycopg.connect(url, autocommit=True) as connection:
            for payload in ("", "word", "1,", ",", "-1", "1e9", "٣", "9" * 7_000, "1,2,x", "²", " 7 "):
                connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
        watched.add("t", "hello")
        watched.begin("t")
        eventually(lambda: watched.executor.waiting, lambda count: count == 1)
        assert not watched.daemon.faults["unforeseen"]
