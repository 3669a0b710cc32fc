"""Timers, runs and lines as text, JSON and CSV: what the command line and other front ends show.

The files of this folder:

    display.py      instants, durations, outcomes and tables on a terminal
    json.py         timers, runs and lines as JSON objects
    lines.py        a printed line as text
    timer_lists.py  lists of timers as CSV or JSON text
    error_text.py   an exception as one line
"""
