"""Serve cloud functions by the LeanEngine protocol, from any WSGI server.

    from scheduler.engine import Engine, LeanEngineError, init

    init("my-app", app_key="…", master_key="…", hook_key="…")   # or LEANCLOUD_APP_ID, … in the environment
    engine = Engine(site)                                       # site: any WSGI app, or nothing

    @engine.define
    def hello(name: str = "world"):
        return f"hello, {name}"

    @engine.before_save("Review")
    def check(review):
        if not review.get("comment"):
            raise LeanEngineError(123, "a review needs a comment")

    @engine.timer("0 0 8 ? * MON", tz="Asia/Shanghai")
    @engine.define
    async def weekly_report():
        ...

`engine` is a WSGI callable: `waitress-serve cloud:engine`. Clients call it as they call LeanCloud:

    curl -X POST -H 'X-LC-Id: my-app' -H 'X-LC-Key: …' -H 'Content-Type: application/json' \\
         -d '{"name": "x"}' http://127.0.0.1:8080/1.1/functions/hello

The limit of a function is 15 s, that of a hook 3 s; after that the caller gets 503 with code 124, and the function may
go on. Inside a call, `engine.current` has the user, the session token, the timer and the time left, and
`cloudfunc.run("hello", name="x")` calls another function, of this process or of LEANCLOUD_API_SERVER. Without an HTTP
request, `engine.call("hello", name="x")` does what a request would do.
"""

import warnings as _warnings

from ..errors import LeanCloudError, LeanEngineError
from ..install import damage as _damage
from . import cloudfunc
from . import cloudfunc as cloud
from .app import Engine
from .credentials import init
from .not_included import NOT_IN_ENGINE, import_error
from .redirect import HttpsRedirectMiddleware
from .request_id_filter import RequestIdFilter
from .typed_values import CloudObject

__all__ = [
    "CloudObject",
    "Engine",
    "HttpsRedirectMiddleware",
    "LeanCloudError",
    "LeanEngineError",
    "RequestIdFilter",
    "cloud",
    "cloudfunc",
    "init",
]

if _found := _damage():
    _warnings.warn(_found, RuntimeWarning, stacklevel=2)

__getattr__ = import_error(__name__, NOT_IN_ENGINE)
