"""A timer service: named timers call registered cloud functions, and every fire is accounted for.

    scheduler.timer       Timer and its triggers, Cron and Every
    scheduler.daemon      the loop that claims what is due, has it run and records how it ended
    scheduler.engine      the WSGI adapter that answers the LeanEngine protocol
    scheduler.cli         the command line: up, timers, runs, logs, call, next, demo

The rooms and who may import whom are described in docs/architecture.md.
"""
