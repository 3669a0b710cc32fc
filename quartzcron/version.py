"""The version of the installed distribution."""

from __future__ import annotations


def version() -> str:
    """The version, such as "0.1.0"; "unknown" where the package is used without being installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("quartzcron")
    except PackageNotFoundError:
        return "unknown"
