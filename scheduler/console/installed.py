"""Whether the packages of the console are installed; they are an extra of their own."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import ConfigError
from ..install import install_command

_PACKAGES = ("flask", "limits", "pydantic", "flask_openapi3")


def is_installed() -> bool:
    """Whether the console can be started here."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def check_installed() -> None:
    """ConfigError, with the command that installs it, if the console cannot be started."""
    if not is_installed():
        raise ConfigError(f"the console is not installed: {how_to_install()}")


def how_to_install() -> str:
    """The command that installs the console: beside LeanCloud's SDK, which needs an older Flask, elsewhere."""
    command = install_command("console")
    if find_spec("leancloud") is None:
        return command
    elsewhere = f"python3 -m venv console && console/bin/{command} && console/bin/scheduler console"
    return f"LeanCloud's SDK needs an older Flask, so give the console an environment of its own: {elsewhere}"
