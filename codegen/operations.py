"""Operations: their arguments and responses. `extensions.py` reads the `x-letta-*` facts."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

from attrs import evolve, frozen
from openapi_python_client.parser.bodies import Body, BodyType
from openapi_python_client.parser.openapi import Endpoint
from openapi_python_client.parser.properties import ModelProperty
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
from codegen.names import class_name, identifiers, module_name, usable
from codegen.parser import Node, Parsed
from codegen.type_reader import TypeReader, without_null
from codegen.types import EVENTS, ID, JSON, Import, Type

_RESERVED = (
    "client params body self cls request httpx Request make_path make_query make_headers make_body to_json_value UNSET "
    "build_request exclude_ids locals decode_response send send_async open_stream open_stream_async "
    "read_response read_event iterate_events iterate_events_async"
)
RESERVED = frozenset(_RESERVED.split())
"""Names that the endpoint functions use, which arguments cannot have."""

PATH = re.compile(r"/|(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}|\{[^{}/]+\})+)+/?")
STATUS = re.compile(r"[1-5](\d\d|XX)|default")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

TABLE = "OPERATIONS"
"""The name of the operations table, which no operation can have."""

Place: TypeAlias = Literal["path", "query", "header", "body", "content"]
"""The location of an argument: `content` is the whole body, if the body is not an object with properties."""


@frozen
class Argument:
    """An argument of a call: a path, query or header parameter, a body field, or the whole body.

    Attributes:
        wire: The name in the request.
        name: The name in Python.
        place: The location in the request.
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

    @property
    def documentation(self) -> str:
        """The documentation in one paragraph, with the notes and the server's default."""
        text = " ".join(f"{self.description} {self.notes}".split())
        text = with_deprecation(text, deprecated=self.deprecated)
        default = self.schema.get("default") if isinstance(self.schema, dict) else None
        if default is None:
            return text
        default_text = f"The server's default is {default!r}."
        return f"{text.rstrip('.')}. {default_text}" if text else default_text


@frozen
class Operation:
    """An operation for the templates.

    Attributes:
        tag: The package of the endpoint module.
        template: The path, with Python names in its placeholders.
        result: The type of the JSON response, or None.
        items: The type of the array of items, or None if the operation is not a list.
        response_schema: The schema of the JSON response.
        responses: The descriptions of the documented responses, by status.
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
    items: Type | None
    responses: dict[str, str]
    idempotency: str
    pagination: Pagination | None
    streaming: Streaming | None
    body: str | None
    place: str
    deprecated: bool

    def at(self, place: str) -> list[Argument]:
        """Return the arguments in one location of the request."""
        return [a for a in self.arguments if a.place == place]

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
    sent = _sent(endpoint, f"{source.place}/requestBody")
    component = _body_component(sent, reader)
    body = _body(component, reader) if component is not None else []
    if sent is not None and component is None:
        body = [_content(sent, source, document, reader)]
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
    response, content, at = _success(source, endpoint, document)
    result, schema = _result(response, content, at, reader)
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
        result=result,
        response_schema=schema,
        responses={each.status_code.pattern: _description(each) for each in endpoint.responses},
        items=paginated_items(pagination, result, schema, reader, f"{place}/x-letta-pagination/items")
        if pagination
        else None,
        idempotency=read_idempotency(data, place),
        pagination=pagination,
        streaming=read_streaming(source, content, at, reader, [argument.wire for argument in body], ids),
        body=component,
        place=place,
        deprecated=data.get("deprecated") is True,
    )


def _template(path: str, arguments: list[Argument], place: str) -> str:
    if not PATH.fullmatch(path):
        raise SpecError(place, "must be a path of segments and {placeholders}, percent-encoded")
    if not {".", "..", "%2e", "%2e%2e", ".%2e", "%2e."}.isdisjoint(path.lower().split("/")):
        raise SpecError(place, "has a dot segment. Remove it")
    ids = {a.wire: a.name for a in arguments if a.place == "path"}
    placeholders = re.findall(r"\{([^{}]+)\}", path)
    if sorted(placeholders) != sorted(ids):
        raise SpecError(place, f"has the placeholders {sorted(placeholders)!r} and the path parameters {sorted(ids)!r}")
    return re.sub(r"\{([^{}]+)\}", lambda match: "{" + ids[match[1]] + "}", path)


_STYLES = {"path": "simple", "query": "form", "header": "simple"}


def _parameter(node: Node, parameter: Parameter, reader: TypeReader) -> Argument:
    data, place = parameter.data, parameter.place
    name, where = node.name.get_untrusted_value(), data["in"]
    if where not in _STYLES:
        raise SpecError(place, f"is a {where} parameter, which is not supported. Use path, query or header")
    if data.get("style", _STYLES[where]) != _STYLES[where] or (where == "query" and data.get("explode") is False):
        raise SpecError(place, "has a style that is not supported. Remove it: arrays are sent as repeated keys")
    if where == "header" and not HEADER.fullmatch(name):
        raise SpecError(place, f"name must be a header name, got {name!a}")
    type_ = reader.read(node, data["schema"], f"{place}/schema")
    if type_.kinds & {"object"}:
        raise SpecError(place, f"is an object, which is not supported in a {where}. Use scalars")
    if where == "path" and type_.kinds == {"any"}:
        type_ = ID
    if where == "path" and not type_.kinds <= {"string", "integer"}:
        raise SpecError(place, "must be a string or an integer in the path")
    if where == "header" and "array" in type_.kinds:
        raise SpecError(place, "is an array, which is not supported in a header. Use a scalar")
    if not _scalars(node):
        raise SpecError(place, f"is an array of arrays or objects, which is not supported in a {where}. Use scalars")
    return _argument(node, where, type_, data["schema"], data, place)


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


def _sent(endpoint: Endpoint, place: str) -> Body | None:
    """Return the JSON body of an operation, or None if it has no body."""
    if not endpoint.bodies:
        return None
    body = next((each for each in endpoint.bodies if each.body_type is BodyType.JSON), None)
    if body is None:
        kinds = ", ".join(sorted(each.content_type.get_untrusted_value() for each in endpoint.bodies))
        raise SpecError(place, f"takes {kinds}, which is not supported. Add {JSON}")
    return body


def _body_component(body: Body | None, reader: TypeReader) -> str | None:
    """Return the component whose properties are arguments, or None if the body is not an object with properties."""
    rest = without_null(body.prop)[0] if body is not None else []
    name = str(rest[0].class_info.name) if len(rest) == 1 and isinstance(rest[0], ModelProperty) else ""
    return name if name in reader.document.schemas and reader.kind(name) == "model" else None


def _content(body: Body, source: Source, document: Document, reader: TypeReader) -> Argument:
    """Return the argument that is the whole body."""
    data, place = document.locate(source.data["requestBody"], f"{source.place}/requestBody")
    schema = data["content"][JSON].get("schema", True)
    type_ = reader.read(body.prop, schema, f"{place}/content/{escape(JSON)}/schema")
    argument = _argument(body.prop, "content", type_, schema, data, place)
    return evolve(argument, description=argument.description or "The JSON body.")


def _body(component: str, reader: TypeReader) -> list[Argument]:
    found = []
    for wire, node in reader.properties(component).items():
        data, place = reader.declared(component, wire)
        found.append(_argument(node, "body", reader.read(node, data, place), data, data, place))
    return found


def _success(source: Source, endpoint: Endpoint, document: Document) -> tuple[Response, dict[str, Any], str]:
    """Return the successful response, its content in the document, and the place of the content."""
    place = f"{source.place}/responses"
    for code in (each.status_code.pattern for each in endpoint.responses):
        if not STATUS.fullmatch(code):
            raise SpecError(f"{place}/{escape(code)}", "must be a status code, a class such as 4XX, or `default`")
    successful = [each for each in endpoint.responses if each.status_code.pattern.startswith("2")]
    if len(successful) != 1:
        at = place if "responses" in source.data else source.place
        raise SpecError(at, f"must have one successful response, got {len(successful)}")
    code = successful[0].status_code.pattern
    data, at = document.locate(source.data["responses"][code], f"{place}/{escape(code)}")
    return successful[0], data.get("content", {}), f"{at}/content"


def _result(response: Response, content: dict[str, Any], place: str, reader: TypeReader) -> tuple[Type | None, Any]:
    """Return the type of the JSON response and its schema."""
    unknown = sorted(set(content) - {JSON, EVENTS})
    if unknown and len(unknown) == len(content):
        # Other content types are ignored if the operation also has JSON or events.
        raise SpecError(f"{place}/{escape(unknown[0])}", f"is not a supported content type. Use {JSON} or {EVENTS}")
    if response.source["return_type"] == "None":
        return None, None
    schema = content[JSON]["schema"]
    return reader.read(response.prop, schema, f"{place}/{escape(JSON)}/schema"), schema
