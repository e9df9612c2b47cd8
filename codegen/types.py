"""Python types of schemas: the annotation, the source of the decoder, and their imports."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Literal

from attrs import Factory, evolve, field, frozen

from codegen.expressions import constant, template
from codegen.names import like_name, module_name, param_name

JsonKind = Literal["string", "integer", "number", "boolean", "array", "object", "null", "any"]

JSON = "application/json"
EVENTS = "text/event-stream"
MAX_TYPE_DEPTH = 40
"""The largest nesting of arrays and maps in a type. Python's parser accepts 200 nested brackets."""

MAX_ANNOTATION = 1_000_000
"""The largest length of an annotation."""

NULL = {"type": "null"}

SCALARS: dict[str, str] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


@frozen(order=True)
class Import:
    """An import of generated code: a model, a union, an enum, or a name of the runtime."""

    kind: Literal["models", "unions", "enums", "params", "runtime", "typing", "datetime"]
    module: str
    name: str


@frozen
class Type:
    """The Python type of a schema.

    Attributes:
        parts: The alternatives of the annotation, except None. They are never split from text, because a constant can
            contain `|` or brackets.
        kinds: The JSON types of its values.
        function: The source of the decoder, or None if the JSON value is the value.
        nullable: Whether null is allowed.
        imports: The imports of the annotation and the decoder.
        sent: The alternatives of the annotation in requests: TypedDicts, sequences, documented constants.
        sent_imports: The imports of that annotation.
        struct: The source of the struct type without null, or None for a JSON value.
        text_decoder: A decoder of JSON text, or None.
        depth: The nesting of arrays and maps.
    """

    parts: tuple[str, ...]
    kinds: frozenset[JsonKind]
    function: ast.expr | None = None
    nullable: bool = False
    imports: frozenset[Import] = frozenset()
    sent: tuple[str, ...] = field(default=Factory(lambda self: self.parts, takes_self=True))
    sent_imports: frozenset[Import] = field(default=Factory(lambda self: self.imports, takes_self=True))
    struct: ast.expr | None = None
    text_decoder: Import | None = None
    depth: int = 0

    @property
    def annotation(self) -> str:
        """The annotation without None."""
        return " | ".join(self.parts)

    @property
    def written(self) -> str:
        """The annotation, with None if null is allowed."""
        return _annotation(self.parts, nullable=self.nullable)

    @property
    def optional(self) -> str:
        """The annotation of an optional field."""
        return _annotation(self.parts, nullable=True)

    @property
    def sent_written(self) -> str:
        """The annotation in requests, with None if null is allowed."""
        return _annotation(self.sent, nullable=self.nullable)

    @property
    def struct_written(self) -> ast.expr | None:
        """The source of the struct type, nullable if null is allowed."""
        return (
            template("or_null(STRUCT)", STRUCT=self.struct)
            if self.struct is not None and self.nullable
            else self.struct
        )

    def callable(self) -> ast.expr | None:
        """Return the source of the decoder."""
        if self.function is None:
            return None
        return template("nullable(FUNCTION)", FUNCTION=self.function) if self.nullable else self.function

    def runtime(self) -> frozenset[Import]:
        """Return the imports, with those of `callable`."""
        if self.function is not None and self.nullable:
            return self.imports | {_model("nullable")}
        return self.imports


def _annotation(parts: tuple[str, ...], *, nullable: bool) -> str:
    if "Any" in parts:
        return "Any"
    return " | ".join([*parts, "None"] if nullable and "None" not in parts else parts)


def _model(name: str) -> Import:
    return Import("runtime", "model", name)


def _instants(name: str) -> Import:
    return Import("runtime", "instants", name)


def _structs(name: str) -> Import:
    return Import("runtime", "structs", name)


def _lazy_list(name: str) -> Import:
    return Import("runtime", "lazy_list", name)


def _sent(name: str) -> frozenset[Import]:
    return frozenset({Import("params", "params", name)})


def union_of(types: Sequence[Type]) -> Type:
    """Return the union of types without decoders."""
    return Type(
        tuple(dict.fromkeys(part for t in types for part in t.parts)),
        frozenset().union(*(t.kinds for t in types)),
        nullable=any(t.nullable for t in types),
        imports=frozenset().union(*(t.imports for t in types)),
        sent=tuple(dict.fromkeys(part for t in types for part in t.sent)),
        sent_imports=frozenset().union(*(t.sent_imports for t in types)),
        depth=max(t.depth for t in types),
    )


def matching(types: Sequence[Type]) -> Type:
    """Return the union of types that are tried in turn."""
    union = union_of(types)
    if not any(each.function for each in types):
        return union
    if len(types) == 1:
        return types[0]
    functions = [each.function or template("same") for each in types]  # null does not reach them
    return evolve(
        union,
        function=ast.Call(template("best_match"), functions, []),
        imports=union.imports | {Import("runtime", "matching", "best_match"), Import("runtime", "matching", "same")},
    )


def member_of(type_: Type) -> Type:
    """Return the type of a member of a union that is selected by its JSON type, so it can be an unknown constant."""
    scalars = () if type_.function or "Any" in type_.parts else (SCALARS.get(kind, "") for kind in sorted(type_.kinds))
    return evolve(type_, parts=tuple(dict.fromkeys([*type_.parts, *filter(None, scalars)])), nullable=False)


NOTHING = Type(("None",), frozenset({"null"}), nullable=True)
ANY = Type(("Any",), frozenset({"any"}), nullable=True, imports=frozenset({Import("typing", "typing", "Any")}))


ID = Type(("str", "int"), frozenset({"string", "integer"}))
"""The type of an untyped path parameter."""


TEXT = Type(("str",), frozenset({"string"}))
"""The type of text."""

CONTENT = Type(("bytes", "str"), frozenset({"string"}))
"""The type of a body that is neither JSON nor a form."""

_FILE = "bodies.File"


def file_type(type_: Type) -> Type:
    """Return the type of a file, or of an array of files, from that of the strings that describe it."""
    parts = tuple(dict.fromkeys(_file_part(part) for part in type_.sent))
    return evolve(type_, parts=parts, sent=parts, sent_imports=type_.sent_imports | {Import("runtime", "", "bodies")})


def _file_part(part: str) -> str:
    name, bracket, item = part.partition("[")
    return _FILE if part == "str" else f"{name}[{_FILE}]" if bracket and item == "str]" else part


def scalar_type(kind: JsonKind) -> Type:
    """Return the type of a string, a number or a boolean."""
    return Type((SCALARS[kind],), frozenset({kind}))


def literal_type(values: Sequence[str | int | bool], *, closed: bool) -> Type:
    """Return the type of constants. An open set accepts other values."""
    kinds: set[JsonKind] = {
        "boolean" if isinstance(v, bool) else "integer" if isinstance(v, int) else "string" for v in values
    }
    literal = f"Literal[{', '.join(map(repr, values))}]"
    wider = () if closed else tuple(sorted(SCALARS[kind] for kind in kinds))
    return Type(
        (literal, *wider),
        frozenset(kinds),
        imports=frozenset({Import("typing", "typing", "Literal")}),
        sent=(literal,),
    )


def datetime_type() -> Type:
    """Return the type of an aware datetime."""
    instant = Import("datetime", "datetime", "datetime")
    return Type(
        ("datetime",),
        frozenset({"string"}),
        function=template("parse_instant"),
        imports=frozenset({_instants("parse_instant"), instant}),
        sent=("datetime", "date", "str"),
        sent_imports=frozenset({instant, Import("datetime", "datetime", "date")}),
    )


def model_type(name: str) -> Type:
    """Return the type of a component with properties. Requests accept its TypedDict too."""
    param = like_name(name)
    return Type(
        (name,),
        frozenset({"object"}),
        function=template("MODEL.from_dict", MODEL=name),
        imports=frozenset({Import("models", module_name(name), name), _structs("struct_type")}),
        sent=(param,),
        sent_imports=_sent(param),
        struct=template("struct_type(MODEL)", MODEL=name),
    )


def union_type(
    name: str, kinds: frozenset[JsonKind], *, strings: bool, nullable: bool, struct: bool, tagged: bool
) -> Type:
    """Return the type of a component with a decoder function.

    Args:
        name: The component.
        kinds: The JSON types of its values.
        strings: Whether it accepts any string.
        nullable: Whether it accepts null.
        struct: Whether msgspec can decode it.
        tagged: Whether it has a discriminator.
    """
    module, param = module_name(name), param_name(name)
    decode = f"{module}_from_dict"
    function = template(decode)
    if strings:
        # Strings are the usual case in such a union, and skip a call.
        function = template("or_text(DECODE)", DECODE=decode)
    type_ = Type(
        (name,),
        kinds,
        function=function,
        nullable=nullable,
        imports=frozenset({Import("unions", module, name), Import("unions", module, decode), _model("or_text")}),
        sent=(param,),
        sent_imports=_sent(param),
    )
    if not struct:
        return type_
    return evolve(
        type_,
        imports=type_.imports | {Import("unions", module, f"{module}_struct")},
        struct=template("STRUCT()", STRUCT=f"{module}_struct"),
        text_decoder=Import("unions", module, f"{module}_from_json") if tagged else None,
    )


def enum_type(name: str, *, nullable: bool) -> Type:
    """Return the type of a string enum. Undocumented values decode to strings."""
    param = param_name(name)
    found = frozenset({Import("enums", "enums", name)})
    return Type(
        (name, "str"),
        frozenset({"string"}),
        nullable=nullable,
        imports=found,
        sent=(param,),
        sent_imports=_sent(param),
    )


def array_of(item: Type) -> Type:
    """Return the type of an array."""
    parts, sent = (f"list[{item.written}]",), (f"Iterable[{item.sent_written}]",)
    type_ = Type(
        parts,
        frozenset({"array"}),
        imports=item.imports,
        sent=sent,
        sent_imports=item.sent_imports,
        depth=item.depth + 1,
    )
    if item.function is None:
        return type_
    return evolve(
        type_,
        imports=item.runtime() | {*map(_model, ("array", "decode_array"))},
        function=template("array(ITEM)", ITEM=item.callable()),
        struct=item.struct_written and template("list_of(STRUCT)", STRUCT=item.struct_written),
    )


def lazy_array_of(item: Type, key: str) -> Type:
    """Return the type of a lazy array of models.

    Args:
        item: The model.
        key: The property, for error paths.
    """
    (model,) = item.parts
    return evolve(
        array_of(item),
        function=template("lazy_array(ITEM, KEY)", ITEM=model, KEY=constant(key)),
        imports=item.imports | {*map(_lazy_list, ("lazy_array", "lazy_of"))},
        struct=template("lazy_of(ITEM, KEY)", ITEM=model, KEY=constant(key)),
    )


def map_of(item: Type) -> Type:
    """Return the type of an object with arbitrary keys."""
    parts, sent = (f"dict[str, {item.written}]",), (f"Mapping[str, {item.sent_written}]",)
    type_ = Type(
        parts,
        frozenset({"object"}),
        imports=item.imports,
        sent=sent,
        sent_imports=item.sent_imports,
        depth=item.depth + 1,
    )
    if item.function is None:
        return type_
    return evolve(
        type_,
        imports=item.runtime() | {_model("mapping")},
        function=template("mapping(ITEM)", ITEM=item.callable()),
        struct=item.struct_written and template("dict_of(STRUCT)", STRUCT=item.struct_written),
    )


FIELDS = map_of(ANY)
"""The type of a form without a schema."""
