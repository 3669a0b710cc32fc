"""The longest bodies of requests: of a form or an object, and of a list of timers to import."""

MAX_BODY_BYTES = 1_000_000
MAX_IMPORT_BYTES = 10_000_000
#: Of a request without any credentials, which can only sign in.
MAX_STRANGERS_BYTES = 16_000
