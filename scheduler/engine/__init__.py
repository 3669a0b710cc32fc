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

The limit of a function is 15 s, that of a hook 3 s; over it the caller gets 503 with code 124, and the function may
go on. Inside a call, `engine.current` has the user, the session token, the timer and the time left, and
`cloudfunc.run("hello", name="x")` calls another function, of this process or of LEANCLOUD_API_SERVER. Without an HTTP
request, `engine.call("hello", name="x")` does what a request would do.

The files of this folder:

    app.py                                  Engine: the WSGI callable and the decorators
    routes.py                               the table of paths
    request.py, body.py                     a request, and its JSON body
    credentials.py                          init; who may call
    endpoints.py                            how each endpoint is answered
    execution.py, threads.py                running a function in a thread, within its limit
    call_end.py                             its result as JSON, or its failure, made in that thread
    forks.py                                what a forked child process must not keep
    current.py                              engine.current
    hooks.py                                the table of hooks
    typed_values.py                         JSON values with a `__type`
    response.py, failures.py                answers, and the answers to failed calls
    capture.py, request_id_filter.py        what functions print and log; the request id in log lines
    cloudfunc.py, default_engine.py         calling functions by name; the engine that does so locally
    environment.py                          the environment variables of the LeanEngine runtime
    redirect.py                             HttpsRedirectMiddleware
    timer_options.py                        the options of @engine.timer, for type checkers
    wsgi_apps.py                            which sites can be served beside the functions
    not_included.py                         names of LeanCloud's SDK that have no counterpart
    http_server.py                          an HTTP server for programs without one
    http_connection.py, http_dispatcher.py  its connections and its threads
    http_listener.py, http_speed.py       how many connections it holds, and how slowly a request may arrive
"""

from ..errors import LeanCloudError, LeanEngineError
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

__getattr__ = import_error(__name__, NOT_IN_ENGINE)
