"""Claims: what a daemon writes into the store, and the runs that users request.

The files of this folder:

    leases.py           the invariants; Lease: a daemon's row, and taking over from dead daemons
    session_lock.py     SessionLock: a daemon's session and lock on PostgreSQL
    processes.py        whether a daemon's process on this machine still runs
    claims.py           Claims: the transactions that claim due timers and record results
    batch.py            Batch: the writes of one claim
    timer_cache.py      TimerCache: timers that were read, by id and revision
    waiting_runs.py     which waiting runs begin, and in which order
    open_runs.py        which open runs keep their timer from firing
    releases.py         undoing claims whose tasks were not handed out
    results.py          writing how runs ended; retries; breakers
    abandoned_runs.py   how a run ends whose daemon or worker is gone
    cancellations.py    runs that users want to end: the request, and what waits ends with it
    unknown_commits.py  UnknownCommits: transactions whose commit was not answered
    requested_runs.py   manual runs and backfills, which users request
"""
