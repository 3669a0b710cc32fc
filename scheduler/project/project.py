"""Project: the folder in which a command is started, with its settings, its store and its cloud functions.

Lives here: opening the store and loading the functions that the settings name. Never here: printing.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast
from urllib.parse import unquote

from ..core.timer import Environment
from ..default_rules import VARIABLE as RULES_VARIABLE
from ..engine.environment import app_environment, set_under_both_prefixes
from ..errors import StoreUnavailableError, TargetError
from . import dotenv_file
from .data_folder import OWN_FOLDER, make_own_folder
from .handed_on import hand_on
from .keys import KEYS_FILE, set_missing_keys
from .missing_store import check_no_service_uses
from .missing_target import DEFAULT_TARGETS, missing_target
from .owners import check_owners
from .setting_table import DEVELOPMENT
from .settings import Settings, read_settings, wants_dotenv
from .withheld_variables import variables, withhold

if TYPE_CHECKING:
    from ..functions.loading import Target
    from ..store.database import Store


#: SQLite's addresses of a database in memory, without slashes at their ends.
_IN_MEMORY = (":memory:", "sqlite:", "sqlite:///:memory:")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:
        reason = f"cannot be opened by the user of this program ({error.strerror})"
        raise StoreUnavailableError(f"{path}: {reason}") from None


def current_project(**options: Any) -> Project:
    """The project in the working directory; `options` are those of the command line, None if not given.

    The rules in force are passed on to the user's code and to child processes: because this program sets LeanCloud's
    variables, those no longer show there whether LeanCloud's rules apply.
    """
    folder = Path.cwd()
    if wants_dotenv(folder, variables()):
        dotenv_file.set_variables(folder)
    settings = read_settings(folder, variables(), options, dotenv_file.variable_files())
    hand_on(os.environ, {RULES_VARIABLE: settings.rules}, settings.origin("rules"), because=settings.rules_because)
    return Project(settings)


@dataclass(frozen=True, slots=True)
class Project:
    """The settings of a command, and the store and the functions that they name."""

    settings: Settings

    @property
    def environment(self) -> Environment:
        """The environment if a command names none."""
        return self.only_environment or Environment.PRODUCTION

    @property
    def only_environment(self) -> Environment | None:
        """The only environment that is served; None in development, where both are."""
        return None if self.settings.environment == DEVELOPMENT else Environment(self.settings.environment)

    def open_store(self) -> Store:
        """Open the existing store; StoreUnavailableError if it is missing, so that a wrong folder is noticed.

        StoreVersionError for one of an earlier version, because migrating it would break a running earlier program.
        """
        path = self.store_file
        if path is not None and not _exists(path):
            check_no_service_uses(path)
            origin = self.settings.origin("store")
            named = "" if origin == "the default" else f" (named by {origin})"
            raise StoreUnavailableError(
                f"there is no store at {path}{named}; `scheduler up` and `scheduler timers add` create one, "
                "--store names another"
            )
        return self._store(brings_up_to_date=False)

    def open_or_create_store(self) -> Store:
        """Open the store; create it if it is missing, and migrate one of an earlier version.

        StoreUnavailableError for a missing one that a running service still uses.
        """
        if (file := self.store_file) is not None and not os.path.lexists(file):
            check_no_service_uses(file)
        if self.settings.origin("store") == "the default":
            make_own_folder(self.settings.folder / OWN_FOLDER)
        return self._store(brings_up_to_date=True)

    def _store(self, *, brings_up_to_date: bool) -> Store:
        from ..store.database import Store

        settings = self.settings
        if settings.store.rstrip("/") in _IN_MEMORY:
            raise StoreUnavailableError(
                f"{settings.origin('store')}: a store in memory ends with the command that made it; name a file"
            )
        if (path := self.store_file) is not None:
            check_owners(settings.folder, path, *([path.parent] if path.parent.name == OWN_FOLDER else []))
        return Store(
            settings.store_url,
            timeout_s=settings.store_timeout_s,
            durability=settings.durability,
            brings_up_to_date=brings_up_to_date,
            alerts=settings.alerts,
        )

    @property
    def store_file(self) -> Path | None:
        """The file of a SQLite store; None for a store in memory or on a server."""
        url = self.settings.store_url
        if "://" not in url:
            return Path(url)
        scheme, _, path = url.partition(":///")
        return Path(unquote(path.partition("?")[0])) if scheme.startswith("sqlite") and path else None

    @property
    def store_identity(self) -> str:
        """The real path of its file, by whatever path it was given; empty for a store on a server."""
        return os.path.realpath(self.store_file) if self.store_file else ""

    @property
    def keys_file(self) -> Path:
        """The file of generated keys, in a folder `.scheduler` beside the store."""
        beside = self.store_file.parent if self.store_file else self.settings.folder
        return (beside if beside.name == OWN_FOLDER else beside / OWN_FOLDER) / KEYS_FILE

    def check_owner_of_keys(self) -> None:
        """ConfigError for a file of keys that another user has put there, who could then call functions."""
        check_owners(self.settings.folder, self.keys_file.parent, self.keys_file)

    def target_name(self, given: str | None = None) -> str | None:
        """The target: the given one, else that of the settings, else the folder's wsgi.py or cloud.py, else None."""
        if name := given or self.settings.target:
            return name
        return next((name for name in DEFAULT_TARGETS if (self.settings.folder / name).is_file()), None)

    def required_target_name(self, given: str | None = None) -> str:
        """Like `target_name`, but TargetError instead of None."""
        if name := self.target_name(given):
            return name
        raise TargetError(
            f"{missing_target(self.settings.folder)}; name the file of your functions, or write a cloud.py:\n\n"
            "  from scheduler.engine import Engine\n\n"
            "  engine = Engine()\n\n"
            "  @engine.define\n"
            "  def hello(**params):\n"
            '      return "hello"'
        )

    def load(self, name: str) -> Target:
        """Load the functions to inspect or try them: as `development`, unless LEANCLOUD_APP_ENV is set."""
        from ..functions.loading import load

        self._set_environ()
        return load(name)

    def load_to_serve(self, name: str) -> Target:
        """Load the functions as those of the environment in the settings."""
        self.set_environ_to_serve()
        return self.load(name)

    def set_environ_to_serve(self) -> None:
        """Set the environment variables for functions that this process, or one that it starts, serves."""
        hand_on(os.environ, {"LEANCLOUD_APP_ENV": self.settings.environment}, self.settings.origin("environment"))
        self._set_environ()

    def _set_environ(self) -> None:
        withhold()
        self.check_owner_of_keys()
        set_missing_keys(self.keys_file)
        # LeanEngine sets these variables, so an old wsgi.py expects them.
        for name, value, setting in (
            ("LEANCLOUD_APP_ENV", app_environment() or DEVELOPMENT, "environment"),
            ("LEANCLOUD_APP_PORT", str(self.settings.port), "port"),
        ):
            if name not in os.environ:
                hand_on(os.environ, {name: value}, self.settings.origin(setting))
        os.environ.setdefault("LEANCLOUD_APP_INSTANCE", platform.node())
        set_under_both_prefixes(os.environ)


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Within the block, output of the user's code goes to stderr, so that stdout has only the command's answer."""
    with _descriptor_to_stderr(), contextlib.redirect_stdout(_printed(sys.stderr)):
        yield


def _printed(stderr: TextIO | None) -> TextIO:
    """A stream for stdout while its output goes to stderr, if that is open."""
    return cast(TextIO, stderr and _Printed(stderr))


class _Printed:
    """Writes to stderr what is printed to stdout, in lines of the level `info`."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr

    def write(self, text: str) -> int:
        from ..functions.log_records import printing

        with printing("info"):
            return self._stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stderr, name)


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    """The same for output to the descriptor, as from programs that the code starts."""
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
