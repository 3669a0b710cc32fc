"""The engine speaks the LeanEngine protocol."""
