"""The daemon: one thread that claims due timers, hands their tasks to executors, and records how the runs ended.

    loop.py            Daemon: the loop, and the order of a turn
    claim_ahead.py     ClaimAhead: timers claimed shortly before they are due
    dispatch.py        Dispatch: the executor of each environment
    result_buffer.py   ResultBuffer: results that are not in the store yet
    sleeper.py         Sleeper: until when the daemon sleeps, and what wakes it
    linux_wakeups.py   descriptors of Linux that wake it: the clock was set, a file was changed
    clock_setback.py   ClockSetback: what happens when the system clock is set back
    store_outage.py    StoreOutage: what is logged when the store does not answer, and answers again
    events.py          listeners, and log messages about breakers and abandoned runs

It knows executors by their protocols only (executors/__init__.py).
"""
