"""The errors of the timer service, and the texts of failed runs, which the specification fixes to the letter.

SchedulerError
├── TimerError(ValueError)          an invalid timer: its field, the value, and what is allowed
│   ├── DuplicateTimerError         the environment has a timer of that name
│   │   └── RepeatedTimerError      a list has a timer of that name twice
│   ├── UnknownTimerError           the environment has no timer of that name
│   ├── UnknownCalendarError        the store has no calendar of that name
│   ├── TimerChangedError           the timer was changed by another user or program meanwhile
│   └── TimerQuotaError             the environment has as many timers as its quota
├── RunError                        a run that cannot be cancelled, or run again
├── FunctionError
│   ├── UnknownFunctionError        no function of that name is defined
│   │   └── UnknownCloudFunctionError(LeanEngineError)  the same, of a call by `cloud.run` in a function
│   ├── DuplicateFunctionError(RuntimeError)
│   ├── ArgumentError(ValueError)   an argument is missing, superfluous or of the wrong type
│   ├── UnfinishedResultError(TypeError)  a function returned code that has not run: a generator, say
│   ├── FunctionTimedOutError(TimeoutError)  a call is over its limit
│   └── EngineBusyError             all threads of the engine are busy
├── TargetError                     a cloud.py or module:attribute that cannot be loaded
├── StoreError
│   ├── StoreUnavailableError       locked, read-only, full or unreachable; a retry may succeed
│   ├── LeaseLostError              the lease of this daemon ran out
│   └── StoreVersionError           written by a newer version, or not by this service
│       └── StoreMigratedError      a newer version has migrated the store since this program opened it
└── ConfigError(ValueError)         an invalid setting

LeanEngineError                     raised by a user's function to refuse a call (engine protocol § 4)
LeanCloudError                      the same, as LeanCloud's SDK raises it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

#: The text of a run by its outcome (engine protocol § 6).
TIMED_OUT = "timerAction timed-out and no fallback available."
SHORT_CIRCUITED = "timerAction short-circuited and no fallback available."
FAILED = "timerAction failed and no fallback available."
NOT_QUEUED = "timerAction could not be queued for execution and no fallback available."


def shown(value: object, most: int = 40) -> str:
    """The beginning of the repr of a value that was given, for a message, whatever the value is.

    >>> shown("a" * 100), shown(10**5000)
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 'an int with too many digits')
    """
    try:
        return f"{value!r:.{most}}"
    except Exception:  # of the value's own repr; Python does not show an int of more than 4,300 digits
        is_int = isinstance(value, int)
        return "an int with too many digits" if is_int else f"a value of the type {type(value).__name__}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first `most` names of a list, for a message, and the number of the others.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], 2)
    ('a, b, c', 'a, b and 1 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


class SchedulerError(Exception):
    """Base of every error that the timer service itself raises."""


class TimerError(SchedulerError, ValueError):
    """An invalid timer; `field` names the invalid attribute."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def error_of(name: str, environment: str, *, among: int) -> Iterator[None]:
    """Name the timer at the beginning of a TimerError if it is one of several."""
    try:
        yield
    except TimerError as error:
        if among > 1:
            # Some errors begin with the name, for commands that know no list.
            said = str(error).removeprefix(f"{name}: ")
            error.args = (f"timer {name!r} in {environment}: {said}", *error.args[1:])
        raise


class DuplicateTimerError(TimerError):
    """The environment has a timer of that name already."""

    def __init__(self, name: str, environment: str) -> None:
        super().__init__(
            f"timer {name!r} exists already in {environment}; choose another name, or remove that one first",
            field="name",
        )
        self.name, self.environment = name, environment


class RepeatedTimerError(DuplicateTimerError):
    """A list has a name twice in an environment; `entries` are their numbers in the list, from 1."""

    def __init__(self, name: str, environment: str, entries: tuple[int, int]) -> None:
        text = f"{environment} has {name!r} twice in the list, as entries {entries[0]} and {entries[1]}; keep one"
        TimerError.__init__(self, text, field="name")
        self.name, self.environment, self.entries = name, environment, entries


class UnknownTimerError(TimerError):
    """The environment has no timer of that name."""

    def __init__(self, name: str, environment: str, known: Iterable[str] = ()) -> None:
        self.known = sorted(known)
        super().__init__(f"no timer {name!r} in {environment}; {_known('timers', self.known)}", field="name")
        self.name, self.environment = name, environment


class UnknownCalendarError(TimerError):
    """The store has no calendar of that name."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name, self.known = name, sorted(known)
        super().__init__(f"no calendar {name!r}; {_known('calendars', self.known)}", field="calendar")


class TimerChangedError(TimerError):
    """The timer was changed since it was read; `author` and `at` are those of its last change, None if unknown."""

    def __init__(self, name: str, environment: str, last: tuple[str, datetime] | None = None) -> None:
        self.name, self.environment = name, environment
        self.author: str | None = None
        self.at: datetime | None = None
        by = ""
        if last is not None:
            self.author, self.at = last
            by = f" by {self.author} at {last[1].isoformat(sep=' ', timespec='seconds')}"
        super().__init__(
            f"timer {name!r} in {environment} was changed meanwhile{by}, so nothing was changed now; "
            "read it again, and change it then"
        )


class TimerQuotaError(TimerError):
    """The environment has as many timers as its quota allows."""

    def __init__(self, environment: str, quota: int) -> None:
        super().__init__(
            f"{environment} has {quota} timers already, the most that is set; "
            "remove one, or raise the setting (--max-timers N, 0 = no limit)",
            field="name",
        )
        self.environment, self.quota = environment, quota


class RunError(SchedulerError):
    """A run cannot be cancelled, or run again; `run_id` is its number."""

    def __init__(self, message: str, *, run_id: int) -> None:
        super().__init__(message)
        self.run_id = run_id


class FunctionError(SchedulerError):
    """A function that cannot be defined or called, or that is over its limit."""


class UnknownFunctionError(FunctionError):
    """No function of that name is defined."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"no function {name!r}; {_known('functions', known)}")
        self.name = name


class DuplicateFunctionError(FunctionError, RuntimeError):
    """A function of that name is defined already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"function {name!r} is defined twice; every function needs a name of its own")
        self.name = name


class ArgumentError(FunctionError, ValueError):
    """An argument of a call is missing, superfluous or of the wrong type; found before the function runs."""

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class UnfinishedResultError(FunctionError, TypeError):
    """A function returned code that has not run: a generator, a list of coroutines, or the like."""


class FunctionTimedOutError(FunctionError, TimeoutError):
    """A call is over its limit; the function may still be running, its result is dropped (engine protocol § 4)."""

    def __init__(self) -> None:
        super().__init__("The request timed out on the server.")


class EngineBusyError(FunctionError):
    """No thread of the engine is free: each runs a function, which may have been abandoned at its limit."""

    def __init__(self, workers: int) -> None:
        super().__init__(f"all {workers} workers of the engine are busy; try again, or raise max_concurrency")
        self.workers = workers


class TargetError(SchedulerError):
    """A cloud.py or module:attribute that cannot be loaded, or holds no functions."""


class StoreError(SchedulerError):
    """The store cannot carry out a statement."""


class StoreUnavailableError(StoreError):
    """The store is locked, read-only, full or unreachable; a retry may succeed."""


class LeaseLostError(StoreError):
    """The lease of this daemon ran out and its runs count as abandoned; it must not record their results any more."""


class StoreVersionError(StoreError):
    """The store was written by a newer version, or not by this service."""


class StoreMigratedError(StoreVersionError):
    """A newer version has migrated the store since this program opened it."""


class ConfigError(SchedulerError, ValueError):
    """An invalid setting."""


class LeanCloudError(Exception):
    """An error with a code and a text for the caller, as LeanCloud's SDK raises it.

    `code` is the number in the JSON body, `error` its text. The HTTP status is 400.
    """

    def __init__(self, code: int, error: str) -> None:
        super().__init__(code, error)
        self.code = code
        self.error = error

    def __str__(self) -> str:
        return f"LeanCloudError: [{self.code}] {self.error}"


class LeanEngineError(Exception):
    """Refuse a call: `LeanEngineError(123, "m")`, `LeanEngineError("m")`, `LeanEngineError(status=422, code=777)`.

    `LeanEngineError(error)` has the text of another exception.

    `code` is the number in the JSON body (default: 1), `message` its text, `status` the HTTP status (default: the code
    if it is between 400 and 599, else 400).
    """

    def __init__(
        self, code: object = 1, message: str = "error", *, status: int | None = None, error: str | None = None
    ) -> None:
        if isinstance(code, int) and not isinstance(code, bool):
            number, text = code, message
        else:  # a text or another exception alone
            number, text = 1, str(code)
        text = text if error is None else error
        super().__init__(number, text)
        self.code = number
        self.message = self.error = text
        self.status = status if status is not None else (number if 400 <= number <= 599 else 400)

    def __str__(self) -> str:
        return self.message


class UnknownCloudFunctionError(UnknownFunctionError, LeanEngineError):
    """`cloud.run` calls a function that is not defined: a LeanEngineError with code 404, as LeanCloud's SDK raises it.

    Its `message`, which a client gets, lists no names of other functions; `str()` does.
    """

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        UnknownFunctionError.__init__(self, name, known)
        self.detail = self.message
        self.code = self.status = 404
        self.message = self.error = f"cloud func named '{name}' not found."

    def __str__(self) -> str:
        return self.detail


def is_refusal(error: BaseException) -> bool:
    """Whether a function refused its caller: by LeanEngineError or LeanCloudError, ours or those of LeanCloud's SDK.

    False for an exception whose attributes are code that raises.
    """
    try:
        return is_named(error, "LeanEngineError", "code", "message") or is_named(
            error, "LeanCloudError", "code", "error"
        )
    except BaseException:
        return False


def class_name(value: object) -> str:
    """The name of a value's class, even if a property of its metaclass hides the name."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name


def is_named(error: BaseException, name: str, *attributes: str) -> bool:
    """Whether an exception's class has that name, and the exception these attributes; its module may be missing."""
    names = map(type.__dict__["__name__"].__get__, type(error).__mro__)
    is_named = name in names
    return is_named and all(hasattr(error, attribute) for attribute in attributes)


def _known(what: str, names: Iterable[str]) -> str:
    known = sorted(names)
    return f"known {what}: {listed(known)}" if known else f"there are no {what}"
