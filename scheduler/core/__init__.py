"""The rules of the scheduler as values and pure functions: no clock, file, socket, thread, log or store.

docs/files.md says what each file holds.
"""
