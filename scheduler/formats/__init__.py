"""Timers, runs and lines as text, JSON and CSV: what the command line and other front ends show.

docs/files.md says what each file holds.
"""
