"""Parses a prepared document with openapi-python-client, which provides components, operations and names.

`Preparation` removes the parts that the parser would only validate or reject: event streams, non-scalar defaults, mixed
enums, callbacks, examples, links, security. Titles equal component names, so its class names are those of the package.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from attrs import evolve, frozen
from openapi_python_client import schema as oai
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser import openapi as parser
from openapi_python_client.parser.errors import ParseError, PropertyError
from openapi_python_client.parser.openapi import Endpoint, EndpointCollection
from openapi_python_client.parser.properties import (
    AnyProperty,
    LiteralEnumProperty,
    ModelProperty,
    Parameters,
    Property,
    Schemas,
    build_parameters,
    build_schemas,
    merge_properties,
    model_property,
    property_from_data,
)
from openapi_python_client.parser.properties.protocol import PropertyProtocol
from openapi_python_client.parser.properties.schemas import ReferencePath
from openapi_python_client.schema.openapi_schema_pydantic import Components
from openapi_python_client.schema.untrusted_string import UntrustedString
from openapi_python_client.strings import ClassName, PythonIdentifier
from pydantic import BaseModel, ValidationError

from codegen.bounds import check_bounds
from codegen.document import METHODS, SCHEMAS, Document, escape, is_ignored, reachable
from codegen.errors import GeneratorFailure, SpecError, SpecErrors
from codegen.media import base_of, format_of
from codegen.names import class_name, module_name
from codegen.types import JSON

Node: TypeAlias = PropertyProtocol
"""A parsed schema."""

_OPERATION: Final = ("operationId", "tags", "summary", "description", "deprecated")
_PARAMETER: Final = ("name", "in", "required", "description", "deprecated", "style", "explode", "$ref")
_SCHEMA: Final = frozenset(
    ["$ref", "title", "description", "deprecated", "type", "format", "enum", "const", "nullable", "default", "required"]
)
"""Keywords of schemas that are passed on unchanged."""


@frozen
class Parsed:
    """A parsed document.

    Attributes:
        data: The input of openapi-python-client's `Project`.
        config: The settings.
        components: The component schemas, by name.
        endpoints: The operations, by path and method.
    """

    data: GeneratorData
    config: Config
    components: Mapping[str, Node]
    endpoints: Mapping[tuple[str, str], Endpoint]
    _openapi: oai.OpenAPI
    _schemas: Schemas

    def member(self, component: str, word: str, index: int) -> Node:
        """Return a member of a union component. The parser keeps the members of nested unions only.

        Raises:
            SpecError: If the parser rejects it.
        """
        schemas = (self._openapi.components or Components()).schemas or {}
        member = getattr(schemas[UntrustedString(component)], word)[index]
        return self._node(member, f"{SCHEMAS}{escape(component)}/{word}/{index}")

    def node(self, schema: Any, place: str) -> Node:
        """Return the node of a schema anywhere in the document.

        Raises:
            SpecError: If the parser rejects it.
        """
        written = Preparation(Document({"components": {"schemas": {"Value": schema}}})).data
        data = oai.OpenAPI.model_validate(written).components
        return self._node((data or Components()).schemas[UntrustedString("Value")], place)  # type: ignore[index]  # `written` has it

    def _node(self, data: Any, place: str) -> Node:
        try:
            node, _ = property_from_data(
                name=UntrustedString("value"),
                required=True,
                data=data,
                schemas=self._schemas,
                parent_name="",
                config=self.config,
            )
        except Exception as fault:  # the parser raises arbitrary exceptions on unusual documents
            raise SpecError(place, _failed(fault)) from fault
        if isinstance(node, ParseError):
            raise SpecError(place, _explained(node))
        return node


def parse(document: Document) -> Parsed:
    """Parse a prepared document.

    Raises:
        SpecErrors: If schemas are too deep or too wide, or the parser fails or reports errors or warnings.
        GeneratorFailure: If the parser drops a component or an operation without a report.
    """
    check_bounds(document)
    config = Config.from_sources(
        ConfigFile(
            post_hooks=[],
            literal_enums=True,
            use_path_prefixes_for_title_model_names=False,
            package_name_override="letta_api",
        ),
        MetaType.NONE,
        document_source=Path("openapi.yaml"),
        file_encoding="utf-8",
        overwrite=True,
        output_path=None,
    )
    preparation = Preparation(document)
    try:
        openapi = oai.OpenAPI.model_validate(preparation.data)
    except ValidationError as fault:
        raise SpecErrors(_invalid(document, preparation, fault)) from None
    with _without_checks():
        return _parse(document, preparation, openapi, config)


def _parse(document: Document, preparation: Preparation, openapi: oai.OpenAPI, config: Config) -> Parsed:
    components = openapi.components or Components()
    schemas = _build_schemas(document, components.schemas or {}, config)
    parameters = build_parameters(components=components.parameters or {}, parameters=Parameters(), config=config)
    for name in document.schemas:
        node = schemas.classes_by_reference.get(ReferencePath(UntrustedString(f"/components/schemas/{name}")))
        if isinstance(node, ModelProperty) and str(node.class_info.name) == class_name(name):
            # Copies share the class. The parser can spell names such as `Größe` differently each time.
            node.class_info.name, node.class_info.module_name = _class(name)
    errors = [(error, _component_place(error)) for error in [*schemas.errors, *parameters.errors]]
    tags: dict[Any, EndpointCollection] = {}
    endpoints: dict[tuple[str, str], Endpoint] = {}
    failed: list[SpecError] = []
    for path, item in openapi.paths.items():
        for method in METHODS:
            if getattr(item, method) is None:
                continue
            # One operation at a time, which attributes errors and endpoints to it.
            alone = item.model_copy(update={other: None for other in METHODS if other != method})
            place = f"#/paths/{escape(path.get_untrusted_value())}/{method}"
            try:
                found, schemas, parameters = EndpointCollection.from_data(
                    data={path: alone},
                    schemas=schemas,
                    parameters=parameters,
                    request_bodies=components.requestBodies or {},
                    responses=components.responses or {},
                    config=config,
                )
            except Exception as fault:  # noqa: BLE001  # the parser raises arbitrary exceptions on unusual documents
                failed.append(SpecError(place, _failed(fault)))
                continue
            for tag, collection in found.items():
                errors += [(error, _operation_place(error, place, document)) for error in collection.parse_errors]
                tags.setdefault(tag, EndpointCollection(tag=collection.tag)).endpoints.extend(collection.endpoints)
                for endpoint in collection.endpoints:
                    # Python normalizes identifiers, file systems do not normalize file names.
                    given = getattr(item, method).operationId.get_untrusted_value()
                    endpoint.name = cast("PythonIdentifier", module_name(given))
                    endpoints[path.get_untrusted_value(), method] = endpoint
    if schemas.errors:
        # What refers to a rejected component is rejected in consequence, unless the reference itself is wrong.
        causes = [(error, place) for error, place in errors if "Could not find reference" not in _explained(error)]
        errors = causes or errors
    if errors or failed:
        places = _places(openapi, "#", {})
        for error, place in errors:
            at = places.get(id(error.data), place)
            failed.append(SpecError(_original(document, preparation.places, at), _explained(error)))
        raise SpecErrors(list({fault.place: fault for fault in reversed(failed)}.values())[::-1])
    nodes = {path.get_untrusted_value().rpartition("/")[2]: node for path, node in schemas.classes_by_reference.items()}
    lost = [name for name in document.schemas if name not in nodes]
    lost += [source.id for source in document.operations() if (source.path, source.method) not in endpoints]
    if lost:
        raise GeneratorFailure(f"openapi-python-client dropped {', '.join(lost)} without a report")
    classes = schemas.classes_by_name.values()
    data = GeneratorData(
        title=openapi.info.title,
        description=openapi.info.description,
        version=openapi.info.version,
        models=[each for each in classes if isinstance(each, ModelProperty)],
        errors=[],
        endpoint_collections_by_tag=tags,
        enums=[each for each in classes if isinstance(each, LiteralEnumProperty)],
    )
    return Parsed(data, config, nodes, endpoints, openapi, schemas)


def _build_schemas(document: Document, components: dict[UntrustedString, Any], config: Config) -> Schemas:
    """Parse the components, or find those on which the parser fails.

    Raises:
        SpecErrors: If the parser raises an exception.
    """
    try:
        return build_schemas(components=components, schemas=Schemas(), config=config)
    except Exception as failure:
        found: dict[str, SpecError] = {}
        reached = {name: {name, *reachable([schema], document.schemas)} for name, schema in document.schemas.items()}
        for name in sorted(reached, key=lambda each: len(reached[each])):
            if found.keys().isdisjoint(reached[name]):  # references to a failing component fail too
                part = {key: each for key, each in components.items() if key.get_untrusted_value() in reached[name]}
                try:
                    build_schemas(components=part, schemas=Schemas(), config=config)
                except Exception as fault:  # noqa: BLE001  # as above
                    found[name] = SpecError(document.place(name), _failed(fault))
        if not found:
            raise GeneratorFailure(f"openapi-python-client fails: {failure!r}") from failure
        raise SpecErrors(list(found.values())) from failure


def _class(name: str) -> tuple[ClassName, PythonIdentifier]:
    """Return the class and module name of a component. Creating them again could change the spelling."""
    return cast("ClassName", name), cast("PythonIdentifier", module_name(name))


@contextmanager
def _without_checks() -> Generator[None]:
    """Disable three checks and the copies of the parser in a block.

    It rejects names that are equal in snake_case, which `names.identifiers` makes unique. It rejects dates, constants
    and untyped values in headers, which `operations.py` checks. It rejects some inherited properties that are declared
    again; here, the last declaration with a type applies. Before each change, it copies an operation with all its
    schemas and uses only the copy. For a large document, that takes most of the time.
    """
    conflict, check = model_property._resolve_naming_conflict, Endpoint._check_parameters_for_conflicts
    locations = PropertyProtocol._allowed_locations
    names = vars(parser)
    copy_endpoint = names["deepcopy"]
    merge = merge_properties.merge_properties

    def merge_or_override(prop1: Property, prop2: Property) -> Property | PropertyError:
        if isinstance(prop2, AnyProperty):
            return merge(prop1, prop2)
        return evolve(prop2, required=prop1.required or prop2.required)

    model_property._resolve_naming_conflict = lambda first, second, config: None
    Endpoint._check_parameters_for_conflicts = lambda self, **_: self  # type: ignore[method-assign]  # restored below
    PropertyProtocol._allowed_locations = locations | {oai.ParameterLocation.HEADER}
    merge_properties.merge_properties = merge_or_override
    names["deepcopy"] = lambda endpoint: endpoint
    try:
        yield
    finally:
        model_property._resolve_naming_conflict = conflict
        Endpoint._check_parameters_for_conflicts = check  # type: ignore[method-assign]  # restores the original
        PropertyProtocol._allowed_locations = locations
        merge_properties.merge_properties = merge
        names["deepcopy"] = copy_endpoint


class Preparation:
    """The parts of a document that describe requests and responses, in the form that the parser accepts.

    Attributes:
        data: The prepared document.
        places: The places of inline objects that became components, by name. The parser would create their classes
            again each time it parses a model again, and reject the second.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.places: dict[str, str] = {}
        self._moved: dict[str, Any] = {}
        data, info = document.data, document.data.get("info", {})
        components = data.get("components", {})
        self.data: dict[str, Any] = {
            "openapi": data.get("openapi", "3.1.0"),
            "info": {"title": str(info.get("title", "")), "version": str(info.get("version", ""))},
            "paths": {
                path: self._path(item, f"#/paths/{escape(path)}") for path, item in data.get("paths", {}).items()
            },
            "components": {
                "schemas": {
                    name: self._keywords(each, document.place(name)) for name, each in document.schemas.items()
                },
                **{
                    kind: {
                        name: prepare(each, f"#/components/{kind}/{escape(name)}")
                        for name, each in components.get(kind, {}).items()
                    }
                    for kind, prepare in (
                        ("parameters", self._parameter),
                        ("responses", self._content),
                        ("requestBodies", self._content),
                    )
                },
            },
        }
        self.data["components"]["schemas"] |= self._moved

    def _path(self, item: dict[str, Any], place: str) -> dict[str, Any]:
        operations = {
            method: self._operation(item[method], f"{place}/{method}") for method in METHODS if method in item
        }
        return {**operations, "parameters": self._parameters(item, place)}

    def _operation(self, data: dict[str, Any], place: str) -> dict[str, Any]:
        found: dict[str, Any] = {word: data[word] for word in _OPERATION if word in data}
        if "requestBody" in data:
            found["requestBody"] = self._content(data["requestBody"], f"{place}/requestBody")
        found["responses"] = {
            code: self._content(each, f"{place}/responses/{escape(code)}")
            for code, each in data.get("responses", {}).items()
        }
        return found | {"parameters": self._parameters(data, place)}

    def _parameters(self, owner: dict[str, Any], place: str) -> list[dict[str, Any]]:
        # Removed parameters keep their index, so that errors have correct places.
        return [
            {"name": "ignored", "in": "query"}
            if is_ignored(self.document.locate(each, place)[0])
            else self._parameter(each, f"{place}/parameters/{number}")
            for number, each in enumerate(owner.get("parameters", []))
        ]

    def _parameter(self, data: dict[str, Any], place: str) -> dict[str, Any]:
        found = {word: data[word] for word in _PARAMETER if word in data}
        return found | ({"schema": self._schema(data["schema"], f"{place}/schema")} if "schema" in data else {})

    def _content(self, data: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a request body or a response with its JSON or form only."""
        if "$ref" in data:
            return {"$ref": data["$ref"]}
        content: dict[str, Any] = {}
        for media, each in data.get("content", {}).items():
            if format_of(media) in ("json", "form", "multipart"):
                # The parser does not support some JSON types, such as `*/*`.
                at = f"{place}/content/{escape(media)}/schema"
                known = JSON if format_of(media) == "json" else base_of(media)
                content[known] = {"schema": self._schema(each.get("schema", {}), at)}
        return {"description": data.get("description", ""), "required": data.get("required", False), "content": content}

    def _schema(self, data: Any, place: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            return {}  # true: any value
        found = self._keywords(data, place)
        title = data.get("title")
        if isinstance(title, str) and "enum" not in data and "$ref" not in data:
            self.places[title] = place
            self._moved[title] = found
            return {"$ref": SCHEMAS + title}
        return found

    def _keywords(self, data: Any, place: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for word, value in data.items() if isinstance(data, dict) else ():
            at = f"{place}/{escape(word)}"
            if word == "default" and isinstance(value, dict | list):
                continue  # the parser rejects it, and defaults are not sent
            if word in ("enum", "type") and is_mixed(data.get("enum")):
                continue  # the parser rejects these constants; the type reader uses the schema
            if word in _SCHEMA:
                found[word] = value
            elif word == "properties":
                found[word] = {name: self._schema(each, f"{at}/{escape(name)}") for name, each in value.items()}
            elif word in ("anyOf", "oneOf", "allOf", "prefixItems"):
                found[word] = [self._schema(each, f"{at}/{number}") for number, each in enumerate(value)]
                if word != "allOf" and len(value) == 1 and "discriminator" in data:
                    # The parser replaces a union of one reference with the component and parses it twice, which
                    # renames its models.
                    found[word] *= 2
            elif word == "items":
                found[word] = self._schema(value, at)
            elif word == "additionalProperties":
                found[word] = value if isinstance(value, bool) else self._schema(value, at)
        return found


def is_mixed(values: Any) -> bool:
    """Return whether constants have several types, or a type that the parser rejects."""
    types = {type(value) for value in values or () if value is not None}
    return len(types) > 1 or not types <= {str, int}


def _failed(fault: Exception) -> str:
    return f"makes openapi-python-client fail: {type(fault).__name__}: {' '.join(str(fault).split())!a:.200}"


def _explained(error: ParseError) -> str:
    """Return the parser's error on one line, without the components that it removes in consequence."""
    text = (error.detail or error.header).partition("\n\nFailure to process schema")[0]
    text = re.sub(r"<openapi_python_client\S* object at \w+>", "…", text)  # the repr of untrusted text
    return f"is rejected by openapi-python-client: {' '.join(text.split()) or 'no reason given'}"


def _operation_place(error: ParseError, place: str, document: Document) -> str:
    if error.detail not in _BODY_ERRORS:
        return place
    # The parser's errors of bodies have the header of the operation.
    return document.locate(document.follow(f"{place}/requestBody", place), f"{place}/requestBody")[1]


_BODY_ERRORS: Final = ("Invalid content type", "Missing schema")


def _component_place(error: ParseError) -> str:
    found = re.search(r"/components/\w+/[^\s:]+", f"{error.header} {error.detail or ''}")
    return f"#{found[0]}" if found else "#/components/schemas"


def _places(node: Any, place: str, found: dict[int, str]) -> dict[int, str]:
    """Return the place of each object of the parser's tree, by its id."""
    if isinstance(node, BaseModel):
        found.setdefault(id(node), place)
        for name, field in type(node).model_fields.items():
            _places(getattr(node, name), f"{place}/{field.alias or name}", found)
    elif isinstance(node, dict):
        for key, value in node.items():
            text = key.get_untrusted_value() if isinstance(key, UntrustedString) else str(key)
            _places(value, f"{place}/{escape(text)}", found)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _places(value, f"{place}/{index}", found)
    return found


def _original(document: Document, places: Mapping[str, str], place: str) -> str:
    """Return a place in the original document, in which inline schemas are not components."""
    if not place.startswith(SCHEMAS):
        return place
    name, slash, rest = place.removeprefix(SCHEMAS).partition("/")
    return f"{places.get(name) or document.place(name)}{slash}{rest}"


def _invalid(document: Document, preparation: Preparation, fault: ValidationError) -> list[SpecError]:
    """Return the places that are not valid OpenAPI, each with the parser's message."""
    found: dict[str, SpecError] = {}
    for error in fault.errors():
        place = "#"
        node: Any = preparation.data
        for step in error["loc"]:
            # Between the keys are the names of pydantic's alternatives.
            inside = isinstance(node, dict) and step in node
            if inside or (isinstance(node, list) and isinstance(step, int) and step < len(node)):
                place, node = f"{place}/{escape(str(step))}", node[step]
        place = _original(document, preparation.places, place)
        found.setdefault(place, SpecError(place, f"is rejected by openapi-python-client: {error['msg']}"))
    return list(found.values())
