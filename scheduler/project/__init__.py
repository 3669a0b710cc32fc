"""A project: a folder with a cloud.py, its settings, keys, functions and store."""
