"""Prints pip's constraints for the lowest version of each dependency that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *(one for extra in extras.values() for one in extra)]:
    if bound := re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", requirement):
        print("{}=={}".format(*bound.groups()))
