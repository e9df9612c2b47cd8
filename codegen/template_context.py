"""The context of the templates of models, unions and enums."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from codegen.common_fields import CommonField, common_fields, tag_name
from codegen.docstrings import docstring, escaped, with_deprecation
from codegen.expressions import printed, qualified, template
from codegen.joined_texts import JoinedText
from codegen.models import Field, Library, Member, Model, Union
from codegen.types import Import, Type

LAZY_NOTE = (
    "The items are decoded on first access. Access to a malformed item raises `DecodeError` with the path of the item"
    " in this model."
)
"""The documentation of a lazy array."""


@frozen
class FieldView:
    """A field for a model's template.

    Attributes:
        key: The JSON key, or "" if it equals the name.
        decoder: The source of the decoder, or "".
        struct: The source of the struct type, or "" for a JSON value.
        alias: A second name of the attribute, or "".
        alias_type: The source of its annotation as a string.
    """

    name: str
    annotation: str
    default: str
    docstring: str
    key: str
    decoder: str
    struct: str
    alias: str
    alias_type: str


@frozen
class TextView:
    """An attribute with the text of some items, for a model's template."""

    name: str
    source: str
    docstring: str


@frozen
class ModelView:
    """A model for its template."""

    name: str
    docstring: str
    fields: list[FieldView]
    texts: list[TextView]
    keys: str
    decoders: str
    struct_fields: str
    has_uppercase_names: bool
    imports: list[str]
    typing_imports: list[str]
    late_imports: list[str]


def _import_line(item: Import, here: str, dots: str) -> str:
    """Return the import statement of a name."""
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
    """Return sorted import statements, which ruff merges."""
    return sorted({_import_line(item, here, dots) for item in items})


def _field(field: Field, late: frozenset[Import]) -> FieldView:
    type_ = _with_module_access(field.type, late)
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
        # Models that refer to each other cannot have structs that contain each other.
        if type_.struct_written is not None and not waits:
            struct = printed(type_.struct_written)
    return FieldView(
        name=field.name,
        annotation=annotation,
        default=default,
        docstring=_documented(
            f"{field.description}\n\n{LAZY_NOTE}".strip() if field.lazy else field.description,
            deprecated=field.deprecated,
        ),
        key=repr(field.wire) if field.wire != field.name else "",
        decoder=decoder,
        struct=struct,
        alias=field.alias,
        alias_type=repr(annotation),
    )


def _text(text: JoinedText) -> TextView:
    selected = " and ".join(f"`{name}` is `{value}`" for name, value in text.where.items())
    documentation = f"The `{text.text}` of each item of `{text.items}` whose {selected}, on lines of its own."
    source = f"JoinedText({text.items!r}, {text.where!r}, {text.text!r})"
    return TextView(text.name, source, docstring(documentation))


def _documented(text: str, *, deprecated: bool = False) -> str:
    text = with_deprecation(text, deprecated=deprecated)
    return docstring(text) if text else ""


def model_view(model: Model, cycles: frozenset[str]) -> ModelView:
    """Return a model for its template. The modules in `cycles` import this one, so they are imported last."""
    late = frozenset(i for i in model.imports if i.kind in ("models", "unions") and f"{i.kind}.{i.module}" in cycles)
    classes = {i for i in late if i.kind == "models" and i.module != model.module}
    unions = {i for i in late if i.kind == "unions"}
    modules = {f"from ..unions import {i.module} as {_union_module(i)}" for i in unions}
    fields = [_field(f, late) for f in model.fields]
    return ModelView(
        name=model.name,
        docstring=docstring(model.description or f"`{model.name}` of the API."),
        fields=fields,
        texts=[_text(each) for each in model.texts],
        keys=_table({f.name: f.key for f in fields}),
        decoders=_table({f.name: f.decoder for f in fields}),
        struct_fields=_table({f.name: f.struct for f in fields}),
        # pyright takes an uppercase name for a constant.
        has_uppercase_names=any(f.name.isupper() for f in fields),
        imports=import_lines(model.imports - late, "models"),
        typing_imports=import_lines((i for i in unions if i.name != _decoder(i)), "models"),
        # Decoders use these names after both modules are imported.
        late_imports=[
            f"{line}  # noqa: E402  (circular import)" for line in [*import_lines(classes, "models"), *sorted(modules)]
        ],
    )


def _table(rows: Mapping[str, str]) -> str:
    """Return the source of a dict of the non-empty rows, or "" if all are empty."""
    written = ", ".join(f"{name!r}: {code}" for name, code in rows.items() if code)
    return f"{{{written}}}" if written else ""


def _decoder(item: Import) -> str:
    return f"{item.module}_from_dict"


def _struct(item: Import) -> str:
    return f"{item.module}_struct"


def _union_module(item: Import) -> str:
    return f"{item.module}_union"


def _with_module_access(type_: Type, late: frozenset[Import]) -> Type:
    """Return the type with decoders and structs of unions accessed through their modules.

    In a circular import, the module of a union exists before its decoder.
    """
    modules = {i.name: _union_module(i) for i in late if i.kind == "unions" and i.name in (_decoder(i), _struct(i))}
    return evolve(
        type_,
        function=type_.function and qualified(type_.function, modules),
        struct=type_.struct and qualified(type_.struct, modules),
    )


def decoded(source: str, type_: Type) -> str:
    """Return the source that decodes the value of the name `source`."""
    function = type_.callable()
    match function:
        case ast.Call(ast.Name("array"), [item]):  # saves a call
            return f"decode_array({printed(item)}, {source})"
        case None:
            return source
        case _:
            return f"{printed(function)}({source})"


@frozen
class RowView:
    """A union member for its template."""

    tag: str
    decoder: str
    test: str
    expression: str
    model: str
    rivals: str = ""


@frozen
class UnionView:
    """A union for its template."""

    name: str
    module: str
    docstring: str
    alias: str
    tag: str
    tag_text: str
    has_struct: bool
    struct: str
    members: str
    table: list[RowView]
    tag_name: str
    common: list[CommonField]
    imports: list[str]
    typing_imports: list[str]
    late_imports: list[str]


def _rivals(type_: Type) -> str:
    """Return the source of the decoders that are tried in turn, or ""."""
    match type_.function:
        case ast.Call(ast.Name("best_match"), decoders):
            return f"({', '.join(map(printed, decoders))})"
        case _:
            return ""


def _struct_source(union: Union, members: Iterable[Member]) -> str:
    """Return the source of the struct type of a union without a discriminator."""
    if union.string_keys:
        rows = zip(union.members, union.string_keys, strict=True)
        return f"by_strings({', '.join(f'({member.type.parts[0]}, {keys!r})' for member, keys in rows)})"
    structs = {kind: printed(m.type.struct) for m in members for kind in m.type.kinds if m.type.struct is not None}
    text = any("string" in member.type.kinds for member in members)
    return f"by_type(text={text}, array={structs.get('array')}, item={structs.get('object')})"


def union_view(union: Union, library: Library, cycles: frozenset[str]) -> UnionView:
    """Return a union for its template. The modules in `cycles` import this one, so unions of them are imported last."""
    late = frozenset(i for i in union.imports if i.kind == "unions" and f"unions.{i.module}" in cycles)
    members = [evolve(m, type=_with_module_access(m.type, late)) for m in union.members]

    def decoder(type_: Type) -> str:
        if type_.function is None:
            return ""
        waits = not late.isdisjoint(type_.imports)  # the decoder is not importable yet
        return printed(template("lambda value: FUNCTION(value)", FUNCTION=type_.function) if waits else type_.function)

    names = [part for m in members for part in m.type.parts]
    if union.tag is not None:
        names.append(f"Unknown{union.name}")
        rows = [RowView(repr(tag), decoder(m.type), "", "", m.type.parts[0]) for m in members for tag in m.tags]
    else:
        rows = [RowView("", "", m.test, decoded("value", m.type), "", _rivals(m.type)) for m in members]
    alias = " | ".join(dict.fromkeys(names))
    return UnionView(
        name=union.name,
        module=union.module,
        docstring=docstring(union.description, 0) if union.description else "",
        # A name that is imported for type checkers only cannot be evaluated.
        alias=repr(alias) if late or any(i.name == union.name for m in members for i in m.type.imports) else alias,
        tag=repr(union.tag) if union.tag is not None else "",
        tag_text=escaped(union.tag or ""),
        has_struct=union.has_struct,
        struct=_struct_source(union, members) if union.has_struct and union.tag is None else "",
        members=" | ".join(dict.fromkeys(part for m in union.members for part in m.type.parts)),
        table=rows,
        tag_name=tag_name(union.tag) if union.tag is not None else "",
        common=common_fields(union, library) if union.tag is not None else [],
        imports=import_lines(union.imports - late, "unions"),
        typing_imports=import_lines((i for i in late if i.name != _decoder(i)), "unions"),
        late_imports=[
            f"{line}  # noqa: E402  (circular import)"
            for line in sorted({f"from . import {i.module} as {_union_module(i)}" for i in late})
        ],
    )


@frozen
class LibraryView:
    """The components for the templates of packages."""

    models: list[Any]
    unions: list[Any]
    enums: list[Any]
    lazy: bool


@frozen
class ModuleExports:
    """The public names of a module."""

    module: str
    exports: list[str]


@frozen
class EnumView:
    """An enum for its template."""

    name: str
    values: str
    docstring: str


def library_view(library: Library) -> LibraryView:
    """Return the components for the templates of packages, sorted by name."""
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
