"""UpOptions: the options of `scheduler up`, as the supervisor passes them to its processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..core.timer import Environment
from ..errors import ConfigError
from ..project.preview_sources import PreviewSource
from ..project.project import Project, current_project

if TYPE_CHECKING:
    from ..store.database import Store


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The settings that the command line overrides, the target, and whether there is a preview.

    Each process makes its own project from it, so that a process that is started later has the current settings.
    `generated_keys` are the keys that the supervisor found or made; all processes have them in their environment.
    `has_made_keys`: it made their file.
    `is_preview`: it is for a preview, in the folder of its sources. `has_store`: the store existed before.
    `console_url`: where browsers reach the console, if it is served. `rules_because`: why the rules apply, for
    the console. `engines`: where the functions of each environment are reached, for the console.
    """

    overrides: Mapping[str, Any]
    target: str | None = None
    has_preview: bool = False
    preview_folder: str | None = None
    as_json: bool = False
    generated_keys: Mapping[str, str] | None = None
    has_made_keys: bool = False
    is_preview: bool = False
    has_store: bool = False
    console_url: str | None = None
    rules_because: str = ""
    engines: Mapping[str, str] | None = None

    def as_values(self) -> dict[str, Any]:
        """These options as JSON values."""
        return asdict(self)

    def project(self) -> Project:
        """The project; with a preview, it is that of production."""
        project = current_project(**self.overrides)
        return _as_production(project) if self.has_preview else project

    def open_store(self, project: Project) -> Store:
        """Open the store; a process that replaces another one must not create a file again that was moved."""
        return project.open_store() if self.has_store else project.open_or_create_store()

    def target_name(self, project: Project) -> str:
        """The target to serve; TargetError if there is none."""
        return project.required_target_name(self.target)

    def preview_source(self, project: Project) -> PreviewSource | None:
        """The sources of the preview; None if there is none."""
        return PreviewSource.find(project, self.preview_folder, self.target) if self.has_preview else None


def _as_production(project: Project) -> Project:
    """The project with the environment production; ConfigError if stage was requested."""
    if project.only_environment is Environment.STAGE:
        origin = project.settings.origin("environment")
        raise ConfigError(f"{origin}: with a preview (--stage PORT), the environment must be production")
    return Project(replace(project.settings, environment=Environment.PRODUCTION.value))
