"""Claims: what a daemon writes into the store, and the runs that users request.

docs/files.md says what each file holds.
"""
