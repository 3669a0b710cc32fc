"""The daemon: a thread that claims due timers, hands their tasks to executors, and records how the runs ended;
and a second one that keeps their limits while the first one waits for the store.

    loop.py            Daemon: the loop, and the order of a turn
    agenda.py          Agenda: when it does what it does not do in every turn
    upkeep.py          Upkeep: its lease, the runs of dead daemons, pruning the history
    cancellations.py   Cancellations: has executors end the runs that users cancel
    claim_ahead.py     ClaimAhead: timers claimed shortly before they are due
    dispatch.py        Dispatch: the executor of each environment
    give_back.py       releasing tasks that have not begun, when the daemon stops
    recorder.py        Recorder: when results are written into the store
    result_buffer.py   ResultBuffer: results that are not in the store yet
    sleeper.py         Sleeper: until when the daemon sleeps, and what wakes it
    linux_wakeups.py   descriptors of Linux that wake it: the clock was set, a file was changed
    clock_setback.py   ClockSetback: what happens when the system clock is set back
    store_calls.py     StoreCalls: when the loop waits for the store, and the lock that the watch has meanwhile
    watch.py           Watch: does what must not wait then, and ends the daemon in bounded time
    health.py          Health: what the daemon tells of itself
    events.py          listeners, and log messages about breakers and abandoned runs

It knows executors by their protocols only (executors/__init__.py).
"""
