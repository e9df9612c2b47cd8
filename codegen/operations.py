"""Operations: their arguments and responses. `extensions.py` reads the `x-letta-*` facts."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl

from attrs import evolve, frozen
from openapi_python_client.parser.openapi import Endpoint
from openapi_python_client.parser.properties import ModelProperty
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.union import UnionProperty
from openapi_python_client.parser.responses import Response
from openapi_python_client.schema.untrusted_string import UntrustedString

from codegen.docstrings import with_deprecation
from codegen.document import Document, Parameter, escape
from codegen.document import Operation as Source
from codegen.errors import ErrorCollector, SpecError
from codegen.extensions import (
    Pagination,
    Streaming,
    paginated_items,
    read_idempotency,
    read_notes,
    read_pagination,
    read_streaming,
)
from codegen.media import Format, format_of
from codegen.names import class_name, identifiers, module_name, usable
from codegen.parser import Node, Parsed
from codegen.responses import read_success
from codegen.type_reader import TypeReader, without_null
from codegen.types import CONTENT, FIELDS, ID, JSON, Import, Type, file_type

_RESERVED = (
    "client params body self cls request httpx Request make_path make_query make_headers make_body to_json_value UNSET "
    "build_request exclude_ids locals decode_response send send_async open_stream open_stream_async "
    "NO_CONTENT bodies styles read_response read_event iterate_events iterate_events_async"
)
RESERVED = frozenset(_RESERVED.split())
"""Names that the endpoint functions use, which arguments cannot have."""

PATH = re.compile(r"/|(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}|\{[^{}/]+\})+)+/?")
QUERY = re.compile(r"([A-Za-z0-9._~-]+=[A-Za-z0-9._~-]*(&|$))*")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

TABLE = "OPERATIONS"
"""The name of the operations table, which no operation can have."""

Place: TypeAlias = Literal["path", "query", "header", "cookie", "body", "content"]
"""The location of an argument: `content` is the whole body, if the body is not an object with properties."""


@frozen
class Argument:
    """An argument of a call: a path, query, header or cookie parameter, a body field, or the whole body.

    Attributes:
        wire: The name in the request.
        name: The name in Python.
        place: The location in the request.
        is_file: Whether it is a file of a multipart body.
        style: The function of `styles.py` that encodes it, and its other arguments, or () if none does.
    """

    wire: str
    name: str
    place: Place
    type: Type
    required: bool
    description: str
    deprecated: bool
    schema: Any
    notes: str = ""
    is_file: bool = False
    style: tuple[object, ...] = ()

    @property
    def documentation(self) -> str:
        """The documentation in one paragraph, with the notes and the server's default."""
        text = with_deprecation(join_sentences(self.description, self.notes), deprecated=self.deprecated)
        default = self.schema.get("default") if isinstance(self.schema, dict) else None
        return text if default is None else join_sentences(text, f"The server's default is {default!r}.")


def join_sentences(*texts: str) -> str:
    """Return texts as one paragraph. Each but the last ends like a sentence."""
    found = [" ".join(text.split()) for text in texts if text.strip()]
    return " ".join([*(text if text.endswith((".", "!", "?")) else f"{text}." for text in found[:-1]), *found[-1:]])


@frozen
class Operation:
    """An operation for the templates.

    Attributes:
        tag: The package of the endpoint module.
        template: The path, with Python names in its placeholders.
        result: The type of the response, except events, or None.
        items: The type of the array of items, or None if the operation is not a list.
        response_schema: The schema of the JSON response.
        reads: The form of the response, except events, or None.
        accept: The content type of the response, except events.
        can_be_empty: Whether a successful response can have no body, which is None.
        responses: The descriptions of the documented responses, by status.
        media: The content type of the body, or "".
        files: The fields of the body that are files.
        body: The component whose properties are arguments, or None.
    """

    id: str
    tag: str
    method: str
    path: str
    template: str
    summary: str
    description: str
    notes: str
    arguments: list[Argument]
    result: Type | None
    response_schema: Any
    reads: Format | None
    accept: str
    can_be_empty: bool
    items: Type | None
    responses: dict[str, str]
    idempotency: str
    pagination: Pagination | None
    streaming: Streaming | None
    media: str
    files: tuple[str, ...]
    body: str | None
    place: str
    deprecated: bool

    def at(self, place: str) -> list[Argument]:
        """Return the arguments in one location of the request."""
        return [a for a in self.arguments if a.place == place]

    @property
    def fixed_query(self) -> list[tuple[str, str]]:
        """The query parameters in the path."""
        return parse_qsl(self.path.partition("#")[0].partition("?")[2], keep_blank_values=True)

    @property
    def options(self) -> list[Argument]:
        """The keyword arguments."""
        return [a for a in self.arguments if a.place != "path"]

    @property
    def keywords(self) -> list[Argument]:
        """The keyword arguments in the TypedDict: all except `stream_condition`."""
        return [a for a in self.options if a.name != self.stream_condition]

    @property
    def stream_condition(self) -> str | None:
        """The name of the argument that selects events or JSON, or None."""
        return next(
            (a.name for a in self.at("body") if self.streaming and a.wire == self.streaming.stream_condition), None
        )

    @property
    def params(self) -> str:
        """The name of the TypedDict of the keyword arguments."""
        return class_name(self.id) + "Params"

    @property
    def module(self) -> str:
        """The name of the endpoint module."""
        return module_name(self.id)

    @property
    def endpoint(self) -> str:
        """The path of the endpoint module in the package `api`."""
        return f"{self.tag}.{self.module}"

    @property
    def constant(self) -> str:
        """The name in the operations table."""
        return self.module.upper()

    @property
    def imports(self) -> set[Import]:
        """The imports of the response types."""
        types = [self.result, self.items, self.streaming.event if self.streaming else None]
        return {i for t in types if t is not None for i in t.imports}


def read_operations(document: Document, parsed: Parsed, reader: TypeReader) -> list[Operation]:
    """Return the operations of a document.

    Raises:
        SpecErrors: If operations or their extensions are not supported.
    """
    sources = document.operations()
    ids = {s.id for s in sources}
    found: list[Operation] = []
    errors = ErrorCollector()
    for source in sources:
        with errors.block():
            found.append(_operation(source, parsed.endpoints[source.path, source.method], document, reader, ids))
    errors.raise_all()
    taken = {TABLE: "the table of operations"}
    for operation in found:
        for name in {operation.constant, operation.params}:
            if not usable(name) or module_name(operation.module) != operation.module:
                raise SpecError(operation.place, f"operationId must make a Python name, got {operation.id!a:.60}")
            if other := taken.get(name):
                raise SpecError(operation.place, f"has the same Python name as {other}: {name}. Rename one of them")
            taken[name] = operation.place
    return found


def _operation(source: Source, endpoint: Endpoint, document: Document, reader: TypeReader, ids: set[str]) -> Operation:
    data, place = source.data, source.place
    written = {(p.data["in"], p.data["name"]): p for p in source.parameters}
    parameters = []
    for location, node in endpoint.iter_all_parameters():
        parameter = written.pop((location.value, node.name.get_untrusted_value()))
        parameters.append(_parameter(node, parameter, reader))
    for parameter in written.values():
        raise SpecError(parameter.place, "has no schema. Add one")
    media, component, body = _body(source, endpoint, document, reader)
    # The Python name of the header `X-Request-Id` is `x_request_id`.
    if any(not usable(module_name(tag)) for tag in data.get("tags", [])[:1]):
        raise SpecError(f"{place}/tags", f"the first tag must make a Python name, got {data['tags'][0]!a:.60}")
    drafts = [evolve(a, name=a.wire.lower()) if a.place == "header" else a for a in (*parameters, *body)]
    taken: set[str] = set()
    for number, draft in enumerate(drafts):
        while drafts[number].name in taken:  # by an argument in another location
            drafts[number] = evolve(draft, name=f"{drafts[number].name}_{draft.place}")
        taken.add(drafts[number].name)
    names = identifiers((a.name for a in drafts), RESERVED)
    arguments = [evolve(a, name="body" if a.place == "content" else names[a.name]) for a in drafts]
    success = read_success(source, endpoint, document, reader)
    queries = {argument.wire: argument.schema for argument in parameters if argument.place == "query"}
    pagination = read_pagination(data.get("x-letta-pagination"), queries, f"{place}/x-letta-pagination")
    return Operation(
        id=source.id,
        tag=module_name(str((data.get("tags") or ["default"])[0])),
        method=source.method.upper(),
        path=source.path,
        template=_template(source.path, arguments, f"#/paths/{escape(source.path)}"),
        summary=endpoint.summary.get_untrusted_value(),
        description=endpoint.description.get_untrusted_value(),
        notes=read_notes(data, place),
        arguments=arguments,
        result=success.type,
        response_schema=success.schema,
        reads=success.format,
        accept=success.accept,
        can_be_empty=success.can_be_empty,
        media=media,
        files=tuple(argument.wire for argument in body if argument.is_file),
        responses={each.status_code.pattern: _description(each) for each in endpoint.responses},
        items=paginated_items(pagination, success.type, success.schema, reader, f"{place}/x-letta-pagination/items")
        if pagination
        else None,
        idempotency=read_idempotency(data, place),
        pagination=pagination,
        streaming=read_streaming(
            source, success.content, success.place, reader, [argument.wire for argument in body], ids
        ),
        body=component,
        place=place,
        deprecated=data.get("deprecated") is True,
    )


def _template(path: str, arguments: list[Argument], place: str) -> str:
    path, _, query = path.partition("#")[0].partition("?")  # a fragment distinguishes operations and is not sent
    if not PATH.fullmatch(path) or not QUERY.fullmatch(query):
        raise SpecError(place, "must be a path of segments and {placeholders}, percent-encoded")
    if not {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.isdisjoint(path.lower().split("/")):
        raise SpecError(place, "has a dot segment. Remove it")
    ids = {a.wire: a.name for a in arguments if a.place == "path"}
    placeholders = re.findall(r"\{([^{}]+)\}", path)
    if sorted(placeholders) != sorted(ids):
        raise SpecError(place, f"has the placeholders {sorted(placeholders)!r} and the path parameters {sorted(ids)!r}")
    return re.sub(r"\{([^{}]+)\}", lambda match: "{" + ids[match[1]] + "}", path)


_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}


def _parameter(node: Node, parameter: Parameter, reader: TypeReader) -> Argument:
    data, place = parameter.data, parameter.place
    name, where = node.name.get_untrusted_value(), data["in"]
    if where in ("header", "cookie") and not HEADER.fullmatch(name):
        raise SpecError(place, f"name must be a {where} name, got {name!a}")
    type_ = reader.read(node, data["schema"], f"{place}/schema")
    if where == "path":
        type_ = ID if type_.kinds == {"any"} else evolve(type_, nullable=False)
    style = _style(data, where, type_, place)
    if not style and not _scalars(node):
        raise SpecError(place, f"is an array of arrays or objects, which is not supported in a {where}. Use scalars")
    return evolve(_argument(node, where, type_, data["schema"], data, place), style=style)


_DELIMITERS = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
_PATH_STYLES = ("simple", "label", "matrix")


def _style(data: dict[str, Any], where: str, type_: Type, place: str) -> tuple[object, ...]:
    """Return the function of `styles.py` that encodes a parameter, with its other arguments, or ()."""
    style = data.get("style", _STYLES[where])
    explode = data.get("explode", style == "form")
    structured = type_.kinds & {"array", "object"}
    if style == JSON:
        return ("json_text",)
    if style == "deepObject" and type_.kinds == {"object"} and where == "query":
        return ("deep_object",)
    if where == "path" and style in _PATH_STYLES:
        if structured or style != "simple":
            return ("expanded", style, explode)
        return ("flag",) if type_.kinds == {"boolean"} else ()
    if style not in _DELIMITERS or (where != "query" and style != _STYLES[where]):
        raise SpecError(place, f"has the style {style!a}, which is not supported. Remove it")
    if where == "cookie":
        return ("make_cookies", explode)
    if type_.kinds == {"object"} and where == "query" and explode:
        return ("exploded",)
    if structured and not (where == "query" and explode):
        return ("delimited", _DELIMITERS[style], explode)
    if "object" in structured:
        raise SpecError(place, f"is an object or another type, which is not supported in a {where}. Use scalars")
    return ()


def _argument(node: Node, where: Place, type_: Type, schema: Any, written: Any, place: str) -> Argument:
    """Return an argument, with the keywords at its place in the document that the parser drops."""
    keywords = written if isinstance(written, dict) else {}
    return Argument(
        wire=node.name.get_untrusted_value(),
        name=node.name.get_untrusted_value(),
        place=where,
        type=type_,
        required=node.required,
        description=keywords.get("description", ""),
        deprecated=keywords.get("deprecated") is True,
        schema=schema,
        notes=read_notes(written, place),
    )


def _description(response: Response) -> str:
    """Return the description of a response."""
    text: object = getattr(response.data, "description", "")
    return text.get_untrusted_value() if isinstance(text, UntrustedString) else str(text)


def _scalars(node: Node, *, inside: bool = False) -> bool:
    """Return whether a schema consists of scalars and arrays of scalars."""
    match node:
        case ModelProperty():
            return False
        case ListProperty():
            return not inside and _scalars(node.inner_property, inside=True)
        case UnionProperty():
            return all(_scalars(each, inside=inside) for each in node.inner_properties)
        case _:
            return True


def _body(
    source: Source, endpoint: Endpoint, document: Document, reader: TypeReader
) -> tuple[str, str | None, list[Argument]]:
    """Return the content type of a body, the component whose properties are arguments, and the arguments."""
    if "requestBody" not in source.data:
        return "", None, []
    data, place = document.locate(source.data["requestBody"], f"{source.place}/requestBody")
    media = next(iter(data.get("content", {})), "")
    if not media:
        return "", None, []
    at = f"{place}/content/{escape(media)}/schema"
    schema = data["content"][media].get("schema", True)
    if not endpoint.bodies:
        argument = Argument(
            "body", "body", "content", CONTENT, data.get("required") is True, data.get("description", ""), False, {}
        )
        return media, None, [evolve(argument, description=argument.description or f"The body, as {media}.")]
    node = endpoint.bodies[0].prop
    component = _body_component(node, reader)
    if component is None:
        type_ = reader.read(node, schema, at)
        if format_of(media) != "json" and type_.kinds == {"any"}:
            type_, schema = FIELDS, {"type": "object"}
        if format_of(media) != "json" and type_.kinds != {"object"}:
            raise SpecError(f"{place}/content/{escape(media)}", "must be an object, whose properties are the fields")
        argument = _argument(node, "content", type_, schema, data, place)
        return media, None, [evolve(argument, description=argument.description or "The JSON body.")]
    found = []
    for wire, each in reader.properties(component).items():
        written, inside = reader.declared(component, wire)
        type_ = reader.read(each, written, inside)
        argument = _argument(each, "body", type_, written, written, inside)
        read_only = isinstance(written, dict) and written.get("readOnly") is True
        is_file = format_of(media) == "multipart" and _has_file(each)
        argument = evolve(argument, required=argument.required and not read_only, is_file=is_file)
        found.append(evolve(argument, type=file_type(type_)) if is_file else argument)
    return media, component, found


def _body_component(node: Node, reader: TypeReader) -> str | None:
    """Return the component whose properties are arguments, or None if the body is not an object with properties."""
    rest = without_null(node)[0]
    name = str(rest[0].class_info.name) if len(rest) == 1 and isinstance(rest[0], ModelProperty) else ""
    return name if name in reader.document.schemas and reader.kind(name) == "model" else None


def _has_file(node: Node) -> bool:
    """Return whether a field of a multipart body is a file or an array of files."""
    match node:
        case FileProperty():
            return True
        case ListProperty():
            return _has_file(node.inner_property)
        case UnionProperty():
            return any(map(_has_file, node.inner_properties))
        case _:
            return False
