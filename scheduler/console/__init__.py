"""The web console: pages that show, add and change the timers of a store.

It is a process of its own beside daemons, and runs no code of the user. Pages are HTML from the server; a GET changes
nothing, every filter is in the address, and everything works without JavaScript.

    app.py                     the Flask application
    server.py                  serving it
    gates.py                   who may pass: Host, origin, sign-in, role; and the headers of every answer
    roles.py                   the role that each endpoint needs
    tokens.py, sessions.py     tokens and links in the store; cookies
    reader.py                  who reads a page: language, time zone, theme, role
    names.py, links.py         names in addresses; addresses relative to the page
    words.py, words_en.py …    texts in English and Chinese
    moments.py                 instants and durations as pages show them
    current.py                 the console of the present request, and who makes its changes
    sign_in_limits.py          limits of failed attempts to sign in
    rendering.py, errors.py    the functions of templates; the pages for errors
    history.py                 what is due next, the last lines of a run
    digest/                    what the console has read of the history, in a file of its own
    live.py                    the topics that have changed, for the streams of pages
    timer_form.py              from a form to a timer
    proxies.py                 what trusted proxies say of a browser
    trigger_words.py           triggers in words
    preview.py, advice.py      the meaning of a trigger
    examples.py                examples in the editor
    drawing.py                 numbers to paths of SVG
    pages/                     one file for each page
    lazy_api.py, api/          the management API
    body_limits.py             the longest bodies
"""
