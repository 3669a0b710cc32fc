"""Quartz expressions in other hosts, one file for each. None is imported before it is asked for."""
