"""What the document says about each operation: its request, its answer, and the `x-letta-*` facts."""

from __future__ import annotations

import re
from typing import Any, Literal

from attrs import evolve, frozen

from codegen.docs import noted
from codegen.document import Document, Parameter, escape, ref_name
from codegen.document import Operation as Source
from codegen.faults import Gathering, SpecError
from codegen.names import class_name, identifiers, module_name, usable
from codegen.types import ANY, EVENTS, ID, JSON, NULL, Import, Type, TypeReader
from codegen.words import types_of

_RESERVED = (
    "client params body self cls request httpx Request make_path make_query make_headers make_body "
    "build_request decode_response send send_async open_stream open_stream_async "
    "read_response read_event iterate_events iterate_events_async"
)
RESERVED = frozenset(_RESERVED.split())
"""Names that the endpoint functions use themselves."""

PATH = re.compile(r"/|(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}|\{[^{}/]+\})+)+/?")
STATUS = re.compile(r"[1-5](\d\d|XX)|default")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

TABLE = "OPERATIONS"
"""What the table of operations is called, so that no operation is."""

REPEATS = ("always", "otid", "unsent")
PAGE_LISTS = {"identity", "filters-after-limit"}
PAGE_WORDS = PAGE_LISTS | {"cursor", "after", "before", "limit", "order", "default-order", "meaning", "counts"}


@frozen
class Argument:
    """One argument of a call: a parameter in the path, the query or a header, or a field of the body.

    Attributes:
        wire: its name in the request.
        name: its name in Python.
    """

    wire: str
    name: str
    place: Literal["path", "query", "header", "body"]
    type: Type
    required: bool
    description: str
    deprecated: bool
    schema: Any

    @property
    def documentation(self) -> str:
        """What it means, in one paragraph, with the server's default."""
        text = " ".join(self.description.split())
        text = noted(text, deprecated=self.deprecated)
        default = self.schema.get("default") if isinstance(self.schema, dict) else None
        if default is None:
            return text
        told = f"The server's default is {default!r}."
        return f"{text.rstrip('.')}. {told}" if text else told


@frozen
class Page:
    """The fact `x-letta-page`: how a list operation pages."""

    cursor: str
    identity: tuple[str, ...]
    after: str
    before: str
    limit: str
    order: str
    default_order: str
    meaning: str
    counts: str
    filters_after_limit: tuple[str, ...]


@frozen
class Stream:
    """The fact `x-letta-stream`: that, and how, an operation streams."""

    event: Type
    schema: str
    switch: str | None
    default: bool
    end: str
    resume: str


@frozen
class Operation:
    """One operation, ready for the templates.

    Attributes:
        template: the path with its placeholders under the names that the arguments have in Python.
        result: the type of the JSON answer, or None where there is none.
        answer: its schema.
        body: the component of its JSON body, or None where it sends none.
    """

    id: str
    method: str
    path: str
    template: str
    summary: str
    description: str
    arguments: list[Argument]
    result: Type | None
    answer: Any
    repeat: str
    page: Page | None
    stream: Stream | None
    body: str | None
    place: str
    deprecated: bool

    def at(self, place: str) -> list[Argument]:
        """The arguments that go into one part of the request."""
        return [a for a in self.arguments if a.place == place]

    @property
    def options(self) -> list[Argument]:
        """The arguments given by keyword."""
        return [a for a in self.arguments if a.place != "path"]

    @property
    def keywords(self) -> list[Argument]:
        """The options of its TypedDict: all but the one that chooses between JSON and events."""
        switch = self.stream.switch if self.stream else None
        return [a for a in self.options if a.wire != switch]

    @property
    def params(self) -> str:
        """The name of the TypedDict of its keyword arguments."""
        return class_name(self.id) + "Params"

    @property
    def module(self) -> str:
        """The name of its module."""
        return module_name(self.id)

    @property
    def constant(self) -> str:
        """Its name in the operations table."""
        return self.module.upper()

    @property
    def imports(self) -> set[Import]:
        """What the answer needs."""
        types = [self.result, self.stream.event if self.stream else None]
        return {i for t in types if t is not None for i in t.imports}


def read_operations(document: Document, reader: TypeReader) -> list[Operation]:
    """Every operation of the document.

    Raises:
        SpecErrors: operations, or facts about them, are not understood.
    """
    sources = document.operations()
    ids = {s.id for s in sources}
    found: list[Operation] = []
    gathering = Gathering()
    for source in sources:
        with gathering.block():
            found.append(_operation(source, document, reader, ids))
    gathering.done()
    taken = {TABLE: "the table of operations"}
    for operation in found:
        for name in {operation.constant, operation.params}:
            if not usable(name) or module_name(operation.module) != operation.module:
                raise SpecError(operation.place, f"has an operationId that makes no Python name: {operation.id!a:.60}")
            if other := taken.get(name):
                raise SpecError(operation.place, f"has the name of {other} in Python: {name}")
            taken[name] = operation.place
    return found


def _operation(source: Source, document: Document, reader: TypeReader, ids: set[str]) -> Operation:
    data, place = source.data, source.place
    parameters = [_parameter(p, reader) for p in source.parameters]
    body = _body(source, document, reader)
    # A header is called like its field in Python: `X-Request-Id` is `x_request_id`.
    if any(not usable(module_name(tag)) for tag in data.get("tags", [])[:1]):
        raise SpecError(f"{place}/tags", f"has a tag that makes no Python name: {data['tags'][0]!a:.60}")
    drafts = [evolve(a, name=a.wire.lower()) if a.place == "header" else a for a in (*parameters, *body)]
    names = identifiers((a.name for a in drafts), RESERVED)
    if len(names) != len(drafts):
        raise SpecError(place, "has two arguments of the same name, in different parts of the request")
    arguments = [evolve(a, name=names[a.name]) for a in drafts]
    return Operation(
        id=source.id,
        method=source.method.upper(),
        path=source.path,
        template=_template(source.path, arguments, f"#/paths/{escape(source.path)}"),
        summary=data.get("summary", ""),
        description=data.get("description", ""),
        arguments=arguments,
        result=_result(source, document, reader),
        answer=_answer(source, document),
        repeat=_repeat(data, place),
        page=_page(data.get("x-letta-page"), parameters, f"{place}/x-letta-page"),
        stream=_stream(source, document, reader, body, ids),
        body=_body_component(source, document),
        place=place,
        deprecated=data.get("deprecated") is True,
    )


def _template(path: str, arguments: list[Argument], place: str) -> str:
    if not PATH.fullmatch(path):
        raise SpecError(place, "is no path of segments and {placeholders}, with everything else percent-encoded")
    if not {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.isdisjoint(path.lower().split("/")):
        raise SpecError(place, "has a dot segment, which leads elsewhere")
    ids = {a.wire: a.name for a in arguments if a.place == "path"}
    placeholders = re.findall(r"\{([^{}]+)\}", path)
    if sorted(placeholders) != sorted(ids):
        raise SpecError(place, f"has the placeholders {sorted(placeholders)!r} and the path parameters {sorted(ids)!r}")
    return re.sub(r"\{([^{}]+)\}", lambda match: "{" + ids[match[1]] + "}", path)


_STYLES = {"path": "simple", "query": "form", "header": "simple"}


def _parameter(parameter: Parameter, reader: TypeReader) -> Argument:
    data, place = parameter.data, parameter.place
    name, where = data["name"], data["in"]
    if where not in _STYLES:
        raise SpecError(place, f"is a {where} parameter; only path, query and header parameters are understood")
    if "schema" not in data:
        raise SpecError(place, "has no schema")
    if data.get("style", _STYLES[where]) != _STYLES[where] or (where == "query" and data.get("explode") is False):
        raise SpecError(place, "has a style that is not understood; arrays are sent as repeated keys")
    if where == "path" and data.get("required") is not True:
        raise SpecError(place, "is part of the path and not required")
    if where == "header" and not HEADER.fullmatch(name):
        raise SpecError(place, f"has a name that no header can have: {name!a}")
    type_ = reader.read(data["schema"], f"{place}/schema")
    if type_.kinds & {"object"}:
        raise SpecError(place, f"is an object, which has no form in a {where}")
    if where == "path" and type_ is ANY:
        type_ = ID
    if where == "path" and not type_.kinds <= {"string", "integer"}:
        raise SpecError(place, "is neither a string nor an integer, and stands in the path")
    if where == "header" and "array" in type_.kinds:
        raise SpecError(place, "is a list, which has no form in a header here")
    if not _scalars(data["schema"], reader.document):
        raise SpecError(place, f"is a list of lists or of objects, which has no form in a {where}")
    return Argument(
        wire=name,
        name=name,
        place=where,
        type=type_,
        required=data.get("required") is True,
        description=data.get("description", ""),
        deprecated=data.get("deprecated") is True,
        schema=data["schema"],
    )


def _scalars(schema: Any, document: Document, *, inside: bool = False) -> bool:
    """Whether a schema is one of scalars and of lists of scalars, whatever it refers to."""
    schema = document.schemas.get(ref_name(schema) or "", schema)
    if not isinstance(schema, dict):
        return True
    if "$ref" in schema or "properties" in schema or "additionalProperties" in schema or "object" in types_of(schema):
        return "$ref" in schema and _scalars(schema, document, inside=inside)
    if "items" in schema or "array" in types_of(schema):
        return not inside and _scalars(schema.get("items"), document, inside=True)
    members = [member for word in ("anyOf", "oneOf", "allOf") for member in schema.get(word, [])]
    return all(_scalars(member, document, inside=inside) for member in members)


def _body_component(source: Source, document: Document) -> str | None:
    if "requestBody" not in source.data:
        return None
    body, place = document.locate(source.data["requestBody"], f"{source.place}/requestBody")
    if JSON not in body.get("content", {}):
        kinds = ", ".join(sorted(body.get("content", {}))) or "nothing"
        raise SpecError(place, f"takes {kinds}; only {JSON} is understood")
    schema = body["content"][JSON].get("schema", {})
    members = [m for m in schema.get("anyOf", [schema]) if m != NULL] if isinstance(schema, dict) else []
    name = ref_name(members[0]) if len(members) == 1 else None
    target = document.schemas.get(name or "", {})
    if "properties" not in target or target.get("additionalProperties", True) is not True:
        raise SpecError(place, "is not one object whose properties could be arguments")
    return name


def _body(source: Source, document: Document, reader: TypeReader) -> list[Argument]:
    name = _body_component(source, document)
    if name is None:
        return []
    target, place = document.schemas[name], f"{document.place(name)}/properties"
    required = set(target.get("required", []))
    return [
        Argument(
            wire=wire,
            name=wire,
            place="body",
            type=reader.read(data, f"{place}/{escape(wire)}"),
            required=wire in required,
            description=data.get("description", "") if isinstance(data, dict) else "",
            deprecated=isinstance(data, dict) and data.get("deprecated") is True,
            schema=data,
        )
        for wire, data in target["properties"].items()
    ]


def _success(source: Source, document: Document) -> tuple[dict[str, Any], str]:
    """What the one successful answer can hold, by content type, and where that is written."""
    place = f"{source.place}/responses"
    for code in source.data.get("responses", {}):
        if not STATUS.fullmatch(code):
            raise SpecError(f"{place}/{escape(code)}", "is neither a status, nor a class such as 4XX, nor `default`")
    codes = [code for code in source.data.get("responses", {}) if code.startswith("2")]
    if len(codes) != 1:
        at = place if "responses" in source.data else source.place
        raise SpecError(at, f"has {len(codes)} successful answers; one is understood")
    response, place = document.locate(source.data["responses"][codes[0]], f"{place}/{codes[0]}")
    content: dict[str, Any] = response.get("content", {})
    unknown = sorted(set(content) - {JSON, EVENTS})
    if unknown and len(unknown) == len(content):
        # Where there is JSON or events besides, a client asks for that.
        raise SpecError(f"{place}/content/{escape(unknown[0])}", "is a content type that is not understood")
    return content, f"{place}/content"


def _result(source: Source, document: Document, reader: TypeReader) -> Type | None:
    _, place = _success(source, document)
    schema = _answer(source, document)
    return None if schema is None else reader.read(schema, f"{place}/{escape(JSON)}/schema")


def _answer(source: Source, document: Document) -> Any:
    content, _ = _success(source, document)
    return content.get(JSON, {}).get("schema")


def _repeat(data: dict[str, Any], place: str) -> str:
    repeat = data.get("x-letta-repeat", "unsent")
    if repeat not in REPEATS:
        raise SpecError(f"{place}/x-letta-repeat", f"is {repeat!r}, not one of {', '.join(REPEATS)}")
    return str(repeat)


def _page(data: Any, parameters: list[Argument], place: str) -> Page | None:
    if data is None:
        return None
    queries = {p.wire for p in parameters if p.place == "query"}
    if not isinstance(data, dict) or set(data) != PAGE_WORDS:
        raise SpecError(place, f"needs exactly {', '.join(sorted(PAGE_WORDS))}")
    if not all(isinstance(data[word], str) for word in PAGE_WORDS - PAGE_LISTS):
        raise SpecError(place, "needs strings everywhere but in identity and filters-after-limit")
    if not all(isinstance(data[w], list) and all(isinstance(v, str) for v in data[w]) for w in PAGE_LISTS):
        raise SpecError(place, "needs lists of strings in identity and filters-after-limit")
    for word in ("after", "before", "limit", "order"):
        if data[word] not in queries:
            raise SpecError(f"{place}/{word}", f"names {data[word]!r}, which is no query parameter")
    if data["default-order"] not in ("asc", "desc") or data["meaning"] not in ("order", "chronological"):
        raise SpecError(place, "has a default-order other than asc, desc or a meaning other than order, chronological")
    return Page(
        cursor=data["cursor"],
        identity=tuple(data["identity"]),
        after=data["after"],
        before=data["before"],
        limit=data["limit"],
        order=data["order"],
        default_order=data["default-order"],
        meaning=data["meaning"],
        counts=data["counts"],
        filters_after_limit=tuple(data["filters-after-limit"]),
    )


def _stream(
    source: Source, document: Document, reader: TypeReader, body: list[Argument], ids: set[str]
) -> Stream | None:
    data = source.data.get("x-letta-stream")
    content, at = _success(source, document)
    place = f"{source.place}/x-letta-stream"
    if data is None:
        if EVENTS in content:
            raise SpecError(f"{at}/{escape(EVENTS)}", "is an event stream, and no x-letta-stream says how to read it")
        return None
    if not isinstance(data, dict) or not all(isinstance(data.get(word), str) for word in ("event", "end", "resume")):
        raise SpecError(place, "needs event, end and resume, all of them strings")
    if content.get(EVENTS, {}).get("schema") != {"$ref": data["event"]}:
        raise SpecError(place, f"names the event {data['event']!r}, which is not the schema of the {EVENTS} answer")
    switch = data.get("switch")
    if switch is not None and switch not in [a.wire for a in body]:
        raise SpecError(place, f"has the switch {switch!a:.60}, which is no field of the body")
    if data["resume"] not in ids:
        raise SpecError(place, f"resumes with {data['resume']!r}, which is no operation")
    event = reader.read({"$ref": data["event"]}, place)
    return Stream(event, data["event"], switch, data.get("default", True) is True, data["end"], data["resume"])
