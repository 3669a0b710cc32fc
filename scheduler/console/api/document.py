"""The OpenAPI document as plain values for a page: operations with their fields, in the order of the document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True, slots=True)
class DocumentField:
    """A field of a request or an answer: where it is, its name, type and description."""

    place: str
    name: str
    type: str
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of an address."""

    method: str
    address: str
    summary: str
    description: str
    tag: str
    fields: Sequence[DocumentField]
    statuses: str


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """The operations of a document."""
    return [
        _operation(method, address, item[method], document)
        for address, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]


def _operation(method: str, address: str, given: Mapping[str, Any], document: Mapping[str, Any]) -> Operation:
    fields = [
        DocumentField(
            parameter["in"],
            parameter["name"],
            _type(parameter.get("schema", {})),
            parameter.get("required", False),
            parameter.get("description", ""),
        )
        for parameter in given.get("parameters", ())
    ]
    content = given.get("requestBody", {}).get("content", {})
    fields += _of_body(content.get("application/json", {}).get("schema", {}), document)
    ours = [status for status in given["responses"] if status.startswith("2")]
    return Operation(
        method.upper(),
        address,
        given.get("summary", ""),
        given.get("description", ""),
        given["tags"][0],
        fields,
        ", ".join(ours),
    )


def _of_body(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[DocumentField]:
    named = _resolved(schema, document)
    for name, part in named.get("properties", {}).items():
        is_required = name in named.get("required", ())
        yield DocumentField("body", name, _type(part), is_required, part.get("description", ""))


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a schema in words."""
    if "enum" in schema:
        return " | ".join(str(word) for word in schema["enum"] if word is not None)
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(part) for part in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    return str(schema.get("const", schema.get("type", "any")))
