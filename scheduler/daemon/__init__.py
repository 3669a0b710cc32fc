"""The daemon: a thread that claims due timers, hands their tasks to executors, and records how the runs ended;
and a second one that enforces limits while the first one waits for the store.

docs/files.md says what each file holds.

It uses executors only through their protocols (executors/__init__.py).
"""
