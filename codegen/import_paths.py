"""The package of public types: each name of the generated package, at the import paths of the published client.

Three rules give most paths. A component `Step` is in a module of its own, `step`, and its TypedDict in `step_param`.
The arguments of `steps.messages.list` are `message_list_params.MessageListParams` in the package `steps`. The extension
`x-letta-types` of the document has the rest: the package of a component, and names that differ from the component's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from codegen.docstrings import escaped
from codegen.document import Document
from codegen.errors import SpecError
from codegen.models import Library
from codegen.names import class_name, like_name, module_name, param_name, usable
from codegen.operations import Operation
from codegen.resources import client_templates
from codegen.template_context import library_view
from codegen.typed_dicts import sent_components

KEY: Final = "x-letta-types"
PLACE: Final = f"#/{KEY}"
BUILTINS: Final = frozenset({"dict", "list", "object", "str"})
"""The names that an expression may contain besides those of the package."""

OWN: Final = "_public_types"
OWN_TYPES: Final = f"{OWN}.py"
"""The module of the client with hand-written types, which the top package exports too."""


class _UnknownNameError(SpecError):
    """The package does not have a name of the table."""


@frozen
class Name:
    """A public name of a module.

    Attributes:
        name: The name.
        source: The module of the generated package that has it, or "" for an alias of an expression.
        original: Its name there, or the expression.
        home: Whether the packages above export the name too.
    """

    name: str
    source: str
    original: str
    home: bool


@frozen
class Module:
    """A module of types.

    Attributes:
        path: Its path below the package.
        names: Its names.
        needed: The names of its expressions: the module of each.
    """

    path: str
    names: dict[str, Name] = field(factory=dict)
    needed: dict[str, str] = field(factory=dict)

    @property
    def package(self) -> str:
        """The package of the module, or "" at the top."""
        return self.path.rpartition(".")[0]

    def exports(self, name: Name) -> bool:
        """Return whether the package of the module exports a name: not an alias, or one named like the module."""
        return name.home or name.name.lower() == self.path.rpartition(".")[2].replace("_", "")


@frozen
class Package:
    """A package of types.

    Attributes:
        path: Its path below the top package, or "" for that.
        modules: The names that it exports, by module relative to the package.
        children: The packages in it.
    """

    path: str
    modules: dict[str, list[str]]
    children: list[str]


def read_import_paths(
    document: Document, library: Library, operations: Sequence[Operation], *, lenient: bool = False
) -> dict[str, Module]:
    """Return the modules of public types by path.

    Args:
        document: The prepared document.
        library: Its components.
        operations: Its operations.
        lenient: Skip names of components that the library does not have. Defaults to False.

    Raises:
        SpecError: If `x-letta-types` is not valid.
    """
    table = _Table(document.data.get(KEY, {}))
    modules: dict[str, Module] = {}
    sources: dict[str, str] = {}

    def add(path: str, name: str, source: str, original: str | None = None) -> None:
        sources.setdefault(original or name, source)
        module = modules.setdefault(path, Module(path))
        module.names[name] = Name(name, source, original or name, home=original is None)

    for component, kind, exports in _components(library):
        for export in exports:
            add(table.path(component), export, kind)
    for component in sent_components(document, operations):
        path = table.path(component, "_param")
        add(path, param_name(component), "params")
        if component in library.models:
            add(path, like_name(component), "params")
    for operation in operations:
        if operation.keywords:
            path, name = _arguments(operation.id)
            add(path, operation.params, "params")
            add(path, name, "params", operation.params)
    for path, names in table.names.items():
        module = modules.setdefault(path, Module(path))
        for name, expression in names.items():
            try:
                _alias(module, name, expression, sources)
            except _UnknownNameError:
                if not lenient:
                    raise
    packages = {module.package for module in modules.values()}
    # A component `Steps` beside operations of `steps.messages`: its module makes way for the package.
    renamed = [evolve(each, path=f"{path}_") if path in packages else each for path, each in modules.items()]
    return {module.path: module for module in sorted(renamed, key=lambda each: each.path) if module.names}


def write_import_paths(modules: Mapping[str, Module], folder: Path, own: Path | None = None) -> None:
    """Write the package of public types.

    Args:
        modules: The modules by path.
        folder: The folder, which does not exist.
        own: The module of the client with hand-written types. Defaults to none.
    """
    env = client_templates()
    for module in modules.values():
        path = folder.joinpath(*module.path.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = env.get_template("types_module.py.jinja").render(module=module, imports=_imports(module))
        path.write_text(text, encoding="utf-8", newline="\n")
    exported = _own_names(own) if own is not None and own.is_file() else []
    for package in _packages(modules.values()):
        path = folder.joinpath(*filter(None, package.path.split(".")))
        path.mkdir(parents=True, exist_ok=True)
        names = [] if package.path else exported
        # The imports are in a stub: as statements for type checkers, they would double the time of the first import.
        for suffix in ("py", "pyi"):
            text = env.get_template(f"types_package.{suffix}.jinja").render(package=package, own=names, own_module=OWN)
            (path / f"__init__.{suffix}").write_text(text, encoding="utf-8", newline="\n")


def _imports(module: Module) -> list[str]:
    """Return the import statements of a module."""
    found = {
        f"from letta_api.{name.source} import {name.original} as {name.name}"
        for name in module.names.values()
        if name.source
    }
    return sorted(
        found | {f"from letta_api.{source} import {name} as _{name}" for name, source in module.needed.items()}
    )


def _own_names(file: Path) -> list[str]:
    """Return the names in `__all__` of the module with hand-written types."""
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return list(ast.literal_eval(statement.value))
    return []


def _components(library: Library) -> Iterable[tuple[str, str, list[str]]]:
    """Yield the components with the module of the generated package and their public names."""
    view = library_view(library)
    yield from ((model.name, "models", [model.name]) for model in view.models)
    yield from ((union.exports[0], "unions", union.exports) for union in view.unions)
    yield from ((enum.name, "enums", [enum.name]) for enum in view.enums)


def _arguments(operation_id: str) -> tuple[str, str]:
    """Return the module and the name of an operation's arguments: `steps.messages.list` is `MessageListParams`."""
    *parents, resource, method = ["", *operation_id.split(".")]
    called = f"{resource.removesuffix('s')}_{method}".strip("_")
    return ".".join(filter(None, [*parents, f"{called}_params"])), f"{class_name(called)}Params"


def _alias(module: Module, name: str, expression: str, sources: Mapping[str, str]) -> None:
    """Add a name for an expression to a module. In modules of TypedDicts, components are TypedDicts."""
    place = f"{PLACE}/names/{module.path}/{name}"
    if not name.isidentifier() or not usable(name):
        raise SpecError(place, "is not a name of a class")
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        raise SpecError(place, f"must be a type, got {expression!a:.60}") from None
    typed_dicts = module.path.endswith(("_param", "_params"))

    def known(component: str) -> str:
        choices = [param_name(component), component] if typed_dicts else [component]
        for choice in choices:
            if choice in sources:
                return choice
        raise _UnknownNameError(place, f"names {component!a:.60}, which the package does not have")

    if isinstance(tree, ast.Name) and tree.id not in BUILTINS:
        original = known(tree.id)
        module.names[name] = Name(name, sources[original], original, home=False)
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in BUILTINS:
            found = known(node.id)
            module.needed[found] = sources[found]
            node.id = f"_{found}"
        elif not isinstance(node, _ALLOWED) or (isinstance(node, ast.Constant) and node.value is not None):
            raise SpecError(place, f"must be a type, got {expression!a:.60}")
    module.names[name] = Name(name, "", ast.unparse(tree), home=False)


_ALLOWED: Final = (ast.Name, ast.Subscript, ast.Tuple, ast.BinOp, ast.BitOr, ast.Constant, ast.Load)
"""The syntax of an expression."""


def _packages(modules: Iterable[Module]) -> list[Package]:
    """Return the packages. The top package exports what those in it export, unless it is ambiguous."""
    exports: dict[str, dict[str, str]] = {"": {}}
    upwards: dict[str, str] = {}
    for module in modules:
        inside = exports.setdefault(module.package, {})
        last = module.path.rpartition(".")[2]
        for name in module.names.values():
            if module.exports(name):
                inside.setdefault(name.name, last)
            if name.home:
                upwards.setdefault(name.name, module.path)
    exports[""] = {**upwards, **exports[""]}
    children = sorted(package for package in exports if package)
    return [Package(path, _by_module(names), children if not path else []) for path, names in sorted(exports.items())]


def _by_module(names: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, module in sorted(names.items(), key=lambda item: (item[1], item[0])):
        found.setdefault(module, []).append(name)
    return found


class _Table:
    """The extension `x-letta-types`: `packages` has the components by package, `names` the other names by module."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict) or data.keys() - {"packages", "names"}:
            raise SpecError(PLACE, "must be an object of packages and names")
        self.packages: dict[str, str] = {}
        self.names: dict[str, dict[str, str]] = {}
        for package, components in _object(data.get("packages", {}), f"{PLACE}/packages").items():
            if not package.isidentifier() or not isinstance(components, list):
                raise SpecError(f"{PLACE}/packages/{escaped(package)}", "must be a list of components")
            self.packages |= {str(component): package for component in components}
        groups = data.get("names", [])
        if not isinstance(groups, list):
            raise SpecError(f"{PLACE}/names", "must be a list of groups")
        for n, group in enumerate(groups):
            place = f"{PLACE}/names/{n}"
            found = _object(group, place)
            if found.keys() != {"modules", "are"} or not isinstance(found["modules"], list):
                raise SpecError(place, "must have modules, a list, and are, an object")
            for module in found["modules"]:
                if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
                    raise SpecError(f"{place}/modules", f"must be paths of modules, got {module!a:.60}")
                names = _object(found["are"], f"{place}/are")
                self.names.setdefault(module, {}).update({str(key): str(value) for key, value in names.items()})

    def path(self, component: str, suffix: str = "") -> str:
        """Return the path of a component's module."""
        return ".".join(filter(None, [self.packages.get(component, ""), f"{module_name(component)}{suffix}"]))


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpecError(place, "must be an object")
    return value
