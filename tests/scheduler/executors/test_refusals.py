"""Which exceptions of a function are refusals, which the breaker does not count."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.run import Outcome, Verdict
from scheduler.engine import Engine, LeanCloudError, LeanEngineError, cloud
from scheduler.errors import UnknownFunctionError
from scheduler.executors.outcome import of_call


class SDK:
    """LeanCloud's SDK, whose errors have the names of ours; those of LeanEngine have no text."""

    class LeanEngineError(Exception):
        def __init__(self, code: int, message: str) -> None:
            self.code, self.message, self.status = code, message, 400

    class LeanCloudError(Exception):
        def __init__(self, code: int, error: str) -> None:
            self.code, self.error = code, error

        def __str__(self) -> str:
            return f"LeanCloudError: [{self.code}] {self.error}"


class Hostile(Exception):
    """An exception whose own code runs where it is looked at."""

    @property
    def code(self) -> int:
        raise SystemExit

    __qualname__ = "LeanEngineError"


Hostile.__name__ = "LeanEngineError"


class _Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit


class Unnamed(Exception, metaclass=_Nameless):
    """An exception whose class hides its name."""


@pytest.mark.parametrize(
    ("error", "verdict", "text"),
    [
        (LeanEngineError(123, "no"), Verdict.NEUTRAL, "LeanEngineError [123]: no"),
        (SDK.LeanEngineError(123, "no"), Verdict.NEUTRAL, "LeanEngineError [123]: no"),
        (LeanCloudError(211, "no user"), Verdict.NEUTRAL, "LeanCloudError: LeanCloudError: [211] no user"),
        (SDK.LeanCloudError(211, "no user"), Verdict.NEUTRAL, "LeanCloudError: LeanCloudError: [211] no user"),
        (UnknownFunctionError("f"), Verdict.FAILURE, "no function 'f'; there are no functions"),
        (ValueError("v"), Verdict.FAILURE, "ValueError: v"),
        (AssertionError(), Verdict.FAILURE, "AssertionError"),
        (KeyboardInterrupt(), Verdict.FAILURE, "KeyboardInterrupt"),
        (Unnamed("u"), Verdict.FAILURE, "Unnamed: u"),
        (Hostile(), Verdict.FAILURE, "LeanEngineError (str() of the exception failed)"),
    ],
)
def test_a_refusal_is_no_failure(error: BaseException, verdict: Verdict, text: str) -> None:
    """Whichever package its class is of."""

    def fails() -> None:
        raise error

    outcome = of_call(fails)
    assert (outcome.outcome, outcome.verdict, outcome.error) == (Outcome.FAILED, verdict, text)


def test_a_function_that_calls_one_that_is_not_defined_has_failed() -> None:
    """Though the error is a LeanEngineError, as for a client: the timer will not get well by itself."""
    engine = Engine()
    calls: Any = cloud.run.local
    outcome = of_call(lambda: calls("nope"))
    assert (outcome.verdict, outcome.error) == (Verdict.FAILURE, "no function 'nope'; there are no functions")
    engine.stop()
