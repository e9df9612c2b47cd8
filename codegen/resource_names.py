"""The names of resources and of their methods, which `operationId`s determine."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from codegen.errors import ErrorCollector, SpecError
from codegen.names import class_name, usable
from codegen.operations import Operation

MEMBERS = frozenset({"with_raw_response", "with_streaming_response"})
"""The attributes that each resource has."""

VARIABLES = frozenset({"arguments", "options"})
"""Names of variables in methods, which arguments in the path cannot have."""

OPTIONS = {"_http/requests.py": "RequestOptions", "_pagination/options.py": "ListOptions"}
"""The TypedDicts of the options that methods add to the arguments of an operation, by module."""

CLIENT_MODULES = ("client", "base_client", "endpoint_calls")
"""The hand-written modules whose classes have the members of the client itself."""


MODULES = frozenset({"arguments", "client", "client_calls", "letta", "resources"})
"""Names of modules and of classes, in lower case, that are not those of a resource."""


def check_names(operations: Sequence[Operation], mixins: Path) -> None:
    """Check that operations can be methods of the client and of its resources.

    Args:
        operations: The operations.
        mixins: The folder with the hand-written methods of resources, in the package of the client.

    Raises:
        SpecErrors: If a part of an `operationId` is not a public Python name, or names another attribute, module or
            class. If an argument has the name of a request option. If a list or a stream has no resource.
    """
    resources = {path for operation in operations for path in ancestors(operation.id)}
    classes: dict[str, str] = {}
    options = set(_request_options(mixins.parent.parent))
    members = cache(_members)
    errors = ErrorCollector()
    for operation in operations:
        with errors.block():
            if "." not in operation.id and (operation.pagination or operation.streaming):
                raise SpecError(operation.place, f"is a list or a stream without a resource: {operation.id!a:.60}")
            if operation.id in resources:
                raise SpecError(operation.place, f"has the name of a resource: {operation.id!a:.60}. Rename it")
            for path in (*ancestors(operation.id), operation.id):
                _check(path, operation.place, mixins, members)
            for path in ancestors(operation.id):
                other = classes.setdefault(class_name(path).lower(), path)
                if other != path or path.lower() in MODULES:
                    name = other if other != path else path
                    raise SpecError(operation.place, f"has a resource with the name of another part: {name}. Rename it")
            for argument in operation.arguments:
                if argument.name in (options | VARIABLES if argument.place == "path" else options):
                    reason = f"has an argument with the name of a request option: {argument.name}"
                    raise SpecError(operation.place, f"{reason}. Call it with client.call")
    errors.raise_all()


def _check(path: str, place: str, mixins: Path, members_of: Callable[[Path], frozenset[str]]) -> None:
    parent, _, name = path.rpartition(".")
    if not usable(name) or keyword.iskeyword(name) or name.startswith("_"):
        raise SpecError(place, f"operationId must consist of public Python names, got {path!a:.60}. Rename it")
    members = MEMBERS | members_of(mixins / f"{parent.replace('.', '_')}.py")
    if not parent:
        members = members.union(*(members_of(mixins.parent / f"{module}.py") for module in CLIENT_MODULES))
    if name in members:
        owner = f"client.{parent}" if parent else "the client"
        raise SpecError(place, f"operationId names an attribute that {owner} has already: {name!a:.60}. Rename it")


def ancestors(operation_id: str) -> list[str]:
    """Return the paths of the resources that an operation is below, such as `steps` and `steps.messages`."""
    parts = operation_id.split(".")[:-1]
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _request_options(client: Path) -> Iterator[str]:
    """Yield the names of the options of every request, and of lists."""
    for module, name in OPTIONS.items():
        for node in ast.parse((client / module).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                yield from (
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                )


def _members(file: Path) -> frozenset[str]:
    """Return the names that the classes of a module define."""
    found: set[str] = set()
    if not file.is_file():
        return frozenset()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        for each in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(each.name)
            elif isinstance(each, ast.Assign):
                found |= {target.id for target in each.targets if isinstance(target, ast.Name)}
    return frozenset(found)
