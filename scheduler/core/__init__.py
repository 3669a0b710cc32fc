"""The rules of the scheduler as values and pure functions: no clock, file, socket, thread, log or store.

The files of this folder:

    timer.py          Timer: the named trigger of a function
    attributes.py     the table of a timer's attributes
    attribute_checks.py  what each attribute may be
    options.py        Option: what a part of a timer's definition is called in every form
    triggers.py       triggers: the fire times of a timer
    trigger_kinds.py  the table of trigger kinds
    run.py            Task, Ending, Line, Outcome: a run, and how it ended
    misfire.py        which due fire times run, and which are only recorded
    overlap.py        what one claim does to one timer
    breaker.py        the breaker of a timer
    retry.py          when a failed attempt is followed by another one
    forecast.py       which timers fire in a time span
    deadlines.py      limits and deadlines of calls
    log_limits.py     how many lines of a run are kept, and how long each may be
    jitter.py         by how much a timer fires later than its trigger
    timestamps.py     instants as integers, as text, and of wall times
"""
