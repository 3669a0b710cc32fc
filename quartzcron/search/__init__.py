"""Expressions compiled to tables; the next, the last and the n-th fire time; calendars of excluded days."""
