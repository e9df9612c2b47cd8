"""What the templates of models, unions and enums print: strings of code and documentation."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from codegen.docstrings import docstring, escaped, noted
from codegen.expressions import printed, qualified, template
from codegen.models import Field, Library, Model, Union
from codegen.types import Import, Type

WAITS = (
    "The items are decoded when they are first asked for: one that is malformed raises `DecodeError` then, which names"
    " its path from this model on."
)
"""What the documentation of a field says whose items wait."""


@frozen
class FieldView:
    """A field as a model's template prints it.

    Attributes:
        key: its key in JSON, where that is not its name.
        decoder: what decodes it, where it is not taken as it is.
        struct: what a parser of text makes of it, where that is not its JSON value.
    """

    name: str
    annotation: str
    default: str
    docstring: str
    key: str
    decoder: str
    struct: str


@frozen
class ModelView:
    """A model as its template prints it."""

    name: str
    docstring: str
    fields: list[FieldView]
    keys: str
    decoders: str
    struct_fields: str
    shouts: bool
    imports: list[str]
    typing_imports: list[str]
    late_imports: list[str]


def _import_line(item: Import, here: str, dots: str) -> str:
    """The import statement for one name, or "" where it is defined or imported in every module anyway."""
    match item.kind:
        case "models" | "unions" if item.kind == here:
            return f"from .{item.module} import {item.name}"
        case "models" | "unions":
            return f"from {dots}{item.kind}.{item.module} import {item.name}"
        case "enums":
            return f"from {dots}enums import {item.name}"
        case "runtime" | "params":
            return f"from {dots}{item.module} import {item.name}"
        case _:
            return f"from {item.module} import {item.name}"


def import_lines(items: Iterable[Import], here: str = "", dots: str = "..") -> list[str]:
    """Import statements, sorted; `ruff` merges them."""
    return sorted({_import_line(item, here, dots) for item in items})


def _field(field: Field, late: frozenset[Import]) -> FieldView:
    type_ = _through_modules(field.type, late)
    waits = not late.isdisjoint(type_.imports)
    annotation = type_.written if field.required or field.tag is not None else type_.optional
    struct = decoder = ""
    if field.tag is not None:
        default = f" = {field.tag!r}"
        if field.earlier or field.required:
            decoder = f"Discriminator({field.tag!r}, {field.earlier!r}, required={field.required!r})"
    else:
        default = "" if field.required else " = ABSENT"
        function = type_.callable()
        if function is not None and waits:
            function = template("lambda value: FUNCTION(value)", FUNCTION=function)
        decoder = printed(function) if function is not None else ""
        # Models that hold each other have no struct that could hold the other's.
        if type_.struct_written is not None and not waits:
            struct = printed(type_.struct_written)
    return FieldView(
        name=field.name,
        annotation=annotation,
        default=default,
        docstring=_documented(
            f"{field.description}\n\n{WAITS}".strip() if field.lazy else field.description, deprecated=field.deprecated
        ),
        key=repr(field.wire) if field.wire != field.name else "",
        decoder=decoder,
        struct=struct,
    )


def _documented(text: str, *, deprecated: bool = False) -> str:
    text = noted(text, deprecated=deprecated)
    return docstring(text) if text else ""


def model_view(model: Model, cycles: frozenset[str]) -> ModelView:
    """A model for its template. `cycles` names the modules that need this one in turn: they are imported late."""
    late = frozenset(i for i in model.imports if i.kind in ("models", "unions") and f"{i.kind}.{i.module}" in cycles)
    classes = {i for i in late if i.kind == "models" and i.module != model.module}
    unions = {i for i in late if i.kind == "unions"}
    modules = {f"from ..unions import {i.module} as {_union_module(i)}" for i in unions}
    fields = [_field(f, late) for f in model.fields]
    return ModelView(
        name=model.name,
        docstring=docstring(model.description or f"`{model.name}` of the API."),
        fields=fields,
        keys=_table({f.name: f.key for f in fields}),
        decoders=_table({f.name: f.decoder for f in fields}),
        struct_fields=_table({f.name: f.struct for f in fields}),
        # An uppercase name means a constant to pyright; here the API chose it.
        shouts=any(f.name.isupper() for f in fields),
        imports=import_lines(model.imports - late, "models"),
        typing_imports=import_lines((i for i in unions if i.name != _decoder(i)), "models"),
        # The names are needed when something is decoded, by then both modules are loaded.
        late_imports=[
            f"{line}  # noqa: E402  (that module needs this one)"
            for line in [*import_lines(classes, "models"), *sorted(modules)]
        ],
    )


def _table(rows: Mapping[str, str]) -> str:
    """The code of a dict of those names that have a row, or ""."""
    written = ", ".join(f"{name!r}: {code}" for name, code in rows.items() if code)
    return f"{{{written}}}" if written else ""


def _decoder(item: Import) -> str:
    return f"{item.module}_from_dict"


def _union_module(item: Import) -> str:
    return f"{item.module}_union"


def _through_modules(type_: Type, late: frozenset[Import]) -> Type:
    """The type with decoders of unions reached through their modules.

    A union's module imports the models of its members, and may be at that when one of them imports it in turn: then
    the module is there, its decoder is not yet.
    """
    modules = {i.name: _union_module(i) for i in late if i.kind == "unions" and i.name == _decoder(i)}
    if type_.function is None:
        return type_
    return evolve(type_, function=qualified(type_.function, modules))


def decoded(source: str, type_: Type) -> str:
    """Return code that decodes a whole answer, or a whole member of a union, which stands under the name `source`."""
    function = type_.callable()
    match function:
        case ast.Call(ast.Name("array"), [item]):  # a call less
            return f"decode_array({printed(item)}, {source})"
        case None:
            return source
        case _:
            return f"{printed(function)}({source})"


@frozen
class RowView:
    """One member of a union as its template prints it."""

    tag: str
    decoder: str
    test: str
    expression: str
    model: str


@frozen
class UnionView:
    """A union as its template prints it."""

    name: str
    module: str
    docstring: str
    alias: str
    tag: str
    tag_text: str
    has_struct: bool
    members: str
    table: list[RowView]
    imports: list[str]
    typing_imports: list[str]
    late_imports: list[str]


def union_view(union: Union, cycles: frozenset[str]) -> UnionView:
    """A union for its template. `cycles` names the modules that need this one: of them unions are imported late."""
    late = frozenset(i for i in union.imports if i.kind == "unions" and f"unions.{i.module}" in cycles)
    members = [evolve(m, type=_through_modules(m.type, late)) for m in union.members]

    def decoder(type_: Type) -> str:
        if type_.function is None:
            return ""
        waits = not late.isdisjoint(type_.imports)  # for a module that is not there when this one is imported
        return printed(template("lambda value: FUNCTION(value)", FUNCTION=type_.function) if waits else type_.function)

    names = [part for m in members for part in m.type.parts]
    if union.tag is not None:
        names.append(f"Unknown{union.name}")
        rows = [RowView(repr(tag), decoder(m.type), "", "", m.type.parts[0]) for m in members for tag in m.tags]
    else:
        rows = [RowView("", "", m.test, decoded("value", m.type), "") for m in members]
    alias = " | ".join(dict.fromkeys(names))
    return UnionView(
        name=union.name,
        module=union.module,
        docstring=docstring(union.description, 0) if union.description else "",
        # A name that is there for checkers alone cannot be evaluated.
        alias=repr(alias) if late else alias,
        tag=repr(union.tag) if union.tag is not None else "",
        tag_text=escaped(union.tag or ""),
        has_struct=union.has_struct,
        members=" | ".join(dict.fromkeys(part for m in union.members for part in m.type.parts)),
        table=rows,
        imports=import_lines(union.imports - late, "unions"),
        typing_imports=import_lines((i for i in late if i.name != _decoder(i)), "unions"),
        late_imports=[
            f"{line}  # noqa: E402  (that module needs this one)"
            for line in sorted({f"from . import {i.module} as {_union_module(i)}" for i in late})
        ],
    )


@frozen
class LibraryView:
    """All components, for the templates of the packages."""

    models: list[Any]
    unions: list[Any]
    enums: list[Any]
    lazy: bool


@frozen
class ModuleExports:
    """The names that a module of a package defines."""

    module: str
    exports: list[str]


@frozen
class EnumView:
    """An enum as its template prints it."""

    name: str
    values: str
    docstring: str


def library_view(library: Library) -> LibraryView:
    """The components for the templates of the packages, each sorted by name."""
    unions = [
        ModuleExports(
            u.module,
            [
                u.name,
                f"{u.module}_from_dict",
                *([f"Unknown{u.name}", f"{u.module}_from_json"] if u.tag is not None else []),
            ],
        )
        for u in sorted(library.unions.values(), key=lambda u: u.name)
    ]
    enums = [
        EnumView(e.name, ", ".join(map(repr, e.values)), docstring(e.description, 0) if e.description else "")
        for e in sorted(library.enums.values(), key=lambda e: e.name)
    ]
    lazy = any(field.lazy for model in library.models.values() for field in model.fields)
    return LibraryView(sorted(library.models.values(), key=lambda m: m.name), unions, enums, lazy)
