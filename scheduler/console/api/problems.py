"""Problems: the errors of the API as `application/problem+json` (RFC 9457), and the table of their kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask import Response, g
from pydantic import BaseModel, Field

from quartzcron import CronSyntaxError

from ...core.trigger_kinds import trigger_kinds
from ...errors import (
    DuplicateTimerError,
    TimerChangedError,
    TimerError,
    TimerQuotaError,
    UnknownCalendarError,
    UnknownTimerError,
)
from ...formats.list_problems import FileProblem, TimerListError
from ...project.suggestions import did_you_mean
from ..links import root
from ..messages import code_of

MEDIA_TYPE = "application/problem+json"
#: The most problems that one answer lists.
MAX_LISTED = 100


class ProblemKind(NamedTuple):
    """A kind of problem: the status, the title, and what to do."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, ProblemKind] = {
    "malformed": ProblemKind(
        400, "Malformed request", "The body is not JSON, or a cursor is not one that a page has given."
    ),
    "unauthenticated": ProblemKind(
        401,
        "No valid credentials",
        "Send `Authorization: Bearer TOKEN` with a token of `scheduler console tokens add`, or the master key as "
        "LeanCloud's clients send it. Cookies do not count.",
    ),
    "forbidden": ProblemKind(
        403, "Not allowed for this role", "The token is a viewer's, and this needs an operator's."
    ),
    "foreign_host": ProblemKind(
        403, "Unknown Host", "The Host header must be an address, localhost, or a name in the setting console_hosts."
    ),
    "unknown": ProblemKind(404, "Not found", "There is no such address, timer, run, calendar or token."),
    "method": ProblemKind(405, "Method not allowed", "The header Allow lists the methods of this address."),
    "taken": ProblemKind(409, "Name taken", "Choose another name, or change the one that has it."),
    "quota": ProblemKind(409, "Quota reached", "Remove a timer, or raise the setting max_timers."),
    "conflict": ProblemKind(409, "Not possible in this state", "The run has ended, or its timer was removed."),
    "changed": ProblemKind(
        412,
        "Precondition failed",
        "It was changed meanwhile: read it again, and send the new ETag in If-Match. With If-None-Match: *, a "
        "timer of that name exists.",
    ),
    "too_large": ProblemKind(413, "Body too large", "A body has at most 1 MB, that of an import 10 MB."),
    "media_type": ProblemKind(
        415, "Not JSON", "Send the header `Content-Type: application/json`; with curl, use --json."
    ),
    "invalid": ProblemKind(422, "Invalid values", "`field` and `problems` say what is wrong and where."),
    "too_many": ProblemKind(
        429, "Too many failed attempts", "Wait for as many seconds as the header Retry-After says."
    ),
    "fault": ProblemKind(500, "Internal error", "The console's log has the error, with the request_id."),
    "unavailable": ProblemKind(
        503, "Store not available", "Try again after as many seconds as the header Retry-After says."
    ),
}


class ProblemItem(BaseModel):
    """One error: its field, or its line in a list of timers."""

    code: str | None = None
    field: str | None = None
    line: int | None = None
    timer: str | None = Field(None, description="The timer of the list, where several are on one line.")
    column: int | str | None = None
    text: str | None = None
    message: str
    hint: str | None = None


class PastedText(BaseModel):
    """The Quartz expression of a text in another dialect."""

    dialect: str
    expression: str


class ProblemModel(BaseModel):
    """An error."""

    type: str = Field(description="The address of its explanation.")
    title: str
    status: int
    detail: str
    request_id: str = Field(description="The id of this request, also in the header X-Request-Id and in the log.")
    field: str | None = None
    problems: list[ProblemItem] | None = None
    fix: str | None = Field(None, description="What was probably meant.")
    pasted: list[PastedText] | None = None


class ProblemError(Exception):
    """Raised to answer with a problem."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        field: str | None = None,
        problems: Sequence[Mapping[str, Any]] = (),
        fix: str | None = None,
        pasted: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.field = kind, detail, field
        self.problems, self.fix, self.pasted = list(problems)[:MAX_LISTED], fix, list(pasted)
        self.headers = dict(headers or {})

    def answer(self) -> Response:
        """The answer to the request."""
        kind = KINDS[self.kind]
        values = ProblemModel(
            type=f"{root()}../../api#{self.kind}",
            title=kind.title,
            status=kind.status,
            detail=self.detail,
            field=self.field,
            request_id=g.request_id,
            problems=[ProblemItem(**item) for item in self.problems] or None,
            fix=self.fix,
            pasted=[PastedText(**item) for item in self.pasted] or None,
        ).model_dump(exclude_none=True)
        answer = Response(encoded(values) + "\n", kind.status, mimetype=MEDIA_TYPE)
        answer.headers.update(self.headers)
        return answer


def encoded(value: Any) -> str:
    """A value as JSON text that can be sent as UTF-8: half a surrogate pair becomes an escape."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


def problem_of(error: TimerError) -> ProblemError:
    """The problem of an error of a timer."""
    match error:
        case UnknownTimerError():
            return _unknown(f"no timer {error.name!r} in {error.environment}", error.name, error.known, str(error))
        case UnknownCalendarError():
            near = _unknown(f"no calendar {error.name!r}", error.name, error.known, str(error))
            return ProblemError("invalid", near.detail, field="calendar", fix=near.fix)
        case DuplicateTimerError():
            return ProblemError("taken", str(error), field="name")
        case TimerQuotaError():
            return ProblemError("quota", str(error))
        case TimerChangedError():
            return ProblemError("changed", str(error))
        case TimerListError():
            return ProblemError("invalid", str(error), problems=[list_item(problem) for problem in error.problems])
    field = field_of(error.field)
    cause = error.__cause__
    if isinstance(cause, CronSyntaxError):
        return ProblemError("invalid", str(error), field=field, problems=syntax_items(cause), fix=cause.fix)
    return ProblemError("invalid", str(error), field=field)


def list_item(problem: FileProblem) -> dict[str, Any]:
    """An error in a list of timers."""
    return {"line": problem.line, "timer": problem.timer, "field": problem.column, "message": problem.text}


def syntax_items(error: CronSyntaxError) -> list[dict[str, Any]]:
    """The problems of an expression."""
    return [
        {
            "code": code_of(problem.message),
            "field": problem.field,
            "column": problem.column,
            "text": problem.text,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in error.problems
    ]


def field_of(name: str | None) -> str | None:
    """The field of a body that an error of a timer is about: `cron` for the expression of a trigger."""
    for kind in trigger_kinds():
        for option in kind.options:
            if name == option.field and name != option.name:
                return option.name
    return name


def _unknown(what: str, name: str, known: Sequence[str], otherwise: str) -> ProblemError:
    hint = did_you_mean(name, known)
    near = hint.partition("'")[2].rpartition("'")[0] if hint else None
    return ProblemError("unknown", f"{what}; {hint}" if hint else otherwise, fix=near or None)
