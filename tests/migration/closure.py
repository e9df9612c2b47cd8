"""The types of letta-client that the operations of this client use, with the modules that define them."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import letta_client

from codegen.document import METHODS, load
from codegen.paths import SPEC

ROOT: Final = Path(letta_client.__file__).parent
ALSO: Final = ("types.agents.message_create_params",)
"""Modules of operations that this client does not have, which programs import types from all the same."""


@cache
def operation_ids() -> tuple[str, ...]:
    """Return the ids of the operations that both clients have."""
    ids = [
        str(item[method]["operationId"])
        for item in load(SPEC)["paths"].values()
        for method in METHODS
        if method in item
    ]
    return tuple(name for name in sorted(ids) if published_method(name) is not None)


def published_method(operation_id: str) -> Any:
    """Return the method of letta-client's class of an operation, or None."""
    return getattr(published_resource(operation_id.rpartition(".")[0]), operation_id.rpartition(".")[2], None)


@cache
def published_client() -> letta_client.Letta:
    """Return a client that sends nothing."""
    return letta_client.Letta(base_url="http://127.0.0.1:1", api_key="k")


def published_resource(path: str) -> Any:
    """Return a resource of letta-client, or the client itself."""
    found: Any = published_client()
    for part in filter(None, path.split(".")):
        found = getattr(found, part)
    return found


@cache
def used_modules() -> tuple[str, ...]:
    """Return the modules with types of the operations, by their path below `letta_client`."""
    todo = [module for name in operation_ids() for module in _modules_of_method(published_method(name))]
    found: dict[str, None] = dict.fromkeys(ALSO)
    while todo:
        module = todo.pop()
        if module not in found:
            found[module] = None
            todo += [_defining(*each) for each in _imported(_file(module)).values()]
    return tuple(sorted(module for module in found if _file(module).name != "__init__.py"))


def public_names(path: str) -> Mapping[str, Any]:
    """Return the public names of a module of letta-client."""
    module = published_module(path)
    return {name: getattr(module, name) for name in module.__all__}


def published_module(path: str) -> ModuleType:
    """Return a module of letta-client."""
    return importlib.import_module(f"letta_client.{path}")


def package_exports(path: str) -> Iterator[tuple[str, str]]:
    """Yield the package of a module with each name that it exports from there."""
    package = path.rpartition(".")[0]
    exported = _imported(_file(package))
    yield from ((package, name) for name, source in exported.items() if _defining(*source) == path)


def _modules_of_method(method: Any) -> Iterator[str]:
    """Yield the modules with the types in the signature of a method."""
    file = Path(str(sys.modules[method.__func__.__module__].__file__))
    imported = _imported(file)
    cls = method.__func__.__qualname__.partition(".")[0]
    classes = [node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    functions = [each for node in classes if node.name == cls for each in node.body]
    for function in functions:
        if isinstance(function, ast.FunctionDef) and function.name == method.__name__:
            for node in ast.walk(function):
                if isinstance(node, ast.Name) and node.id in imported:
                    module = _defining(*imported[node.id])
                    if module.startswith("types."):
                        yield module


@cache
def _imported(file: Path) -> dict[str, tuple[str, str]]:
    """Return the names that a file imports from letta-client's types: the module and the name there."""
    package = file.relative_to(ROOT).parent.parts
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module.startswith("types"):
                found |= {alias.asname or alias.name: (module, alias.name) for alias in node.names}
    return found


def _defining(module: str, name: str) -> str:
    """Return the module that defines a name, or the name itself if it is a module."""
    if _file(f"{module}.{name}").exists():
        return f"{module}.{name}"
    imported = _imported(_file(module))
    return _defining(*imported[name]) if name in imported else module


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
