"""Expressions compiled to tables; the next, the previous and the n-th fire time; calendars of excluded days."""
