"""Query parameters are nullable where letta-client types them as optional."""

from __future__ import annotations

import inspect
from functools import reduce
from typing import Any

from letta_client import Letta

from .document import Node, operations, parameters, resolve


def nullable(document: Node, schema: Node) -> bool:
    """Return whether a schema allows null."""
    schema = resolve(document, schema)
    return "null" in schema.get("type", ()) or any(nullable(document, each) for each in schema.get("anyOf", []))


def test_nullable_query_parameters_are_optional_in_letta_client(document: Node) -> None:
    """A query parameter is nullable exactly if letta-client accepts None for it."""
    client = Letta(api_key="key", base_url="http://letta.test")
    ours: dict[str, bool] = {}
    theirs: dict[str, bool] = {}
    for operation in operations(document):
        try:
            method: Any = reduce(getattr, operation.id.split("."), client)
        except AttributeError:
            continue  # only the server has it
        signature = inspect.signature(method).parameters
        for name, parameter in parameters(document, operation).items():
            if parameter["in"] == "query" and name in signature:
                ours[f"{operation.id} {name}"] = nullable(document, parameter["schema"])
                theirs[f"{operation.id} {name}"] = str(signature[name].annotation).startswith("Optional[")
    assert ours == theirs
    assert sum(ours.values()) == 59
    documented = ("steps.list ", "steps.messages.list ", "conversations.messages.list ")
    assert sum(value for name, value in ours.items() if name.startswith(documented)) >= 22
