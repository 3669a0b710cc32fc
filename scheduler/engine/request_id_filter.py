"""RequestIdFilter: adds the request id to every log line, even in the logs of a site that the engine wraps.

Lives here: a filter for users' own handlers. Never here: capturing the records of calls (capture.py).
"""

from __future__ import annotations

import logging

from ..functions.context import current_call


class RequestIdFilter(logging.Filter):
    """Adds the request id of the call in progress to every record, `-` outside a call.

    `handler.addFilter(RequestIdFilter())`, then `%(request_id)s` in the handler's format. The id is the same from the
    fire of a timer, or from a client's X-Request-Id, to each line that the function logs (engine protocol § 3).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id; let every record pass."""
        call = current_call.get()
        record.request_id = call.request_id if call else "-"
        return True
