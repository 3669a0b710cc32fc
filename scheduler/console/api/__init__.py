"""The management API: what people do on the console's pages, for programs; JSON under /api/1 on the console's port.

It is an application of its own beside the pages, which share its store: cookies do not count here, and every request
has a token or the master key. flask-openapi3 checks requests by the models, and makes the OpenAPI document from them.

    app.py            the application; routes.py has the table of its routes, with the role that each needs
    gate.py           who may pass: Host, credentials, role; bodies
    problems.py       errors as application/problem+json
    requests.py       the models of requests; timer_fields.py those of a timer, from the table of attributes
    answers.py        the models of answers
    context.py        author, instants, pages, timers and runs as JSON
    request_keys.py   the Idempotency-Key
    timers.py, runs.py, schedules.py, service.py, calendars.py, transfer.py   the handlers
    document.py       the OpenAPI document as a page of the console
"""
