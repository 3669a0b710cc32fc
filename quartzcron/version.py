"""The version of the installed distribution."""

from __future__ import annotations


def version() -> str:
    """The version, such as "0.1.0"; "unknown" if the package is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("quartzcron")
    except PackageNotFoundError:
        return "unknown"
