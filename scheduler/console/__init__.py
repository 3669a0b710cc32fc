"""The web console: pages that show, add and change the timers of a store.

It is a process of its own beside daemons, and runs no code of the user. Pages are HTML from the server; a GET changes
nothing, every filter is in the address, and everything works without JavaScript.

docs/files.md says what each file holds.
"""
