"""Where a command works: the folder that it was started in, its settings, its store, the functions at hand.

Lives here: the options that many commands share, and opening what they name. Never here: printing.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.timer import Environment
from ..errors import StoreUnavailableError, TargetError
from .keys import make_own_folder
from .settings import DEVELOPMENT, OWN_FOLDER, Settings, read

if TYPE_CHECKING:
    from ..functions.loading import Target
    from ..store.database import Store


#: A LeanEngine project is started by its wsgi.py, which imports the cloud.py; so that one comes first.
USUAL_TARGETS = ("wsgi.py", "cloud.py")


@dataclass(frozen=True, slots=True)
class Project:
    """The settings of a command, and what they lead to."""

    config: Settings

    @property
    def environment(self) -> Environment:
        """The environment that is meant where none is named."""
        return self.deployed or Environment.PRODUCTION

    @property
    def deployed(self) -> Environment | None:
        """The only environment that is served, None where both are, in development."""
        return None if self.config.environment == DEVELOPMENT else Environment(self.config.environment)

    def store(self) -> Store:
        """Open the store, which must be there: a wrong folder must not look like an empty store."""
        from ..store.database import Store

        path = self.store_file
        if path is not None and not path.exists():
            origin = self.config.origin("store")
            named = "" if origin == "the default" else f" (named by {origin})"
            raise StoreUnavailableError(
                f"there is no store at {path}{named}; `scheduler up` and `scheduler timers add` make one, "
                "--store names another"
            )
        return Store(self.config.store_url)

    def new_store(self) -> Store:
        """Open the store, or make it."""
        from ..store.database import Store

        if self.config.origin("store") == "the default":
            make_own_folder(self.config.folder / OWN_FOLDER)
        return Store(self.config.store_url)

    @property
    def store_file(self) -> Path | None:
        """The SQLite file of the store, None where it is no file."""
        url = self.config.store_url
        if "://" not in url:
            return Path(url)
        scheme, _, path = url.partition(":///")
        return Path(path.partition("?")[0]) if scheme.startswith("sqlite") and path else None

    @property
    def keys_file(self) -> Path:
        """Where generated keys are kept: in a folder of our own beside the store, never under version control."""
        beside = self.store_file.parent if self.store_file else self.config.folder
        return (beside if beside.name == OWN_FOLDER else beside / OWN_FOLDER) / "keys.json"

    def target_name(self, given: str | None = None) -> str | None:
        """What holds the functions: as given, as set, or the usual file in the folder; None when there is none."""
        if name := given or self.config.target:
            return name
        return next((name for name in USUAL_TARGETS if (self.config.folder / name).is_file()), None)

    def needed_target_name(self, given: str | None = None) -> str:
        """As `target_name`, but TargetError when there is none."""
        if name := self.target_name(given):
            return name
        raise TargetError(
            f"there is neither a wsgi.py nor a cloud.py in {self.config.folder}; name the file that has your "
            "functions, or write a cloud.py:\n\n"
            "  from scheduler.engine import Engine\n\n"
            "  engine = Engine()\n\n"
            "  @engine.define\n"
            "  def hello(**params):\n"
            '      return "hello"'
        )

    def load(self, name: str) -> Target:
        """Load the functions to look at them or to try one; as in development, unless LEANCLOUD_APP_ENV is set."""
        from ..functions.loading import load
        from . import keys

        keys.provide(self.keys_file)
        # LeanEngine sets these, so an old wsgi.py reads them without asking.
        os.environ.setdefault("LEANCLOUD_APP_ENV", DEVELOPMENT)
        os.environ.setdefault("LEANCLOUD_APP_PORT", str(self.config.port))
        os.environ.setdefault("LEANCLOUD_APP_INSTANCE", platform.node())
        return load(name)

    def deploy(self, name: str) -> Target:
        """Load the functions to serve them, in the environment that is set."""
        os.environ["LEANCLOUD_APP_ENV"] = self.config.environment
        return self.load(name)


def here(**options: Any) -> Project:
    """The place of a command that was given these options; None stands for an option that was not given."""
    return Project(read(Path.cwd(), os.environ, options))


@contextlib.contextmanager
def printing_to_stderr() -> Any:
    """What the user's code prints goes to stderr, so that stdout holds the answer alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
