"""The checks of `scheduler doctor`: examination.py runs them all; each returns findings (findings.py)."""
