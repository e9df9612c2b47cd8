"""The OpenAPI document as plain data: loading, references and places."""

from __future__ import annotations

import copy
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from codegen.errors import ErrorCollector, SpecError
from codegen.plain_yaml import load_plain

Schema = dict[str, Any]
"""A JSON Schema of the document."""

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SCHEMAS = "#/components/schemas/"

VALUES = frozenset({"default", "example", "examples", "enum", "const"})
"""Keywords whose values are not schemas."""

MAX_DEPTH = 100
"""The largest nesting of a document."""

TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep. Use components"

MAX_ALIASED_VALUES = 100_000
"""The largest number of values that YAML aliases can add."""


class _Constructor(SafeConstructor):
    """A YAML 1.2 constructor without timestamps: dates are strings, as in JSON."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def load(path: Path) -> dict[str, Any]:
    """Load a YAML or JSON document.

    Raises:
        SpecError: If the file cannot be read, is not YAML, repeats a key, or is not an OpenAPI 3.0 or 3.1 document.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise SpecError(str(path), f"cannot be read: {fault}") from fault
    return parse(text, str(path))


def make_loader() -> YAML:
    """Return a loader of YAML 1.2, which raises for repeated keys."""
    loader = YAML(typ="safe", pure=True)
    loader.Constructor = _Constructor
    return loader


def parse(text: str, name: str) -> dict[str, Any]:
    """Parse the text of a YAML or JSON document.

    Args:
        text: The text.
        name: The name of the document in errors.

    Raises:
        SpecError: As in `load`.
    """
    loader = make_loader()
    try:
        # The JSON parser is a hundred times as fast as the YAML parser.
        json_given = text.lstrip().startswith("{")
        data: Any = json.loads(text, object_pairs_hook=_unique) if json_given else load_plain(text, loader, MAX_DEPTH)
        if data is None:
            data = loader.load(text)
    except RecursionError as fault:
        raise SpecError(_deepest(text, name), TOO_DEEP) from fault
    except (YAMLError, ValueError) as fault:
        raise SpecError(name, f"is not valid YAML or JSON: {fault}") from fault
    if not isinstance(data, dict) or not str(data.get("openapi", "")).startswith(("3.0", "3.1")):
        raise SpecError(name, "is not an OpenAPI 3.0 or 3.1 document. Put `openapi: 3.1.0` at the top")
    plain: dict[str, Any] = _Plain(len(text) + MAX_ALIASED_VALUES).tree(data, "#", frozenset())
    return plain


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!a:.60} is repeated")
    return found


def _deepest(text: str, name: str) -> str:
    """Return the name and line at which a text is nested too deeply for its parser."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            return f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
    return name


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class _Plain:
    """A copier of trees with string keys: YAML parses the status code 200 as a number.

    Args:
        most: The largest number of values in the copy. Only aliases add values that are not in the text.
    """

    def __init__(self, most: int) -> None:
        self.left = most

    def tree(self, node: Any, place: str, within: frozenset[int]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise SpecError(place, f"has YAML aliases that add more than {MAX_ALIASED_VALUES:,} values. Use $ref")
        if isinstance(node, dict | list):
            if id(node) in within:
                raise SpecError(place, "contains itself through a YAML alias. Use $ref")
            if len(within) >= MAX_DEPTH:
                raise SpecError(place, TOO_DEEP)
            within |= {id(node)}
        if isinstance(node, dict):
            out = {}
            for key, value in node.items():
                word = _text(_key(key), place)
                if word in out:
                    raise SpecError(f"{place}/{escape(word)}", "is repeated, as text and as a number or a boolean")
                out[word] = self.tree(value, f"{place}/{escape(word)}", within)
            return out
        if isinstance(node, list):
            return [self.tree(value, f"{place}/{n}", within) for n, value in enumerate(node)]
        if isinstance(node, str):
            return _text(node, place)
        if node is None or isinstance(node, bool | int) or (isinstance(node, float) and math.isfinite(node)):
            return node
        raise SpecError(place, f"must be a JSON value, got {node!r}")


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _text(text: str, place: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise SpecError(place, f"must not contain lone surrogates, got {text!a:.60}")
    return text


def escape(part: str) -> str:
    """Return a key as a segment of a JSON pointer."""
    return part.replace("~", "~0").replace("/", "~1")


def unescape(part: str) -> str:
    """Return the key of a segment of a JSON pointer."""
    return part.replace("~1", "/").replace("~0", "~")


def existing_place(data: Any, place: str) -> str:
    """Return the place, or the deepest part of it that exists in a document."""
    parts = place.split("/")
    while len(parts) > 1 and not _exists(data, parts[1:]):
        parts.pop()
    return "/".join(parts)


def _exists(node: Any, parts: list[str]) -> bool:
    owner, key = find(node, parts[:-1]), unescape(parts[-1])
    return (
        key in owner if isinstance(owner, dict) else isinstance(owner, list) and key.isdigit() and int(key) < len(owner)
    )


def find(node: Any, parts: list[str]) -> Any:
    """Return the value at the segments of a JSON pointer, or None."""
    for part in parts:
        key = unescape(part)
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return None
    return node


IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})
"""Header parameters without effect in OpenAPI: media types and security schemes replace them."""


def is_ignored(parameter: dict[str, Any] | None) -> bool:
    """Return whether a parameter is a header without effect, or null, as lenient mode leaves it."""
    if parameter is None:
        return True
    return parameter["in"] == "header" and parameter["name"].lower() in IGNORED_HEADERS


@frozen
class Parameter:
    """A parameter of an operation and its place."""

    data: dict[str, Any]
    place: str


@frozen
class Operation:
    """An operation in the document: a method of a path."""

    path: str
    method: str
    data: dict[str, Any]
    parameters: list[Parameter]
    place: str

    @property
    def id(self) -> str:
        """The `operationId`, which is the dotted name on the client."""
        return str(self.data["operationId"])


@frozen
class Document:
    """A loaded document.

    Attributes:
        data: The tree, which is never modified.
        origins: The places of renamed components in the original document, by name.
    """

    data: dict[str, Any]
    origins: dict[str, str] = field(factory=dict)

    @property
    def schemas(self) -> dict[str, Schema]:
        """The component schemas, by name."""
        found: dict[str, Schema] = self.data.get("components", {}).get("schemas", {})
        return found

    def place(self, component: str) -> str:
        """Return the place of a component schema."""
        return self.origins.get(component, SCHEMAS + escape(component))

    def follow(self, ref: str, place: str) -> Any:
        """Return the target of a local `$ref`."""
        if not ref.startswith("#/"):
            raise SpecError(place, f"$ref {ref!a:.200} is outside of the document. Move the schema into components")
        node: Any = self.data
        for part in ref[2:].split("/"):
            key = unescape(part)
            if isinstance(node, dict) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            else:
                raise SpecError(place, f"$ref {ref!a:.200} does not exist. Add it to the components")
        return node

    def locate(self, node: Any, place: str) -> tuple[Any, str]:
        """Return `node` or the target of its references, and its place."""
        seen: set[str] = set()
        while isinstance(node, dict) and "$ref" in node:
            ref = str(node["$ref"])
            if ref in seen:
                raise SpecError(place, f"$ref {ref!a:.200} refers to itself. Remove the cycle")
            seen.add(ref)
            if not ref.startswith(("#/components/", "#/paths/")):
                raise SpecError(place, f"$ref {ref!a:.200} must refer to a component or into a path")
            node, place = self.follow(ref, place), ref
        return node, place

    def deref(self, node: Any, place: str) -> Any:
        """Return `node` or the target of its references."""
        return self.locate(node, place)[0]

    def operations(self) -> list[Operation]:
        """Return the operations in document order, with the parameters of their paths."""
        found: list[Operation] = []
        seen: dict[str, str] = {}
        errors = ErrorCollector()
        for path, item in self.data.get("paths", {}).items():
            at = f"#/paths/{escape(path)}"
            with errors.block():
                if "$ref" in item:
                    raise SpecError(at, "refers to another path. Move its methods here")
                for method in METHODS:
                    if method in item:
                        with errors.block():
                            found.append(self._operation(path, method, seen))
        errors.raise_all()
        return found

    def _operation(self, path: str, method: str, seen: dict[str, str]) -> Operation:
        at = f"#/paths/{escape(path)}"
        item = self.data["paths"][path]
        place, data = f"{at}/{method}", item[method]
        if not (name := data.get("operationId")):
            raise SpecError(place, "has no operationId. Add one, it is the name on the client")
        if other := seen.get(name):
            raise SpecError(place, f"has the operationId {name!a:.60} of {other}. Rename one of them")
        seen[name] = place
        # A parameter of the operation overrides that of the path.
        given = [*self._parameters(item, at), *self._parameters(data, place)]
        parameters = {(each.data["in"], each.data["name"]): each for each in given}
        return Operation(path, method, data, list(parameters.values()), place)

    def _parameters(self, owner: dict[str, Any], place: str) -> list[Parameter]:
        found = []
        for n, node in enumerate(owner.get("parameters", [])):
            data, at = self.locate(node, f"{place}/parameters/{n}")
            if not is_ignored(data):
                found.append(Parameter(data, at))
        return found

    def copy(self) -> Document:
        """Return a copy that can be modified."""
        return Document(copy.deepcopy(self.data), dict(self.origins))


def successful(responses: dict[str, Any]) -> list[str]:
    """Return the status codes of the successful responses: those of 2XX, or `default` without them."""
    return [code for code in responses if code.startswith("2")] or [code for code in responses if code == "default"]


def ref_name(schema: Any) -> str | None:
    """Return the component that a schema refers to, or None."""
    if isinstance(schema, dict):
        ref = schema.get("$ref")
        if isinstance(ref, str) and ref.startswith(SCHEMAS):
            return unescape(ref.removeprefix(SCHEMAS))
    return None


def reachable(roots: list[Any], schemas: dict[str, Schema]) -> list[str]:
    """Return the components that schemas refer to, directly or indirectly. Missing components are omitted."""
    reached: dict[str, None] = {}
    todo = list(reversed(roots))
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += reversed(node)
        elif isinstance(node, dict):
            name = ref_name(node)
            todo += reversed([item for key, item in node.items() if key != "discriminator"])
            if name in schemas and name not in reached:
                reached[name] = None
                todo.append(schemas[name])
    return list(reached)


def referring(node: Any, names: dict[str, str]) -> Any:
    """Return a tree with renamed components in `$ref` and in discriminator mappings."""
    if isinstance(node, list):
        return [referring(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: referring(value, names) for key, value in node.items()}
    if isinstance(out.get("$ref"), str):
        out["$ref"] = _new_ref(out["$ref"], names)
    if isinstance(out.get("x-letta-streaming"), dict) and isinstance(out["x-letta-streaming"].get("event"), str):
        out["x-letta-streaming"]["event"] = _new_ref(out["x-letta-streaming"]["event"], names)
    if isinstance(out.get("discriminator"), dict) and isinstance(out["discriminator"].get("mapping"), dict):
        mapping = out["discriminator"]["mapping"]
        out["discriminator"]["mapping"] = {value: _new_ref(ref, names) for value, ref in mapping.items()}
    return out


def _new_ref(ref: Any, names: dict[str, str]) -> Any:
    # A mapping can contain component names instead of references.
    name = ref_name({"$ref": ref}) or ref
    return SCHEMAS + escape(names[name]) if isinstance(name, str) and name in names else ref
