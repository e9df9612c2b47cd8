"""The keywords of a schema: which are understood, which change nothing, and what can be said without its types."""

from __future__ import annotations

from codegen.document import Schema, escape
from codegen.errors import SpecError

_ANNOTATIONS = (
    "title description default example examples deprecated readOnly writeOnly externalDocs xml $comment "
    "minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems "
    "maxItems uniqueItems minProperties maxProperties "
    "contains minContains maxContains dependentRequired propertyNames unevaluatedProperties unevaluatedItems "
    "contentEncoding contentMediaType contentSchema $schema $anchor $defs definitions"
)
ANNOTATIONS = frozenset(_ANNOTATIONS.split())
"""Keywords that change no type. The server enforces the bounds; a client that knew them would refuse a newer server."""

_TYPE_WORDS = "type format enum const items properties additionalProperties anyOf oneOf allOf discriminator $ref"
TYPE_WORDS = frozenset(_TYPE_WORDS.split())
"""Keywords that say what a value is."""

_OTHER_TYPES = "not if then else dependentSchemas patternProperties prefixItems nullable $id $dynamicRef $recursiveRef"
OTHER_TYPES = frozenset(_OTHER_TYPES.split())
"""Keywords that may say something about a type, which is not understood."""

KNOWN = ANNOTATIONS | TYPE_WORDS | OTHER_TYPES | {"required"}
"""All keywords that mean anything."""

LAZY = "x-letta-lazy"
"""Says of a property that is an array of models: decode an item when it is asked for."""


def check_words(schema: Schema, place: str) -> None:
    """Refuses a schema that says something which would be passed over.

    Raises:
        SpecError: it uses a word that is not understood, or words together that are understood apart only.
    """
    if unknown := sorted(OTHER_TYPES & schema.keys()):
        remedy = "; write `null` among the types" if "nullable" in unknown else ""
        raise SpecError(place, f"uses {', '.join(unknown)}, which the generator does not understand{remedy}")
    for word in schema:
        if word not in KNOWN and not word.startswith("x-"):
            raise SpecError(f"{place}/{escape(word)}", "is no word of JSON Schema; one of your own begins with `x-`")
    if LAZY in schema:
        raise SpecError(f"{place}/{LAZY}", "stands at what is no property of a component")
    if "discriminator" in schema and "anyOf" not in schema and "oneOf" not in schema:
        raise SpecError(place, "has a discriminator and no members; list them in a oneOf")
    for word, beside in _ALONE.items():
        others = sorted((schema.keys() & TYPE_WORDS) - {word} - beside)
        if word in schema and others:
            raise SpecError(place, f"has {', '.join(others)} beside {word}; write out what they mean together")


_ALONE = {
    "$ref": frozenset[str](),
    "allOf": frozenset[str](),
    "anyOf": frozenset({"type", "discriminator", "additionalProperties"}),
    "oneOf": frozenset({"type", "discriminator", "additionalProperties"}),
}
"""Words that say alone what a value is, and what may stand beside them and says the same."""


def is_instant(schema: Schema) -> bool:
    """Return whether a schema is one of strings that are instants.

    Every other `format` is documentation, as JSON Schema has it.
    """
    return schema.get("format") == "date-time" and "string" in types_of(schema)


def types_of(schema: Schema) -> list[str]:
    """Return the types that a schema names."""
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)
