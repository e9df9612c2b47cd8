"""What a schema is in Python: the annotation, the expression that decodes it, and what both need imported.

Everything here is about components and plain schemas; `hoist.py` has seen to it that nothing else is left.
"""

from __future__ import annotations

import ast
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from attrs import Factory, evolve, field, frozen

from codegen.document import SCHEMAS, Document, Schema, ref_name
from codegen.expressions import HOLE, constant, over, template
from codegen.faults import SpecError
from codegen.names import like_name, module_name, param_name
from codegen.words import LAZY, check_words, decoded_components, decoding_of, is_instant, types_of

Kind = Literal["model", "union", "enum", "alias"]
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
        decode: an expression over `HOLE` that makes the value from its JSON form; None where both are the same.
        function: an expression for a function that does the same.
        nullable: whether null is allowed.
        imports: what the annotation and the decoding need.
        sent: the alternatives of its annotation in a request: TypedDicts, sequences, the documented literals only.
        sent_imports: what that annotation needs.
        placed: an expression like `decode` whose errors name the place in an array, where that is another one.
        form: an expression for what a parser of text shall make of a value that is not null; None where that is its
            JSON value.
        made: an expression over `HOLE` that makes the value from that, where `form` says something.
        text_reader: a function that reads the value from JSON text at once, where there is one.
        depth: how many arrays and maps stand in each other.
    """

    parts: tuple[str, ...]
    kinds: frozenset[JsonKind]
    decode: ast.expr | None = None
    function: ast.expr | None = None
    nullable: bool = False
    imports: frozenset[Import] = frozenset()
    sent: tuple[str, ...] = field(default=Factory(lambda self: self.parts, takes_self=True))
    sent_imports: frozenset[Import] = field(default=Factory(lambda self: self.imports, takes_self=True))
    placed: ast.expr | None = None
    form: ast.expr | None = None
    made: ast.expr | None = None
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

    def expression(self, source: ast.expr) -> ast.expr:
        """Return the expression that decodes the value of the expression `source`."""
        return self._over(source, self.decode)

    def from_parts(self, source: ast.expr) -> ast.expr:
        """Return the expression that makes the value from what a parser has made, which `source` gives."""
        return self._over(source, self.decode if self.form is None else self.made)

    def _over(self, source: ast.expr, code: ast.expr | None) -> ast.expr:
        if code is None:
            return source
        if not self.nullable:
            return over(code, source)
        value = ast.Name("value")
        return over(
            template("None if (value := SOURCE) is None else CODE", SOURCE=HOLE, CODE=over(code, value)), source
        )

    @property
    def form_written(self) -> ast.expr | None:
        """What a parser of text shall make of a value, with None where null is allowed."""
        return template("or_null(FORM)", FORM=self.form) if self.form is not None and self.nullable else self.form

    def callable(self) -> ast.expr | None:
        """Return the expression of a function from JSON to the value."""
        if self.function is None:
            return None
        return template("nullable(FUNCTION)", FUNCTION=self.function) if self.nullable else self.function

    def runtime(self) -> frozenset[Import]:
        """The imports, with the combinator that `callable` uses."""
        if self.function is not None and self.nullable:
            return self.imports | {_decoding("nullable")}
        return self.imports


def _annotation(parts: tuple[str, ...], *, nullable: bool) -> str:
    if "Any" in parts:
        return "Any"
    return " | ".join([*parts, "None"] if nullable and "None" not in parts else parts)


def _decoding(name: str) -> Import:
    return Import("runtime", "decoding", name)


def _parts(name: str) -> Import:
    return Import("runtime", "parts", name)


def _lists(name: str) -> Import:
    return Import("runtime", "lists", name)


def _sent(name: str) -> frozenset[Import]:
    return frozenset({Import("params", "params", name)})


def _either(types: Sequence[Type], *, nullable: bool) -> Type:
    """What is one of several types, none of which is decoded."""
    return Type(
        tuple(dict.fromkeys(part for t in types for part in t.parts)),
        frozenset().union(*(t.kinds for t in types)),
        nullable=nullable or any(t.nullable for t in types),
        imports=frozenset().union(*(t.imports for t in types)),
        sent=tuple(dict.fromkeys(part for t in types for part in t.sent)),
        sent_imports=frozenset().union(*(t.sent_imports for t in types)),
        depth=max(t.depth for t in types),
    )


NOTHING = Type(("None",), frozenset({"null"}), nullable=True)
ANY = Type(("Any",), frozenset({"any"}), nullable=True, imports=frozenset({Import("typing", "typing", "Any")}))


ID = Type(("str", "int"), frozenset({"string", "integer"}))
"""What can stand in a path."""


class TypeReader:
    """Reads schemas of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._resolving: list[str] = []
        self._aliases: dict[str, Type] = {}
        self._failed: dict[str, SpecError] = {}
        self._union_kinds: dict[str, frozenset[JsonKind]] = {}
        self._decoded = decoded_components(document.schemas)

    def kind(self, name: str, place: str) -> Kind:
        """What a component becomes: a model class, a union with a decoder, an enum alias, or just an alias."""
        schema = self.document.schemas.get(name)
        if schema is None:
            raise SpecError(place, f"$ref {SCHEMAS + name!a:.200} points at nothing")
        if "anyOf" in schema or "oneOf" in schema:
            return "union" if self.is_decoded_union(schema) else "alias"
        if "enum" in schema:
            return "enum"
        if "properties" in schema:
            return "model"
        return "alias"

    def is_decoded_union(self, schema: Schema) -> bool:
        """Whether a function has to tell the members apart: by a tag, or because each is decoded in its own way."""
        members = [m for m in _members(schema) if m != NULL]
        # One tagged member is a union too: a newer server may send another.
        return "discriminator" in schema or (len(members) > 1 and any(self._needs_decoding(m) for m in members))

    def is_alias_enum(self, name: str) -> bool:
        """Whether an enum component is one of strings, which gets a name of its own in Python too."""
        schema = self.document.schemas[name]
        values = schema["enum"]
        return (
            set(types_of(schema)) <= {"string", "null"}
            and all(isinstance(v, str | None) for v in values)
            and any(v is not None for v in values)
        )

    def _needs_decoding(self, schema: Any) -> bool:
        by_itself, names = decoding_of(schema)
        return by_itself or not names.isdisjoint(self._decoded)

    def property(self, key: str, schema: Any, place: str) -> Type:
        """The type of a property, which can be an array whose items wait until they are asked for.

        Raises:
            SpecError: as `read`; also where what shall wait is no array of models.
        """
        if not isinstance(schema, dict) or LAZY not in schema:
            return self.read(schema, place)
        at = f"{place}/{LAZY}"
        if schema[LAZY] is not True:
            raise SpecError(at, f"is {schema[LAZY]!r}; it is true, or not there")
        item = ref_name(schema.get("items"))
        if set(types_of(schema)) - {"null"} != {"array"} or item is None or self.kind(item, at) != "model":
            raise SpecError(at, "stands at what is no array of a component with properties")
        type_ = self.read({word: value for word, value in schema.items() if word != LAZY}, place)
        return evolve(
            type_,
            decode=template("Lazy(ITEM, SOURCE, KEY)", ITEM=item, SOURCE=HOLE, KEY=constant(key)),
            function=template("lazy_array(ITEM, KEY)", ITEM=item, KEY=constant(key)),
            imports=self.read(schema["items"], place).imports
            | {*map(_lists, ("Lazy", "lazy_array")), *map(_parts, ("RAW", "texts"))},
            placed=None,
            form=template("list_of(RAW)"),
            made=template("Lazy(ITEM, texts(SOURCE), KEY)", ITEM=item, SOURCE=HOLE, KEY=constant(key)),
        )

    def read(self, schema: Any, place: str) -> Type:
        """The type of a schema.

        Raises:
            SpecError: the schema uses a word, a type or a combination that is not understood, or has no end.
        """
        type_ = self._read(schema, place)
        if type_.depth > DEEPEST_TYPE:
            raise SpecError(place, f"has more than {DEEPEST_TYPE} arrays and maps in each other")
        if sum(map(len, type_.parts)) > LONGEST_TYPE:
            raise SpecError(place, f"has an annotation of more than {LONGEST_TYPE:,} characters")
        return type_

    def _read(self, schema: Any, place: str) -> Type:
        if schema is True or schema == {}:
            return ANY
        if not isinstance(schema, dict):
            raise SpecError(place, f"is not a schema but {schema!r}")
        check_words(schema, place)
        if "$ref" in schema:
            return self._reference(schema, place)
        if "allOf" in schema:
            if len(schema["allOf"]) != 1 or "properties" in schema or "type" in schema:
                raise SpecError(place, "combines schemas with allOf; write the object out with all its properties")
            return self.read(schema["allOf"][0], f"{place}/allOf/0")
        if "anyOf" in schema or "oneOf" in schema:
            return self._union(schema, place)
        if "const" in schema or "enum" in schema:
            return self._literals(schema, place)
        return self._plain(schema, place)

    def _reference(self, schema: Schema, place: str) -> Type:
        name = ref_name(schema)
        if name is None:
            raise SpecError(place, f"$ref {schema['$ref']!r} is not one of {SCHEMAS}…")
        kind = self.kind(name, place)
        cls, module = name, module_name(name)
        param = like_name(cls) if kind == "model" else param_name(cls)
        sent, sent_imports = (param,), _sent(param)
        if kind == "model":
            return Type(
                (cls,),
                frozenset({"object"}),
                decode=template("MODEL.from_dict(SOURCE)", MODEL=cls, SOURCE=HOLE),
                function=template("MODEL.from_dict", MODEL=cls),
                imports=frozenset({Import("models", module, cls), _parts("parts_type")}),
                sent=sent,
                sent_imports=sent_imports,
                form=template("parts_type(MODEL)", MODEL=cls),
                made=template("MODEL.from_parts(SOURCE)", MODEL=cls, SOURCE=HOLE),
            )
        if kind == "union":
            decode = f"decode_{module}"
            code = template("DECODE(SOURCE)", DECODE=decode, SOURCE=HOLE)
            if self._has_plain_string(name):
                # What a union of a string and something else mostly is; a call less for every piece of a stream.
                code = template(
                    "value if isinstance(value := SOURCE, str) else DECODE(value)", DECODE=decode, SOURCE=HOLE
                )
            type_ = Type(
                (cls,),
                self._kinds(name, place),
                decode=code,
                function=template(decode),
                nullable=NULL in _members(self.document.schemas[name]),
                imports=frozenset({Import("unions", module, cls), Import("unions", module, decode)}),
                sent=sent,
                sent_imports=sent_imports,
            )
            if not self.has_parts(name, place):
                return type_
            parts = f"{module}_parts"
            return evolve(
                type_,
                imports=type_.imports | {Import("unions", module, parts), _parts("MAKERS")},
                form=template("PARTS()", PARTS=parts),
                made=template("MAKERS[SOURCE.__class__](SOURCE)", SOURCE=HOLE),
                text_reader=Import("unions", module, f"read_{module}"),
            )
        if kind == "enum":
            if not self.is_alias_enum(name):
                return self._literals(self.document.schemas[name], self.document.place(name))
            found = frozenset({Import("enums", "enums", cls)})
            nullable = None in self.document.schemas[name]["enum"]
            return Type((cls, "str"), frozenset({"string"}), None, None, nullable, found, sent, sent_imports)
        if name not in self._aliases:
            with self._resolved(name, place):
                self._aliases[name] = self.read(self.document.schemas[name], self.document.place(name))
        return self._aliases[name]

    @contextmanager
    def _resolved(self, name: str, place: str) -> Generator[None, None, None]:
        """Takes a component for its definition, which must come to an end."""
        if name in self._resolving:
            raise SpecError(place, f"{name} is defined by itself; give the recursion an object to go through")
        if len(self._resolving) >= DEEPEST_TYPE:
            raise SpecError(place, f"is defined through more than {DEEPEST_TYPE} components that are no objects")
        if known := self._failed.get(name):
            raise SpecError(known.place, known.reason)
        self._resolving.append(name)
        try:
            yield
        except SpecError as fault:
            self._failed[name] = fault
            raise
        finally:
            self._resolving.pop()

    def has_parts(self, name: str, place: str) -> bool:
        """Whether a parser can tell the members of a union: by a tag, and each is a model."""
        schema = self.document.schemas[name]
        members = [ref_name(m) for m in _members(schema) if m != NULL]
        return "discriminator" in schema and all(m is not None and self.kind(m, place) == "model" for m in members)

    def _has_plain_string(self, name: str) -> bool:
        """Whether a union takes every string as it is."""
        schema = self.document.schemas[name]
        members = [m for m in _members(schema) if isinstance(m, dict)]
        return "discriminator" not in schema and any(m.get("type") == "string" and "format" not in m for m in members)

    def _kinds(self, name: str, place: str) -> frozenset[JsonKind]:
        schema = self.document.schemas[name]
        if "discriminator" in schema:
            return frozenset({"object"})
        if name not in self._union_kinds:
            with self._resolved(name, place):
                at = f"{self.document.place(name)}/{'anyOf' if 'anyOf' in schema else 'oneOf'}"
                read = [self.read(m, f"{at}/{n}") for n, m in enumerate(_members(schema)) if m != NULL]
                self._union_kinds[name] = frozenset().union(*(type_.kinds for type_ in read))
        return self._union_kinds[name]

    def _union(self, schema: Schema, place: str) -> Type:
        word = "anyOf" if "anyOf" in schema else "oneOf"
        nullable = NULL in schema[word]
        read = [self.read(m, f"{place}/{word}/{n}") for n, m in enumerate(schema[word]) if m != NULL]
        if not read:
            raise SpecError(place, f"{word} has no member but null")
        if len(read) == 1:
            return evolve(read[0], nullable=nullable or read[0].nullable)
        if any(r.decode for r in read):
            raise SpecError(place, "is a union that needs a name of its own")
        return ANY if ANY in read else _either(read, nullable=nullable)

    def _literals(self, schema: Schema, place: str) -> Type:
        values = [schema["const"]] if "const" in schema else list(schema["enum"])
        some = [v for v in values if v is not None]
        if not some:
            return NOTHING
        if not all(isinstance(v, (str, int, bool)) for v in some):
            raise SpecError(
                place, f"has the literal values {values!r}; only strings, integers and booleans are understood"
            )
        kinds: set[JsonKind] = {
            "boolean" if isinstance(v, bool) else "integer" if isinstance(v, int) else "string" for v in some
        }
        literal = f"Literal[{', '.join(map(repr, some))}]"
        # A newer server may send a value that the document does not know: it is taken as it is.
        wider = () if "const" in schema else tuple(sorted(SCALARS[kind] for kind in kinds))
        return Type(
            (literal, *wider),
            frozenset(kinds),
            nullable=len(some) != len(values) or "null" in types_of(schema),
            imports=frozenset({Import("typing", "typing", "Literal")}),
            sent=(literal,),
        )

    def _plain(self, schema: Schema, place: str) -> Type:
        types = types_of(schema)
        if not types:
            if "properties" in schema or "additionalProperties" in schema:
                types = ["object"]
            elif "items" in schema:
                types = ["array"]
            else:
                return ANY
        some = [t for t in types if t != "null"]
        nullable = len(some) != len(types)
        if not some:
            return NOTHING
        read = [self._one(t, schema, place) for t in some]
        if len(read) == 1:
            return evolve(read[0], nullable=nullable)
        if any(r.decode for r in read):
            raise SpecError(place, f"has the types {', '.join(some)}; write them as the members of an anyOf")
        return _either(read, nullable=nullable)

    def _one(self, kind: str, schema: Schema, place: str) -> Type:
        if kind == "string" and is_instant(schema):
            instant = Import("datetime", "datetime", "datetime")
            found = frozenset({*map(_decoding, ("parse_instant", "read_instant", "in_utc")), instant})
            return Type(
                ("datetime",),
                frozenset({"string"}),
                # What `parse_instant` does, a call less: nearly every object has a date.
                decode=template("value if (value := read_instant(SOURCE)).tzinfo else in_utc(value)", SOURCE=HOLE),
                function=template("parse_instant"),
                imports=found,
                sent=("datetime", "str"),
                sent_imports=frozenset({instant}),
            )
        if kind == "array":
            return self._array(self.read(schema.get("items", True), f"{place}/items"))
        if kind == "object":
            if "properties" in schema:
                raise SpecError(place, "is an object with properties that has no name")
            return self._map(self.read(schema.get("additionalProperties", True), f"{place}/additionalProperties"))
        if kind not in SCALARS:
            raise SpecError(place, f"has the type {kind!r}, which is no JSON type")
        name: Any = kind
        return Type((SCALARS[kind],), frozenset({name}))

    def _array(self, item: Type) -> Type:
        parts, sent = (f"list[{item.written}]",), (f"Sequence[{item.sent_written}]",)
        type_ = Type(
            parts,
            frozenset({"array"}),
            imports=item.imports,
            sent=sent,
            sent_imports=item.sent_imports,
            depth=item.depth + 1,
        )
        if item.decode is None:
            return type_
        function = item.callable()
        return evolve(
            type_,
            imports=item.runtime() | {*map(_decoding, ("each", "array", "read_array"))},
            decode=_each("[CODE for item in each(SOURCE)]", item, item.decode),
            function=template("array(ITEM)", ITEM=function),
            placed=template("read_array(ITEM, SOURCE)", ITEM=function, SOURCE=HOLE),
            form=item.form_written and template("list_of(FORM)", FORM=item.form_written),
            made=item.made and _each("[CODE for item in SOURCE]", item, item.made),
        )

    def _map(self, item: Type) -> Type:
        parts, sent = (f"dict[str, {item.written}]",), (f"Mapping[str, {item.sent_written}]",)
        type_ = Type(
            parts,
            frozenset({"object"}),
            imports=item.imports,
            sent=sent,
            sent_imports=item.sent_imports,
            depth=item.depth + 1,
        )
        if item.decode is None:
            return type_
        return evolve(
            type_,
            imports=item.runtime() | {*map(_decoding, ("entries", "mapping"))},
            decode=_each("{key: CODE for key, item in entries(SOURCE).items()}", item, item.decode),
            function=template("mapping(ITEM)", ITEM=item.callable()),
            form=item.form_written and template("dict_of(FORM)", FORM=item.form_written),
            made=item.made and _each("{key: CODE for key, item in SOURCE.items()}", item, item.made),
        )


def _each(text: str, item: Type, code: ast.expr) -> ast.expr:
    """Return a comprehension whose items `code` makes, where a second name would be one too many."""
    made = over(code, template("item"))
    if item.nullable:
        made = template("None if item is None else CODE", CODE=made)
    return template(text, CODE=made, SOURCE=HOLE)


def _members(schema: Schema) -> list[Any]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [])
