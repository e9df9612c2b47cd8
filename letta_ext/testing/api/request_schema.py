"""Validates requests with pydantic, as Letta does, by the part of Letta's OpenAPI document that describes them.

``requests.json`` is this part. The package's own specification does not replace it: it omits deprecated forms, and
allows null where clients send it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from ..store.ids import UUID4
from . import errors
from .validation import is_object, is_sequence

Node = Mapping[str, Any]

MAX_PROBLEMS: Final = 1_000
"""Maximum number of problems in one response."""

_OTID: Final = "function-after[generate_otid_if_missing(), "
_LABELS: Final = {
    "MessageCreate": f"{_OTID}MessageCreate]",
    "ApprovalCreate": f"function-after[migrate_deprecated_fields(), {_OTID}ApprovalCreate]]",
    "ToolReturnCreate": f"{_OTID}ToolReturnCreate]",
}
"""Names of the types of messages in the locations of problems."""


_ENUMS: Final = {
    "MessageCreateType": r"\w+Create\.type",
    "MessageRole": r"MessageCreate\.role",
    "MessageContentType": r"\w+Content\.type",
    "ImageSourceType": r"\w+Image\.type",
}
"""Enumerations that problems name, and the fields whose values belong to them."""


class Record:
    """A validated object. Its attributes are the fields of its schema."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a field."""

    def has(self, name: str) -> bool:
        """Return whether the request contains a field."""
        return name in self.__pydantic_fields_set__


@dataclass(frozen=True, slots=True)
class Operation:
    """The validator of the requests of one operation.

    Attributes:
        validator: Validates an object with the fields ``path``, ``query`` and, if the operation has one, ``body``.
        lists: The query parameters that can be repeated.
        has_body: Whether the operation has a body.
    """

    validator: SchemaValidator
    lists: frozenset[str]
    has_body: bool

    def read(self, path: Mapping[str, object], query: Sequence[tuple[str, str]], body: object) -> Record:
        """Return a request with the fields ``path``, ``query`` and ``body``. An absent body has the default fields.

        Args:
            path: The ids of the path.
            query: The parameters of the query.
            body: The JSON of the body. None if it is absent or null.

        Raises:
            errors.ApiError: If the request is invalid.
        """
        parameters: dict[str, object] = dict(query)
        for name in self.lists & parameters.keys():
            parameters[name] = [value for key, value in query if key == name]
        value: Any = {"path": path, "query": parameters} | ({} if body is None else {"body": body})
        try:
            if _is_long(value):
                # pydantic takes seconds for a million problems. Those of the first items suffice.
                self.validator.validate_python(_shorten(value), from_attributes=True)
            request: Record = self.validator.validate_python(value, from_attributes=True)
            return request
        except ValidationError as invalid:
            raise _invalid(invalid) from None


def _invalid(invalid: ValidationError) -> errors.ApiError:
    """Return the 422 of a request."""
    problems: list[dict[str, Any]] = [{**each} for each in invalid.errors(include_url=False)[:MAX_PROBLEMS]]
    example = None
    for problem in problems:
        location = problem["loc"]
        if problem["type"] == "missing" and (location[0] != "body" or len(location) == 1):
            problem["input"] = None
        if location in (("path", "agent_id"), ("path", "step_id")):
            # Letta words the problem of these ids itself, and adds an example.
            kind = location[1].removesuffix("_id")
            problem["type"], problem["ctx"] = "string_pattern_mismatch", {"pattern": f"^{kind}-{UUID4}$"}
            problem["msg"] = f"String should match pattern '{kind}-{{uuid4}}'"
            example = f"{kind}-123e4567-e89b-42d3-8456-426614174000"
    return errors.validation(problems, example)


def _is_long(value: Any) -> bool:
    """Return whether a list in a value has more items than a response has problems."""
    if is_object(value):
        return any(map(_is_long, value.values()))
    return is_sequence(value) and (len(value) > MAX_PROBLEMS or any(map(_is_long, value)))


def _shorten(value: Any) -> Any:
    """Return a value with the first items of its lists."""
    if is_object(value):
        return {name: _shorten(each) for name, each in value.items()}
    return [_shorten(each) for each in value[:MAX_PROBLEMS]] if is_sequence(value) else value


@cache
def operation(method: str, path: str) -> Operation:
    """Return the validator of an operation."""
    paths, types = _document()
    node = paths[path][method.lower()]
    declared: list[Node] = node.get("parameters", [])
    parts = {place: types.parameters([each for each in declared if each["in"] == place]) for place in ("path", "query")}
    body = node.get("requestBody")
    if body is not None:
        schema = types.build(body["content"]["application/json"]["schema"])
        required = body.get("required", False)
        parts["body"] = (
            schema if required else core_schema.with_default_schema(schema, default_factory=dict, validate_default=True)
        )
    lists = frozenset(each["name"] for each in declared if "array" in json.dumps(each["schema"]))
    return Operation(SchemaValidator(_object("Request", parts)), lists, body is not None)


@cache
def _document() -> tuple[Any, _Types]:
    document = json.loads((files("letta_ext.testing.api") / "requests.json").read_text(encoding="utf-8"))
    return document["paths"], _Types(document["components"]["schemas"])


class _Types:
    """Builds the schemas of pydantic from those of the document."""

    def __init__(self, components: Mapping[str, Node]) -> None:
        self._components = components
        self._built: dict[str, CoreSchema] = {}

    def parameters(self, declared: Sequence[Node]) -> CoreSchema:
        properties = {each["name"]: each["schema"] for each in declared}
        return self._model("Parameters", properties, [each["name"] for each in declared if each.get("required")])

    def build(self, node: Any) -> CoreSchema:
        """Return the schema of a node."""
        match node:
            case {"$ref": str(reference)}:
                return self._component(reference.rpartition("/")[2])
            case {"anyOf": members}:
                return self._union(members)
            case {"oneOf": members, "discriminator": {"propertyName": str(tag)}}:
                # One mapping of the document is wrong, so the tags are those of the members.
                names = [each["$ref"].rpartition("/")[2] for each in members]
                tags = [_constants(f"{name}.{tag}", self._components[name]["properties"][tag])[0] for name in names]
                return core_schema.tagged_union_schema(dict(zip(tags, map(self._component, names), strict=True)), tag)
            case {"const": value}:
                return core_schema.literal_schema([value])
            case {"enum": values}:
                return core_schema.literal_schema(values)
            case {"type": "array", "items": items}:
                return core_schema.list_schema(self.build(items))
            case {"type": "object"}:
                extra: Any = node.get("additionalProperties")
                content = self.build(extra) if is_object(extra) else core_schema.any_schema()
                return core_schema.dict_schema(core_schema.str_schema(), content)
            case _:
                return self._scalar(node)

    def _scalar(self, node: Node) -> CoreSchema:
        low, high = node.get("minimum"), node.get("maximum")
        match node.get("type"):
            case "string" if node.get("format") == "date-time":
                return core_schema.datetime_schema()
            case "string":
                return core_schema.str_schema(
                    pattern=node.get("pattern"), min_length=node.get("minLength"), max_length=node.get("maxLength")
                )
            case "integer":
                # The document writes some bounds of integers with a fraction.
                return core_schema.int_schema(
                    ge=None if low is None else int(low), le=None if high is None else int(high)
                )
            case "number":
                return core_schema.float_schema(ge=low, le=high)
            case "boolean":
                return core_schema.bool_schema()
            case _:
                return core_schema.any_schema()

    def _component(self, name: str) -> CoreSchema:
        if name not in self._built:
            self._built[name] = self._build_component(name, self._components[name])
        return self._built[name]

    def _build_component(self, name: str, node: Node) -> CoreSchema:
        if "enum" in node:
            members: Any = Enum(name, {value: value for value in node["enum"]})  # type: ignore[misc]  # a dynamic name
            schema: CoreSchema = core_schema.enum_schema(members, list(members), sub_type="str")
            return core_schema.no_info_after_validator_function(attrgetter("value"), schema)
        if "properties" not in node:
            return _with_hooks(name, self.build(node))
        closed = node.get("additionalProperties") is False
        return _with_hooks(name, self._model(name, node["properties"], node.get("required", ()), closed=closed))

    def _union(self, members: Sequence[Node]) -> CoreSchema:
        choices: list[CoreSchema | tuple[CoreSchema, str]] = []
        for member in members:
            if member.get("type") != "null":
                label = _LABELS.get(str(member.get("$ref")).rpartition("/")[2])
                built = self.build(member)
                choices.append((built, label) if label else built)
        single = choices[0]
        schema = single if len(choices) == 1 and isinstance(single, dict) else core_schema.union_schema(choices)
        return core_schema.nullable_schema(schema) if len(choices) < len(members) else schema

    def _model(
        self, name: str, properties: Mapping[str, Node], required: Sequence[str], *, closed: bool = False
    ) -> CoreSchema:
        fields: dict[str, CoreSchema] = {}
        for field, node in properties.items():
            constants = _constants(f"{name}.{field}", node)
            schema = core_schema.literal_schema(constants) if constants else self.build(node)
            if constants and isinstance(constants[0], Enum):
                schema = core_schema.no_info_after_validator_function(attrgetter("value"), schema)
            if field not in required:
                schema = core_schema.with_default_schema(schema, default=node.get("default"))
            fields[field] = schema
        return _object(name, fields, closed=closed)


def _object(name: str, fields: Mapping[str, CoreSchema], *, closed: bool = False) -> CoreSchema:
    """Return the schema of a `Record`."""
    inner = core_schema.model_fields_schema(
        {field: core_schema.model_field(schema) for field, schema in fields.items()},
        extra_behavior="forbid" if closed else "ignore",
    )
    return core_schema.model_schema(type(name, (Record,), {"__slots__": ()}), inner)


def _constants(field: str, node: Node) -> list[Any]:
    """Return the values of a field without other values, as members of its enumeration."""
    values: list[Any] = [node["const"]] if "const" in node else node.get("enum", [])
    for name, pattern in _ENUMS.items():
        if re.fullmatch(pattern, field):
            members: Any = Enum(name, {value: value for value in values}, type=str)  # type: ignore[misc]  # a dynamic name
            return list(members)
    return values


def _with_hooks(name: str, schema: CoreSchema) -> CoreSchema:
    before, after = _HOOKS.get(name, (None, None))
    if before is not None:
        schema = core_schema.no_info_before_validator_function(before, schema)
    if after is not None:
        schema = core_schema.no_info_after_validator_function(after, schema)
    return schema


def _add_message_types(body: Any) -> Any:
    """Add the type of messages without one: approvals in the deprecated form, and messages."""
    messages: Any = body.get("messages") if is_object(body) else None
    for message in messages if is_sequence(messages) else ():
        if isinstance(message, dict) and "type" not in message:
            is_approval = "approval_request_id" in message or "approve" in message
            message["type"] = "approval" if is_approval else "message"
    return body


def _check_input(body: Record) -> Record:
    if body.input is not None and body.messages is not None:
        raise ValueError("Cannot specify both 'input' and 'messages'. Use one or the other.")
    if body.input is None and body.messages is None:
        raise ValueError("Must specify either 'input' or 'messages'.")
    return body


def _check_model(body: Record) -> Record:
    """Raise Letta's 400 of a malformed model, which precedes other problems."""
    if body.model and not all(body.model.partition("/")):
        raise errors.invalid_argument("The model handle should be in the format provider/model-name")
    return body


def _check_limits(body: Record) -> Record:
    """Raise Letta's 400 of a limit of files, which precedes other problems."""
    for name, limit in (("max_files_open", 1000), ("per_file_view_window_char_limit", 2**31 - 1)):
        value = getattr(body, name)
        if value is not None and value > limit:
            raise errors.invalid_argument(f"{name} cannot exceed {limit}. Got: {value}")
    return body


def _check_agent(body: Record) -> Record:
    if body.embedding and not all(body.embedding.partition("/")):
        raise ValueError("The embedding handle should be in the format provider/model-name")
    return _check_limits(_check_model(body))


def _check_children(rule: Record) -> Record:
    for node in rule.child_arg_nodes or ():
        if node.name not in rule.children:
            problem = f"contains a node for '{node.name}' which is not in children {rule.children}."
            raise ValueError(f"ChildToolRule child_arg_nodes {problem}")
    return rule


def _check_mapping(rule: Record) -> Record:
    if not rule.child_output_mapping:
        raise ValueError("Conditional tool rule must have at least one child tool.")
    return rule


_HOOKS: Final[Mapping[str, tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None]]] = {
    "ChildToolRule": (None, _check_children),
    "ConditionalToolRule": (None, _check_mapping),
    "ConversationMessageRequest": (_add_message_types, _check_input),
    "CreateAgentRequest": (None, _check_agent),
    "CreateConversation": (None, _check_model),
    "UpdateAgent": (None, _check_limits),
    "UpdateConversation": (None, _check_model),
}
"""What Letta's document does not express: functions before and after the validation of a schema."""
