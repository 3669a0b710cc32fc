"""A project: a folder with a cloud.py, its settings, keys, functions and store.

docs/files.md says what each file holds.
"""
