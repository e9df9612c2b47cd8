"""What a schema is in Python: the annotation, the expression that decodes it, and what both need imported."""

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
READ = (JSON, EVENTS)
"""The content types that a client sends and asks for."""

DEEPEST_TYPE = 40
"""Levels of arrays and maps in a type. Python's own parser takes no more than 200 brackets in each other."""

LONGEST_TYPE = 1_000_000
"""Characters of an annotation."""

NULL = {"type": "null"}

SCALARS: dict[str, str] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


@frozen(order=True)
class Import:
    """A name that generated code needs: from one of its models or unions, its enums, or the runtime."""

    kind: Literal["models", "unions", "enums", "params", "runtime", "typing", "datetime"]
    module: str
    name: str


@frozen
class Type:
    """A schema in Python's terms.

    Attributes:
        parts: the alternatives of its annotation, null apart. They are never taken out of one text again: a literal
            may hold any character, a `|` or a bracket too.
        kinds: the JSON kinds a value of it can have.
        function: an expression for a function that makes the value from its JSON struct; None where both are the same.
        nullable: whether null is allowed.
        imports: what the annotation and the decoding need.
        sent: the alternatives of its annotation in a request: TypedDicts, sequences, the documented literals only.
        sent_imports: what that annotation needs.
        struct: an expression for what a parser of text shall make of a value that is not null, and what makes the value
            of that; None where that is its JSON value.
        text_reader: a function that reads the value from JSON text at once, where there is one.
        depth: how many arrays and maps stand in each other.
    """

    parts: tuple[str, ...]
    kinds: frozenset[JsonKind]
    function: ast.expr | None = None
    nullable: bool = False
    imports: frozenset[Import] = frozenset()
    sent: tuple[str, ...] = field(default=Factory(lambda self: self.parts, takes_self=True))
    sent_imports: frozenset[Import] = field(default=Factory(lambda self: self.imports, takes_self=True))
    struct: ast.expr | None = None
    text_reader: Import | None = None
    depth: int = 0

    @property
    def annotation(self) -> str:
        """The annotation of a value that is not null."""
        return " | ".join(self.parts)

    @property
    def written(self) -> str:
        """The annotation, with None where null is allowed."""
        return _annotation(self.parts, nullable=self.nullable)

    @property
    def optional(self) -> str:
        """The annotation of a field that can be absent."""
        return _annotation(self.parts, nullable=True)

    @property
    def sent_written(self) -> str:
        """The annotation in a request, with None where null is allowed."""
        return _annotation(self.sent, nullable=self.nullable)

    @property
    def struct_written(self) -> ast.expr | None:
        """What a parser of text shall make of a value, with None where null is allowed."""
        return (
            template("or_null(STRUCT)", STRUCT=self.struct)
            if self.struct is not None and self.nullable
            else self.struct
        )

    def callable(self) -> ast.expr | None:
        """Return the expression of a function from JSON to the value."""
        if self.function is None:
            return None
        return template("nullable(FUNCTION)", FUNCTION=self.function) if self.nullable else self.function

    def runtime(self) -> frozenset[Import]:
        """The imports, with the combinator that `callable` uses."""
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


def either(types: Sequence[Type]) -> Type:
    """What is one of several types, none of which is decoded."""
    return Type(
        tuple(dict.fromkeys(part for t in types for part in t.parts)),
        frozenset().union(*(t.kinds for t in types)),
        nullable=any(t.nullable for t in types),
        imports=frozenset().union(*(t.imports for t in types)),
        sent=tuple(dict.fromkeys(part for t in types for part in t.sent)),
        sent_imports=frozenset().union(*(t.sent_imports for t in types)),
        depth=max(t.depth for t in types),
    )


NOTHING = Type(("None",), frozenset({"null"}), nullable=True)
ANY = Type(("Any",), frozenset({"any"}), nullable=True, imports=frozenset({Import("typing", "typing", "Any")}))


ID = Type(("str", "int"), frozenset({"string", "integer"}))
"""What can stand in a path."""


def scalar_type(kind: JsonKind) -> Type:
    """A string, a number, a boolean."""
    return Type((SCALARS[kind],), frozenset({kind}))


def literal_type(values: Sequence[str | int | bool], *, closed: bool) -> Type:
    """One of several literals; of an open set, a value that the document does not know is taken as it is."""
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


def instant_type() -> Type:
    """An aware datetime."""
    instant = Import("datetime", "datetime", "datetime")
    return Type(
        ("datetime",),
        frozenset({"string"}),
        function=template("parse_instant"),
        imports=frozenset({_instants("parse_instant"), instant}),
        sent=("datetime", "str"),
        sent_imports=frozenset({instant}),
    )


def model_type(name: str) -> Type:
    """A component with properties; a request takes its TypedDict too."""
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


def union_type(name: str, kinds: frozenset[JsonKind], *, strings: bool, nullable: bool, struct: bool) -> Type:
    """A component that a function of its own decodes.

    Args:
        name: The component.
        kinds: The JSON kinds that a value can have.
        strings: Whether it takes every string as it is.
        nullable: Whether it takes null.
        struct: Whether msgspec can tell its members apart.
    """
    module, param = module_name(name), param_name(name)
    decode = f"{module}_from_dict"
    function = template(decode)
    if strings:
        # What a union of a string and something else mostly is; a call less for every piece of a stream.
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
        text_reader=Import("unions", module, f"{module}_from_json"),
    )


def enum_type(name: str, *, nullable: bool) -> Type:
    """A component of string literals; a value that the document does not know stays a string."""
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
    """An array."""
    parts, sent = (f"list[{item.written}]",), (f"Sequence[{item.sent_written}]",)
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
    """An array of models that are decoded when they are asked for.

    Args:
        item: The model.
        key: The name of the property, for errors.
    """
    (model,) = item.parts
    return evolve(
        array_of(item),
        function=template("lazy_array(ITEM, KEY)", ITEM=model, KEY=constant(key)),
        imports=item.imports | {*map(_lazy_list, ("lazy_array", "lazy_of"))},
        struct=template("lazy_of(ITEM, KEY)", ITEM=model, KEY=constant(key)),
    )


def map_of(item: Type) -> Type:
    """An object with free keys."""
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
