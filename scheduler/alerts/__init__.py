"""Delivers alerts and heartbeats, in a process of its own, so that no target keeps the daemon waiting."""
