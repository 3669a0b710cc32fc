"""The checks of `scheduler doctor`: examination.py runs them all, findings.py is what each of them returns."""
