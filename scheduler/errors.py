"""The error tree of the timer service, and the run messages to the letter. Nothing here does anything.

SchedulerError
├── TimerError(ValueError)          a timer that cannot be: field, value, what is allowed
│   ├── DuplicateTimerError         the environment has a timer of that name
│   ├── UnknownTimerError           there is no timer of that name
│   └── TimerQuotaError             the environment is full
├── FunctionError
│   ├── UnknownFunctionError        no function of that name is defined
│   ├── DuplicateFunctionError(RuntimeError)
│   ├── ArgumentError(ValueError)   an argument is missing, superfluous or of the wrong type
│   ├── FunctionTimedOutError(TimeoutError)  a call is over its limit
│   └── EngineBusyError             no worker of the engine is free
├── TargetError                     a cloud.py or module:attribute that does not load
├── StoreError
│   ├── StoreUnavailableError       locked, read-only, full, out of reach: may pass
│   └── StoreVersionError           written by a newer version, or no store at all
└── ConfigError(ValueError)

LeanEngineError, LeanCloudError     raised by a user's function to answer its caller (engine protocol, section 4)
"""

from __future__ import annotations

from collections.abc import Iterable

TIMED_OUT = "timerAction timed-out and no fallback available."
SHORT_CIRCUITED = "timerAction short-circuited and no fallback available."
FAILED = "timerAction failed and no fallback available."
NOT_QUEUED = "timerAction could not be queued for execution and no fallback available."


class SchedulerError(Exception):
    """Base of every error that the timer service raises by itself."""


class TimerError(SchedulerError, ValueError):
    """A timer that cannot be; `field` names the attribute that is wrong."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class DuplicateTimerError(TimerError):
    """The environment has a timer of that name already."""

    def __init__(self, name: str, environment: str) -> None:
        super().__init__(
            f"timer {name!r} exists already in {environment}; choose another name, or remove that one first",
            field="name",
        )
        self.name, self.environment = name, environment


class UnknownTimerError(TimerError):
    """There is no timer of that name in the environment."""

    def __init__(self, name: str, environment: str, known: Iterable[str] = ()) -> None:
        self.known = sorted(known)
        super().__init__(f"no timer {name!r} in {environment}; {_listed('timers', self.known)}", field="name")
        self.name, self.environment = name, environment


class TimerQuotaError(TimerError):
    """The environment holds as many timers as its setting allows."""

    def __init__(self, environment: str, quota: int) -> None:
        super().__init__(
            f"{environment} has {quota} timers already, the most that is set; "
            "remove one, or raise the setting (--max-timers N, 0 = no limit)",
            field="name",
        )
        self.environment, self.quota = environment, quota


class FunctionError(SchedulerError):
    """A function that is not there, is there twice, or was given wrong arguments."""


class UnknownFunctionError(FunctionError):
    """No function of that name is defined."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"no function {name!r}; {_listed('functions', known)}")
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


class FunctionTimedOutError(FunctionError, TimeoutError):
    """A call is over its limit; the function may go on, its answer is meaningless (engine protocol, section 4)."""

    def __init__(self) -> None:
        super().__init__("The request timed out on the server.")


class EngineBusyError(FunctionError):
    """No worker of the engine is free: all run functions, some of them perhaps abandoned at their limit."""

    def __init__(self, workers: int) -> None:
        super().__init__(f"all {workers} workers of the engine are busy; try again, or raise max_concurrency")
        self.workers = workers


class TargetError(SchedulerError):
    """A cloud.py or module:attribute that does not load, or holds no functions."""


class StoreError(SchedulerError):
    """The store cannot do what was asked."""


class StoreUnavailableError(StoreError):
    """The store is locked, read-only, full or out of reach; trying again may help."""


class LeaseLostError(StoreError):
    """The daemon was taken for dead and its runs for abandoned; what it still holds must not be recorded."""


class StoreVersionError(StoreError):
    """The file was written by a newer version, or is no store of this service."""


class ConfigError(SchedulerError, ValueError):
    """A setting that cannot be."""


class LeanCloudError(Exception):
    """An error with a code and a text for the caller, as the LeanCloud SDK raises it.

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

    `code` is the number in the JSON body (1 when none is given), `message` its text, `status` the HTTP status: the
    code itself where it is an HTTP status (400-599), else 400.
    """

    def __init__(
        self, code: int | str = 1, message: str = "error", *, status: int | None = None, error: str | None = None
    ) -> None:
        number, text = (1, code) if isinstance(code, str) else (code, message)
        text = text if error is None else error
        super().__init__(number, text)
        self.code = number
        self.message = self.error = text
        self.status = status if status is not None else (number if 400 <= number <= 599 else 400)

    def __str__(self) -> str:
        return self.message


def _listed(what: str, names: Iterable[str]) -> str:
    shown = sorted(names)
    if not shown:
        return f"there are no {what}"
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return f"known {what}: {', '.join(shown[:8])}{more}"
