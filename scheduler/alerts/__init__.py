"""Delivers alerts and heartbeats, in a process of its own, so that a slow target never delays the daemon."""
