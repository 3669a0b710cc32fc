"""A Celery fleet: functions run by workers on any machines, behind a broker; the row of a run is authoritative.

    kind.py               the row of the kind `celery`: made from the settings, checked by the doctor
    executor.py           CeleryExecutor: publishes tasks for the daemon and watches their rows
    publisher.py          Publisher: sends messages to the broker
    runs.py               FleetRuns: what workers and daemons read and write in the rows of runs
    message.py            what a message says, and what of it is believed
    broker.py             the Celery app of an address; queues; PGMQ's tables
    broker_connection.py  opening a connection to the broker
    worker.py             the main process of a worker: takes messages, handles children that died
    child.py              a child process of a worker, in which functions run
    notes.py              what a child has printed and ended and not yet written to the store
    presence.py           which workers serve which environment
    unwritten_endings.py  writes the endings that children could not write
    cancellations.py      kills the child whose run is to be cancelled
    stopping.py           ends a worker in bounded time after a signal
    celery_consumer.py    ⎫
    celery_pool.py        ⎬ classes that Celery's settings name; each overrides methods of Celery, billiard or Kombu
    pgmq_transport.py     ⎪
    redis_transport.py    ⎭
    malformed_messages.py  drops malformed messages, for both of these

How a hung function is killed: Celery kills the child at the hard time limit of the message (executor.py sets it) and
calls `FleetRequest.on_timeout` (worker.py), which has `EndingWriter` kill what the function started and end the run.
"""
