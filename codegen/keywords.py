"""The keywords of schemas: supported, ignored and rejected."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from codegen.document import Schema, escape
from codegen.errors import SpecError

_ANNOTATIONS = (
    "title description default example examples deprecated readOnly writeOnly externalDocs xml $comment "
    "minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems "
    "maxItems uniqueItems minProperties maxProperties "
    "contains minContains maxContains dependentRequired propertyNames unevaluatedProperties unevaluatedItems "
    "contentEncoding contentMediaType contentSchema $schema $id $anchor $defs definitions"
)
ANNOTATIONS = frozenset(_ANNOTATIONS.split())
"""Keywords that do not affect types. The server enforces bounds; a client that did would reject newer servers."""

_TYPE_WORDS = "type format enum const items properties additionalProperties anyOf oneOf allOf discriminator $ref"
TYPE_KEYWORDS = frozenset(_TYPE_WORDS.split())
"""Keywords that describe types."""

_OTHER_TYPES = "not if then else dependentSchemas patternProperties prefixItems nullable $dynamicRef $recursiveRef"
OTHER_TYPES = frozenset(_OTHER_TYPES.split())
"""Keywords that affect types and are not supported."""

KNOWN = ANNOTATIONS | TYPE_KEYWORDS | OTHER_TYPES | {"required"}
"""All known keywords."""

LAZY = "x-letta-lazy"
"""The extension of an array of models whose items are decoded on first access."""

ALIAS = "x-letta-alias"
"""The extension of a property that has a second name in Python."""

TEXT = "x-letta-text"
"""The extension of a component that has attributes with the text of some items of an array."""


def check_keywords(schema: Schema, place: str) -> None:
    """Check that all keywords of a schema are supported.

    Raises:
        SpecError: If a keyword or a combination of keywords is not supported.
    """
    for word in schema:
        if word in OTHER_TYPES:
            raise SpecError(f"{place}/{escape(word)}", f"uses {word}, which is not supported. Remove it")
        if word not in KNOWN and not word.startswith("x-") and (meant := _similar(word)):
            raise SpecError(f"{place}/{escape(word)}", f"is not a JSON Schema keyword. Use {meant}, or the prefix `x-`")
    if LAZY in schema:
        raise SpecError(f"{place}/{LAZY}", "must be on a property of a component")
    parts = schema.get("allOf", [])
    if len(parts) > 1:
        _check_parts(parts, place)
    for word, beside in _ALONE.items():
        others = sorted((schema.keys() & TYPE_KEYWORDS) - {word} - beside)
        if word in schema and others:
            raise SpecError(place, f"has {', '.join(others)} next to {word}. Merge them into one schema")


def _check_parts(parts: list[Any], place: str) -> None:
    """Check that the parts of an `allOf` describe one object."""
    types = [found for part in parts if isinstance(part, dict) and (found := types_of(part))]
    if types and not set.intersection(*({*each, *(["integer"] if "number" in each else [])} for each in types)):
        wanted = " and ".join(" or ".join(each) for each in types)
        raise SpecError(place, f"matches no value, because its allOf requires {wanted}. Remove one of them")
    for part in parts:
        others = sorted((part.keys() & TYPE_KEYWORDS) - _OF_PARTS) if isinstance(part, dict) else ["false"]
        if others or ("$ref" not in part and types_of(part) not in ([], ["object"])):
            raise SpecError(
                place, f"has {', '.join(others or types_of(part))} in allOf. Merge the parts into one schema"
            )


def _similar(word: str) -> str | None:
    """Return the keyword that a word can be a typing error of. Other unknown keywords are annotations."""
    return next(iter(get_close_matches(word, KNOWN, 1, _SIMILARITY)), None)


_SIMILARITY = 0.8
"""The ratio of equal characters from which on a word is a typing error."""

_OF_PARTS = frozenset({"$ref", "type", "properties", "required"})
"""Keywords of the parts of an `allOf`."""

_ALONE = {
    "$ref": frozenset[str](),
    "allOf": frozenset({"additionalProperties"}),
    "anyOf": frozenset({"type", "discriminator", "additionalProperties"}),
    "oneOf": frozenset({"type", "discriminator", "additionalProperties"}),
}
"""Keywords that describe a whole type, and keywords that can be next to them."""


def is_datetime(schema: Schema) -> bool:
    """Return whether a schema is a date-time string. Other formats are documentation."""
    return schema.get("format") == "date-time" and "string" in types_of(schema)


def types_of(schema: Schema) -> list[str]:
    """Return the types of a schema."""
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)
