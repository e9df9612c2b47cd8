"""Rewrites schemas into the forms that later steps support, without changing which values they describe.

openapi-python-client ignores keywords beside `anyOf`, `oneOf` and `$ref`, and most keywords in `allOf`. Here they are
moved into the alternatives, so that a schema is one of these: a reference, a union without other type keywords, an
object with inherited and own properties, or a scalar, an array or a map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from codegen.document import Schema, ref_name
from codegen.keywords import ANNOTATIONS, types_of
from codegen.types import NULL

UNIONS: Final = ("anyOf", "oneOf")

_CONSTRAINTS: Final = ANNOTATIONS | {"required", "not"}
"""Keywords of a member that only constrains values."""

_OF_OBJECTS: Final = frozenset({"properties", "required", "additionalProperties", "allOf"})
"""Keywords that describe objects only."""

_IMPLIED: Final = {"items": "array", "additionalProperties": "object"}
"""Keywords that imply a type of a schema without a type."""

_MERGED: Final = frozenset({"required", "properties", "items", "additionalProperties", "format"})
"""Keywords of the parts of an `allOf` that can differ. Of two formats, the first remains."""

_MAX_INHERITED: Final = 100
"""The largest number of references from one `allOf` or alias to the next."""


class Normalizer:
    """A rewriter of schemas.

    Args:
        schemas: The components that references name.
    """

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas = schemas

    def schema(self, schema: Any) -> Any:
        """Return a schema in the supported form. Anything that is not a schema is returned unchanged."""
        if not isinstance(schema, dict):
            return {} if schema is True else schema
        if not _is_well_formed(schema):
            return schema  # of a part that nothing uses: other parts are validated
        out = dict(schema)
        if isinstance(out.get("properties"), dict):
            out["properties"] = {name: self.schema(each) for name, each in out["properties"].items()}
        _tuple(out)
        for word in ("items", "additionalProperties"):
            if isinstance(out.get(word), dict):
                out[word] = self.schema(out[word])
        for word in (*UNIONS, "allOf"):
            if isinstance(out.get(word), list):
                out[word] = [self.schema(each) for each in out[word]]
        return self._combined(out)

    def _combined(self, out: Schema) -> Schema:
        """Return a schema whose subschemas are normalized."""
        if out.get("additionalProperties") is False or ("properties" in out and out.get("additionalProperties") == {}):
            del out["additionalProperties"]  # models keep unknown fields
        if types_of(out) and "array" not in types_of(out):
            out.pop("items", None)  # it describes arrays only
        out = _nullable(out)
        out = self._reference(out)
        out = self._parts(out)
        out = self._split(out)
        for word in UNIONS:
            if word in out:
                return self._alternatives(out, word)
        out.pop("discriminator", None)  # without members, it does not affect the type
        if out.keys().isdisjoint({"type", "allOf", "$ref", "enum", "const"}):
            # The parser reads properties without a type only.
            implied = next((type_ for word, type_ in _IMPLIED.items() if isinstance(out.get(word), dict)), None)
            out |= {"type": implied} if implied else {}
        if "array" in types_of(out) and not isinstance(out.get("items"), dict):
            out["items"] = {}
        return out

    def _reference(self, out: Schema) -> Schema:
        """Replace a reference with type keywords beside it by an `allOf`."""
        beside = {word: value for word, value in out.items() if word != "$ref"}
        return {"allOf": [{"$ref": out["$ref"]}], **beside} if "$ref" in out and any(map(_is_type, beside)) else out

    def _parts(self, out: Schema) -> Schema:
        """Merge the parts of an `allOf`: what remains are references to objects, and properties."""
        if "allOf" not in out:
            return out
        own = {word: value for word, value in out.items() if word != "allOf"}
        parts: list[Any] = []
        for part in self._flat(out["allOf"]):
            if isinstance(part, dict) and not any(map(_is_type, part)):
                own = part | own
            else:
                parts.append(part)
        typed = {word for word in own if _is_type(word)}
        if len(parts) + bool(typed) < 2:
            return self._merged(parts, own)
        parts = list(map(self._scalar, parts))
        # `nullable` beside an `allOf` makes it nullable, even if a part excludes null.
        nullable = all(map(self._has_null, [own] if typed else parts))
        if typed == {"type"} and any(self._within(part, types_of(own)) for part in parts):
            del own["type"]
        merged = self._merged([self._without_null(part) for part in parts], self._without_null(own))
        return _with_null(merged) if nullable else merged

    def _merged(self, parts: list[Any], own: Schema) -> Schema:
        """Merge parts into the keywords beside them."""
        references: list[Schema] = []
        unions: list[Any] = []
        for part in parts:
            word = self._union(part)
            if part == {}:
                continue
            if word is not None and (len(parts) > 1 or any(map(_is_type, own))):
                unions.append(part)
            elif not isinstance(part, dict) or "$ref" in part:
                if part not in references:
                    references.append(part)
            elif not self._merge(own, part):
                references.append(part)
        if unions:
            rest = [*references, *({word: own.pop(word)} for word in [w for w in own if _is_type(w)])]
            return self._distributed(unions, rest, own)
        if not references:
            return own
        # openapi-python-client reads the properties of parts only, and ignores what is beside a single reference.
        typed = {word: own.pop(word) for word in list(own) if _is_type(word) and word != "additionalProperties"}
        if typed.keys() == {"type"} and typed["type"] == "object":
            typed = {}
        return {"allOf": [*references, *([typed] if typed else [])], **own}

    def _scalar(self, part: Any) -> Any:
        """Return the component that a reference names, if it has a JSON type other than an object or an array."""
        if ref_name(part) is None:
            return part
        target = self._target(part)
        types = set(types_of(target))
        is_scalar = types and types.isdisjoint({"object", "array"}) and target.keys().isdisjoint((*UNIONS, "allOf"))
        return self.schema(target) if is_scalar else part

    def _merge(self, own: Schema, part: Schema) -> bool:
        """Merge an inline part of an `allOf` into the schema, unless a keyword has different values."""
        for word, value in part.items():
            if word not in own or own[word] == value or word in ANNOTATIONS or word in _MERGED:
                continue
            if word not in ("type", "enum") or not _common(own[word], value):
                return False
        for word, value in part.items():
            if word == "required":
                own[word] = list(dict.fromkeys([*own.get(word, []), *value]))
            elif word == "properties":
                given = own.get(word, {})
                own[word] = given | {
                    name: self._combined({"allOf": [given[name], each]}) if name in given else each
                    for name, each in value.items()
                }
            elif word in ("type", "enum") and word in own:
                own[word] = _common(own[word], value)
            elif word in ("items", "additionalProperties") and isinstance(own.get(word), dict):
                own[word] = self._combined({"allOf": [own[word], value]}) if isinstance(value, dict) else own[word]
            else:
                own.setdefault(word, value)
        return True

    def _distributed(self, unions: list[Any], rest: list[Any], kept: Schema) -> Schema:
        """Return the union of each alternative of the first union with all other parts."""
        (first, *others) = unions
        resolved = self._target(first)
        word = self._union(first) or "anyOf"
        members = [
            member for member in resolved[word] if member != NULL and not self._excluded(member, [*others, *rest])
        ]
        beside = {key: value for key, value in resolved.items() if key not in (word, "discriminator") and _is_type(key)}
        discriminator = {key: resolved[key] for key in ("discriminator",) if key in resolved and key not in kept}
        extra = [*([beside] if beside else []), *others, *rest]
        return {
            word: [self._combined({"allOf": deepcopy([member, *extra])}) for member in members],
            **discriminator,
            **kept,
        }

    def _flat(self, parts: list[Any]) -> Iterator[Any]:
        """Yield the parts of an `allOf`, with those of inline parts that are an `allOf` themselves."""
        for part in parts:
            if isinstance(part, dict) and "allOf" in part:
                yield from self._flat(part["allOf"])
                part = {word: value for word, value in part.items() if word != "allOf"}
            yield part

    def _split(self, out: Schema) -> Schema:
        """Return an object that can also have another type as a union."""
        types = list(dict.fromkeys(types_of(out)))
        if len(types) == 1:
            out["type"] = types[0]
        if len(types) < 2 or "object" not in types or not ({"properties", "allOf"} & out.keys()):
            return out
        kept = {word: value for word, value in out.items() if not _is_type(word)}
        typed = {word: value for word, value in out.items() if _is_type(word)}
        members = [
            self._combined(
                {word: value for word, value in typed.items() if each == "object" or word not in _OF_OBJECTS}
                | {"type": each}
            )
            for each in types
            if each != "null"
        ]
        return {"anyOf": [*members, *([dict(NULL)] if "null" in types else [])], **kept}

    def _alternatives(self, out: Schema, word: str) -> Schema:
        """Move the type keywords beside a union into its members."""
        members = out[word]
        if all(isinstance(each, dict) and each.keys() <= _CONSTRAINTS for each in members):
            kept = {key: value for key, value in out.items() if key != word}
            return self._combined(kept) if any(key in kept for key in UNIONS) else kept
        rest = {key: value for key, value in out.items() if _is_type(key) and key not in (word, "discriminator")}
        if not rest:
            return out
        kept = {key: value for key, value in out.items() if key not in rest and key != word}
        return {word: [self._both(each, rest) for each in members if not self._excluded(each, [rest])], **kept}

    def _both(self, member: Any, rest: Schema) -> Any:
        """Return a member of a union together with the keywords beside the union."""
        if member == NULL or not isinstance(member, dict):
            return member
        if rest.keys() == {"type"} and self._within(member, types_of(rest)):
            return member
        return self._combined({"allOf": deepcopy([member, rest])})

    def _excluded(self, member: Any, others: list[Any]) -> bool:
        """Return whether a member of a union has other JSON types than other parts of the schema."""
        found = self._types(member)
        types = [each for other in others if (each := self._types(other))]
        return bool(found) and not all(_common(list(found), list(each)) for each in types)

    def _has_null(self, schema: Any) -> bool:
        """Return whether null matches a schema, which is stated."""
        target = self._target(schema)
        if types_of(target):
            return "null" in types_of(target) or target.get("nullable") is True
        members = [each for word in UNIONS for each in target.get(word, ())]
        return target.get("nullable") is True or any(each == NULL or self._has_null(each) for each in members)

    def _without_null(self, schema: Any) -> Any:
        """Return a schema that null does not match.

        A union of several other members is returned unchanged, because `_distributed` removes null from it. A reference
        to a nullable object is returned unchanged, because `nullable_components.py` makes it one to the object.
        """
        for _ in range(_MAX_INHERITED):
            target = self._target(schema)
            members: list[Any] = next((target[word] for word in UNIONS if word in target), [])
            others = [member for member in members if member != NULL]
            if len(others) != 1 or (ref_name(schema) is not None and ref_name(others[0]) is None):
                break
            schema = others[0]
        if not isinstance(schema, dict) or ref_name(schema) is not None or others:
            return schema
        out = dict(schema)
        for word, null in (("type", "null"), ("enum", None)):
            if isinstance(out.get(word), list):
                out[word] = [each for each in out[word] if each != null]
        return out

    def _within(self, schema: Any, types: list[str]) -> bool:
        """Return whether a schema states a JSON type, and only these."""
        found = self._types(schema)
        return bool(found) and found <= {*types, *(["integer"] if "number" in types else [])}

    def _types(self, schema: Any) -> set[str]:
        target = self._target(schema)
        if types := types_of(target):
            return set(types)
        if "properties" in target or "additionalProperties" in target:
            return {"object"}
        for word in UNIONS:
            members = [self._types(each) for each in target.get(word, ())]
            if members and all(members):
                return set().union(*members)
        return next((found for each in target.get("allOf", ()) if (found := self._types(each))), set())

    def _union(self, schema: Any) -> str | None:
        """Return the keyword of a schema, or of a component, that is a union of more than null and one type."""
        target = self._target(schema)
        for word in UNIONS:
            members = [each for each in target.get(word, ()) if each != NULL]
            if len(members) > 1 and not all(isinstance(each, dict) and each.keys() <= _CONSTRAINTS for each in members):
                return word
        return None

    def _target(self, schema: Any) -> Schema:
        """Return a schema, or the component that it refers to in the end, or an empty schema."""
        for _ in range(_MAX_INHERITED):
            name = ref_name(schema)
            if name is None:
                break
            schema = self.schemas.get(name)
        return schema if isinstance(schema, dict) and "$ref" not in schema else {}


def _is_well_formed(schema: Schema) -> bool:
    return isinstance(schema.get("type", []), str | list) and all(
        isinstance(schema.get(word, []), list) for word in (*UNIONS, "allOf", "required", "enum")
    )


def _is_type(word: str) -> bool:
    return word not in ANNOTATIONS and not word.startswith("x-")


def _common(first: Any, second: Any) -> Any:
    """Return the values of two lists, or of two types, that are in both."""
    left, right = ([each] if isinstance(each, str) else list(each) for each in (first, second))
    found = [each for each in left if each in right or (each == "integer" and "number" in right)]
    found += [each for each in right if each == "integer" and "number" in left and each not in found]
    return found[0] if len(found) == 1 and isinstance(first, str) else found


def _nullable(out: Schema) -> Schema:
    """Return a schema with `nullable` of OpenAPI 3.0 as a type."""
    if not isinstance(out.get("nullable"), bool):
        return out
    if not out.pop("nullable"):
        return out
    if None not in out.get("enum", (None,)):
        out["enum"] = [*out["enum"], None]
    if isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"] if out["type"] != "null" else "null"
    elif isinstance(out.get("type"), list):
        out["type"] = list(dict.fromkeys([*out["type"], "null"]))
    elif word := next((word for word in UNIONS if word in out), None):
        out[word] = [*out[word], *([] if NULL in out[word] else [dict(NULL)])]
    elif "$ref" in out or "allOf" in out:
        return _or_null(out)
    return out


def _with_null(out: Schema) -> Schema:
    """Return a schema that null matches too."""
    word = next((word for word in UNIONS if word in out), None)
    return out | {word: [*out[word], dict(NULL)]} if word else _or_null(out)


def _or_null(out: Schema) -> Schema:
    kept = {word: value for word, value in out.items() if not _is_type(word)}
    return {"anyOf": [{word: value for word, value in out.items() if _is_type(word)}, dict(NULL)], **kept}


def _tuple(out: Schema) -> None:
    """Replace the positions of an array by a union of their types."""
    if isinstance(out.get("prefixItems"), list):
        members = out.pop("prefixItems")
        if isinstance(out.get("items"), dict) and out["items"]:
            members = [*members, out["items"]]
        distinct = [each for number, each in enumerate(members) if each not in members[:number]]
        out["items"] = distinct[0] if len(distinct) == 1 else {"anyOf": distinct} if distinct else {}
