"""A project: a folder with a cloud.py, its settings, keys, functions and store.

The files of this folder:

    project.py          Project: the folder, with its settings, store and functions
    settings.py         Settings: every value, and its origin
    setting_table.py    the table of settings
    keys.py             the keys of the application
    data_folder.py      the folder `.scheduler`, for the store and the keys
    preview_sources.py  the sources of environment stage
    function_check.py   whether the function of a timer exists and takes its parameters
    suggestions.py      proposals for a misspelt name
"""
