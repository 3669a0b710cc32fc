"""A Celery fleet: functions run by workers on any machines, behind a broker; the row of a run is authoritative.

docs/files.md says what each file holds.

How a hung function is killed: Celery kills the child at the hard time limit of the message (executor.py sets it) and
calls `FleetRequest.on_timeout` (worker.py), which has `EndingWriter` kill what the function started and end the run.
"""
