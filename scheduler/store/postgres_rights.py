"""Missing rights and objects on PostgreSQL, and the SQL with which an administrator grants or creates them."""

from __future__ import annotations

import re

#: The codes of errors: insufficient_privilege, invalid_catalog_name, invalid_authorization_specification.
_PRIVILEGE, _NO_DATABASE, _NO_ROLE = "42501", "3D000", "28000"
_DENIED = re.compile(r"permission denied for (?P<kind>\w+) (?P<name>\S+)")
_NOT_OWNER = re.compile(r"must be owner of (?P<kind>\w+) (?P<name>\S+)")
#: The kind of an object that the user may not use -> the right that the service needs.
_GRANTS = {
    "schema": "GRANT USAGE, CREATE ON SCHEMA {name} TO {user};",
    "table": "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user};",
    "relation": "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user};",
    "sequence": "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {user};",
    "database": "GRANT CONNECT ON DATABASE {name} TO {user};",
    "function": "GRANT EXECUTE ON FUNCTION {name} TO {user};",
}


def missing_right(message: str, code: str | None, user: str | None) -> str | None:
    """What is missing according to an error, with the SQL that fixes it; None for other errors.

    >>> missing_right("permission denied for schema public", "42501", "app")
    'a right is missing; as the owner: GRANT USAGE, CREATE ON SCHEMA public TO app;'
    """
    named = _quoted(user) if user else "USER"
    # An error while connecting has no code.
    if code == _NO_DATABASE or (code is None and (found := _between(message, 'database "', '" does not exist'))):
        name = _between(message, 'database "', '" does not exist') or "DATABASE"
        return f"there is no such database; as an administrator: CREATE DATABASE {_quoted(name)} OWNER {named};"
    if code in (None, _NO_ROLE) and (found := _between(message, 'role "', '" does not exist')):
        return f"there is no such user; as an administrator: CREATE ROLE {_quoted(found)} LOGIN PASSWORD '...';"
    if code in (None, _NO_ROLE) and (found := _between(message, 'role "', '" is not permitted to log in')):
        return f"the user may not log in; as an administrator: ALTER ROLE {_quoted(found)} LOGIN;"
    if denied := _DENIED.search(message):
        grant = _GRANTS.get(denied["kind"], f"GRANT ALL ON {denied['kind'].upper()} {{name}} TO {{user}};")
        return f"a right is missing; as the owner: {grant.format(name=denied['name'], user=named)}"
    if not_owner := _NOT_OWNER.search(message):
        kind, name = not_owner["kind"].upper(), not_owner["name"]
        return f"only the owner may change its tables; as the owner: ALTER {kind} {name} OWNER TO {named};"
    return "a right is missing" if code == _PRIVILEGE else None


def _between(text: str, before: str, after: str) -> str | None:
    found = re.search(f"{re.escape(before)}(.*?){re.escape(after)}", text)
    return found[1] if found else None


def _quoted(name: str) -> str:
    """A name, quoted for SQL if necessary."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
