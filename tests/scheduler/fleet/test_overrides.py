"""The parts of Celery, billiard and Kombu that they do not document and a fleet relies on: each is still what it was.

A failure here is no fault by itself. Compare the named method with that of the version before, adapt the file of
scheduler/fleet that relies on it (each lists what it takes in one comment block), run test_executor.py, and only then
enter the new digest.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import select
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest

pytest.importorskip("celery")
pytest.importorskip("pgmq")

#: The methods that are overridden, or called though they are private, and the SHA-256 of their source, first 12 digits:
#: in Celery 5.7.0, billiard 4.3.2, Kombu 5.7.0 and pgmq 1.1.4.
METHODS = {
    # celery_consumer.py
    "celery.worker.consumer.consumer:Consumer.ensure_connected": "3f79cf3bb6d6",
    "celery.worker.consumer.consumer:Consumer.call_soon_ack": "39f8579d0762",
    "celery.worker.consumer.consumer:Consumer.register_with_event_loop": "aacc1dedab42",
    "celery.worker.consumer.consumer:Consumer.create_task_handler": "292c5a681f10",
    "celery.worker.state:maybe_shutdown": "e15d0ed41e2c",
    # stopping.py
    "celery.apps.worker:_shutdown_handler": "901e0a5a2b3d",
    # celery_pool.py
    "billiard.pool:Worker._ensure_messages_consumed": "2349f7e1103d",
    "billiard.pool:Worker._make_child_methods": "77aa0671e341",
    "billiard.pool:Worker.workloop": "ce4a856cce2b",
    "billiard.pool:Worker._do_exit": "4dcc35c9d032",
    "billiard.pool:Supervisor.body": "ec928e45b9cd",
    "billiard.pool:TimeoutHandler._trywaitkill": "22ba4cecd56e",
    "billiard.pool:Worker.prepare_result": "023744580253",
    "billiard.pool:ResultHandler._make_methods": "9b6ed6767639",
    "billiard.pool:Pool._maintain_pool": "579effe2392d",
    "billiard.pool:ApplyResult._set": "edd668961abb",
    "billiard.pool:Pool._setup_queues": "7ef6c413248d",
    "billiard.queues:SimpleQueue.get_payload": "0979c55d9607",
    "billiard.queues:SimpleQueue.send_payload": "14ed0f5b88bc",
    "billiard.pool:Pool._help_stuff_finish": "14190e64ebe1",
    "celery.concurrency.asynpool:AsynPool._track_child_process": "18b122697979",
    "celery.concurrency.asynpool:AsynPool.on_job_process_down": "ac53c414f342",
    "celery.concurrency.asynpool:AsynPool.on_partial_read": "99d11508d733",
    "celery.concurrency.prefork:TaskPool.on_start": "7fcf20251a65",
    # pgmq_transport.py
    "kombu.transport.pgmq:Channel.basic_consume": "ac5cf328bc3a",
    "kombu.transport.pgmq:Channel._new_queue": "12a4d5bade95",
    "kombu.transport.pgmq:Channel._size": "dd10ebd3a60b",
    "kombu.transport.pgmq:Channel._maybe_enable_notify": "6647ab21b04c",
    "kombu.transport.pgmq:Transport.drain_events": "a36052be24ba",
    "kombu.transport.pgmq:Transport.close_connection": "bf064e256a61",
    "kombu.transport.pgmq:Transport._create_pgmq_client": "77327d15612a",
    "kombu.transport.pgmq:Transport._get_notify_waiter": "426df11add56",
    "kombu.transport.pgmq:Transport._register_notify_queue": "24ac52998ef3",
    "kombu.transport.pgmq:Channel._pgmq_messages_to_python": "17163e1bbb7c",
    "kombu.transport.pgmq:_NotifyWaiter.wait": "9a792136e7c6",
    "kombu.transport.pgmq:_NotifyWaiter._ensure_conn": "ae81cce2e25d",
    # redis_transport.py, malformed_messages.py
    "kombu.transport.redis:Channel._brpop_read": "c42518699709",
    "kombu.transport.redis:Transport.register_with_event_loop": "4b835642e4a9",
    "kombu.transport.virtual.base:Transport._deliver": "799e242f3ec5",
    # worker.py
    "celery.worker.request:Request.on_timeout": "3d26ce896008",
    "celery.worker.request:Request.on_failure": "21736ec661cd",
    "billiard.pool:Pool.mark_as_worker_lost": "04ba0f944add",
    "billiard.common:human_status": "ac65587f4ec0",
}


@pytest.mark.parametrize("path", METHODS)
def test_a_method_that_ours_builds_on_has_not_changed(path: str) -> None:
    """Its source is that which our method was written against."""
    module, _, names = path.partition(":")
    method: Any = import_module(module)
    for name in names.split("."):
        method = getattr(method, name)
    digest = hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:12]
    package = module.partition(".")[0]
    assert digest == METHODS[path], (
        f"{package} {version(package)} has another {names} than the one that scheduler/fleet was written against; "
        f"compare them, adapt ours, then enter {digest!r} in METHODS"
    )


#: Private attributes that are read, by the class whose source sets them.
ATTRIBUTES = {
    "billiard.pool:Worker": "on_ready_counter on_exit wait_for_job",
    "billiard.pool:Supervisor": "pool _state _maintain_pool",
    "billiard.pool:Pool": "_pool _maintain_pool _inqueue _outqueue _setup_queues _help_stuff_finish "
    "_on_ready_counters _result_handler _putlock Worker Supervisor TimeoutHandler",
    "billiard.queues:SimpleQueue": "_rlock _wlock",
    "billiard.pool:ApplyResult": "_worker_lost _worker_pid _job _write_to _accepted _cache _set discard ready",
    "celery.concurrency.asynpool:AsynPool": "Worker _sentinel_poll _track_child_process timers _write_to _accepted",
    "celery.concurrency.prefork:TaskPool": "Pool BlockingPool",
    "celery.worker.consumer.consumer:Consumer": "first_connection_attempt hub pool",
    "celery.worker.request:Request": "_apply_result worker_pid hostname args",
    "kombu.transport.pgmq:Channel": "pgmq _queue_name",
    "kombu.transport.pgmq:Transport": "_pgmq_client _notify_waiter _get_pgmq_client",
    "kombu.transport.virtual.base:Transport": "cycle _deliver",
    "kombu.connection:Connection": "transport_cls _transport",
    "kombu.message:Message": "_decoded_cache",
    "kombu.asynchronous.hub:Hub": "call_repeatedly call_later create_loop on_tick",
}


@pytest.mark.parametrize("path", ATTRIBUTES)
def test_a_class_has_what_ours_uses(path: str) -> None:
    """By the names in its source: many are set when an object is made."""
    module, _, name = path.partition(":")
    source = inspect.getsource(getattr(import_module(module), name))
    package = module.partition(".")[0]
    gone = [attribute for attribute in ATTRIBUTES[path].split() if attribute not in source]
    assert not gone, f"{package} {version(package)}: {name} has no {', '.join(gone)}, which scheduler/fleet uses"


def test_the_classes_that_celery_looks_up_are_ours() -> None:
    """Each overrides the class that its library would use in that place."""
    from billiard.pool import Pool, Supervisor, Worker
    from celery.concurrency import asynpool, prefork
    from celery.worker.consumer import Consumer
    from kombu.transport import pgmq

    from scheduler.fleet import celery_consumer, celery_pool, pgmq_transport

    assert prefork.TaskPool.BlockingPool is Pool
    assert issubclass(asynpool.AsynPool.Worker, Worker)
    assert celery_pool.TaskPool.Pool.Worker is celery_pool._PoolWorker
    assert (Pool.Worker, Pool.Supervisor) == (Worker, Supervisor)
    assert celery_pool.TaskPool.BlockingPool.Worker is celery_pool._ThreadPoolWorker
    assert issubclass(celery_consumer.Consumer, Consumer)
    assert pgmq_transport.PgmqTransport.Channel is pgmq_transport.PgmqChannel
    assert pgmq.Transport.Channel is pgmq.Channel


def test_the_client_of_pgmq_takes_what_ours_passes() -> None:
    """A pool of connections instead of its own, and a connection for each call."""
    from pgmq import PGMQueue

    assert {"vt", "init_extension", "pool"} <= inspect.signature(PGMQueue).parameters.keys()
    for name in ("create_queue", "enable_notify", "metrics"):
        assert "conn" in inspect.signature(getattr(PGMQueue, name)).parameters, name


def test_the_client_of_pgmq_logs_to_the_logging_module() -> None:
    """Where loguru is installed, its own would show each message that it sends."""
    loguru = pytest.importorskip("loguru")

    from scheduler.fleet.pgmq_transport import _Client

    shown: list[str] = []
    sink = loguru.logger.add(shown.append)
    try:
        client = _Client(pool=object(), init_extension=False)
    finally:
        loguru.logger.remove(sink)
    assert shown == []
    assert client.logger is logging.getLogger("pgmq.queue")


def test_a_child_whose_end_another_thread_has_noted_is_killed_no_more() -> None:
    """Its descriptor is closed by then; an error in that thread would end the whole worker."""
    from scheduler.fleet.celery_pool import _TimeoutHandler

    class Ended:
        _name = "child"
        pid = 0

        class _popen:
            @staticmethod
            def wait(timeout: float) -> None:
                raise ValueError(f"invalid file descriptor after {timeout} s")

        @staticmethod
        def terminate() -> None:
            pass

    _TimeoutHandler._trywaitkill(object.__new__(_TimeoutHandler), Ended())


def test_what_a_child_answers_fits_into_one_write_to_a_pipe() -> None:
    """Even for a run whose ending the store did not take: a child that is killed leaves no part of an answer."""
    from billiard.einfo import ExceptionInfo
    from billiard.reduction import ForkingPickler

    from scheduler.fleet.celery_pool import _ThreadPoolWorker
    from scheduler.fleet.child import UnwrittenError

    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise UnwrittenError(7)

    with pytest.raises(UnwrittenError) as caught:
        fail(20)
    information = ExceptionInfo((UnwrittenError, caught.value, caught.tb), internal=True)
    answer = object.__new__(_ThreadPoolWorker).prepare_result((1, information, 0.1))
    # A view in a frame that a traceback keeps is an error when the collector closes its file, since Python 3.13.
    packed = bytes(ForkingPickler.dumps(answer))
    assert len(packed) < select.PIPE_BUF - 500
    assert ForkingPickler.loads(packed)[1].exception.args == (7,)
