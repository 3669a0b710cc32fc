"""The request id in every log line, also in the logs of a site that the engine wraps.

Lives here: a filter that users give to their own handlers. Never here: capturing what calls log, see capture.py.
"""

from __future__ import annotations

import logging

from ..functions.context import current_call


class RequestIdFilter(logging.Filter):
    """Give every record the request id of the call in progress, `-` outside one.

    `handler.addFilter(RequestIdFilter())`, then `%(request_id)s` in the handler's format: one id from the fire of a
    timer, or from a client's X-Request-Id, to each line that the function logs (engine protocol § 3).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        call = current_call.get()
        record.request_id = call.request_id if call else "-"
        return True
