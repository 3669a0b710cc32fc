"""Requests as clients, old and hostile, might send them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.engine.client import APP_ID, APP_KEY, HOOK_KEY, MASTER_KEY

segments = st.sampled_from(
    ["functions", "call", "_ops", "metadatas", "echo", "fails", "ping", "1", "1.1", "__engine", "Todo", "beforeSave",
     "afterSave", "beforeFoo", "onVerified", "sms", "_User", "onLogin", "onAuthData", "BigQuery", "onComplete",
     "_messageReceived", "%00", "%FF", "..", "", "%0D%0AX:1"]
) | st.text(st.characters(codec="ascii", exclude_characters="?#\x7f", min_codepoint=33), max_size=6)  # fmt: skip
sound_paths = st.builds(
    "{}/{}/{}".format,
    st.sampled_from(["", "/__engine", "//"]),
    st.sampled_from(["1", "1.1"]),
    st.sampled_from(
        ["functions/echo", "call/echo", "functions/fails", "functions/Todo/beforeSave", "functions/Todo/afterSave",
         "functions/_User/onAuthData", "functions/_messageReceived", "functions/_ops/metadatas", "ping"]
    ),
)  # fmt: skip
paths = sound_paths | st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts))

methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])

values = (
    st.sampled_from([APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY, f"{MASTER_KEY},master", "a,1,master", "None", "", "0", "1"])
    | st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=20)
)  # fmt: skip
header_names = st.sampled_from(
    ["X-LC-Id", "X-LC-Key", "X-LC-Sign", "X-LC-Session", "X-LC-Prod", "X-LC-Hook-Key", "X-AVOSCloud-Master-Key",
     "X-Uluru-Application-Id", "X-Request-Id", "X-Timer-Name", "X-Timer-Scheduled-Time", "X-Timer-Attempt", "Origin",
     "X-Real-IP", "X-Forwarded-For", "Content-Type"]
)  # fmt: skip
loose_headers = st.dictionaries(header_names, values, max_size=6)
sound_headers = st.just({"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},master", "X-LC-Hook-Key": HOOK_KEY})
headers = loose_headers | st.builds(lambda sound, loose: loose | sound, sound_headers, loose_headers)

keys = st.sampled_from(["object", "user", "authData", "__type", "iso", "className", "_updatedKeys", "name", "_x"])
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["Date", "Object"])
)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(keys | st.text(max_size=3), json_values, max_size=4)
bodies = (
    objects.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40)
    | st.integers(1, 3000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth)
    | st.sampled_from([b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'{"\\ud800": "\\udfff"}', b"a=b"])
)
