"""Every text position of a document, and the document with another text there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from codegen.document import escape
from tests.codegen.building import NULL, STRING, document, obj, operation, ref, responds, tagged, takes

Position = tuple[tuple[str | int, ...], str]
"""A position in a document: its path of keys, and whether it is the key or the value."""

DATED = {"type": "string", "format": "date-time", "title": "When", "description": "When it was."}

_WORDS = (
    "string integer number boolean array object null path query header date-time asc order items form simple true "
    "application/json text/event-stream"
)
VOCABULARY = frozenset(_WORDS.split())
"""Values with a meaning in OpenAPI, so that each occurrence is a separate position."""


def whole_document() -> dict[str, Any]:
    """Return a document that uses every feature, with distinct names."""
    leaf = obj("leafKey", leafKey=STRING | {"const": "leafConst"}, leafAt=DATED)
    everything = {
        "textKey": STRING
        | {
            "pattern": "^pattern$",
            "default": "defaultText",
            "example": {"exampleKey": "exampleText"},
            "examples": ["examplesText"],
            "format": "formatText",
            "$comment": "commentText",
            "contentMediaType": "mediaText",
            "x-note": {"noteKey": "noteText"},
            "externalDocs": {"url": "docsText", "description": "docsDescription"},
            "xml": {"name": "xmlName", "prefix": "xmlPrefix"},
        },
        "datedKey": DATED,
        "dateOrNullKey": {"anyOf": [DATED, NULL], "description": "dateOrNullText"},
        "referenceKey": ref("Leaf"),
        "referenceOrNullKey": {"anyOf": [ref("Leaf"), NULL]},
        "arrayKey": {"type": "array", "items": ref("Leaf")},
        "lazyKey": {"type": "array", "items": ref("Leaf"), "x-letta-lazy": True, "description": "lazyText"},
        "mapKey": {"type": "object", "additionalProperties": ref("Leaf")},
        "deepKey": {"type": "object", "additionalProperties": {"type": "array", "items": {"anyOf": [DATED, NULL]}}},
        "taggedKey": ref("Tagged"),
        "taggedOrNullKey": {"oneOf": [ref("Tagged"), NULL]},
        "shapedKey": ref("Shaped"),
        "enumKey": ref("Enum"),
        "inlineEnumKey": {"enum": ["inlineOne", "inlineTwo", None, 3]},
        "constKey": {"const": "constText"},
        "inlineKey": obj("innerKey", innerKey=ref("Leaf"), innerText=STRING) | {"description": "inlineText"},
        "stringOrListKey": {"anyOf": [STRING, {"type": "array", "items": ref("Leaf")}]},
        "parentKey": ref("Whole"),
        "oldKey": STRING | {"deprecated": True, "description": "oldText"},
    }
    schemas = {
        "Leaf": leaf | {"title": "leafTitle", "description": "leafText"},
        "Whole": obj("textKey datedKey lazyKey", **everything) | {"description": "wholeText", "deprecated": True},
        "Tagged": tagged("tagKey", firstTag="First", earlierTag="First", secondTag="Second")
        | {"description": "taggedText"},
        "First": obj("tagKey", tagKey={"type": "string", "const": "firstTag"}, leaf=ref("Leaf")),
        "Second": obj("tagKey", tagKey={"type": "string", "const": "secondTag"}, second=ref("Tagged")),
        "Shaped": {
            "anyOf": [obj("shapeKey", shapeKey=STRING), obj("", otherKey=DATED), STRING],
            "description": "shapedText",
        },
        "Enum": {"type": "string", "enum": ["enumOne", "enumTwo"], "description": "enumText"},
        "Alias": ref("Leaf"),
        "Body": obj(
            "bodyKey", bodyKey=ref("Leaf"), bodyText=STRING | {"default": "bodyDefault"}, switchKey={"type": "boolean"}
        )
        | {"description": "bodyText"},
    }
    page = {
        "cursor": "leafKey",
        "item-key": ["identityKey"],
        "after": "afterQuery",
        "before": "beforeQuery",
        "limit": "limitQuery",
        "order": "orderQuery",
        "default-order": "asc",
        "cursor-order": "order",
        "limit-unit": "items",
        "post-filters": ["filterQuery"],
    }
    queries = [
        {"name": name, "in": "query", "style": "form", "description": f"{name}Text", "schema": STRING}
        for name in ("afterQuery", "beforeQuery", "limitQuery", "orderQuery", "filterQuery")
    ]
    more = [
        {"name": "enumQuery", "in": "query", "schema": ref("Enum"), "example": "queryExample"},
        {"name": "arrayQuery", "in": "query", "schema": {"type": "array", "items": {"enum": ["arrayOne", "arrayTwo"]}}},
        {
            "name": "defaultQuery",
            "in": "query",
            "schema": {"type": "integer", "default": 7, "minimum": 1, "maximum": 9},
        },
        {"name": "X-Header", "in": "header", "schema": {"enum": ["headerOne"]}, "deprecated": True},
        {"$ref": "#/components/parameters/SharedParameter"},
    ]
    listed = operation(
        "listed.one",
        tags=["listedTag"],
        summary="listedSummary",
        description="listedText",
        parameters=[*queries, *more],
        responses=responds({"type": "array", "items": ref("Whole")}),
        **{"x-letta-pagination": page, "x-letta-idempotency": "idempotent", "x-own": {"ownKey": "ownText"}},
    )
    streamed = operation(
        "streamed.one",
        requestBody={"$ref": "#/components/requestBodies/SharedBody"},
        responses={
            "200": {
                "description": "streamedText",
                "headers": {"X-Reply": {"description": "replyHeader", "schema": STRING}},
                "content": {
                    "application/json": {
                        "schema": ref("Whole"),
                        "examples": {"answerExample": {"value": "answerValue"}},
                    },
                    "text/event-stream": {"schema": ref("Tagged")},
                    "text/other": {"schema": STRING},
                },
                "links": {"answerLink": {"operationId": "linkOperation"}},
            },
            "404": {"$ref": "#/components/responses/SharedAnswer"},
        },
        callbacks={"callbackName": {"callbackPath": {"post": {"description": "callbackText"}}}},
        security=[{"securityName": ["securityScope"]}],
        deprecated=True,
        **{
            "x-letta-streaming": {
                "event": "#/components/schemas/Tagged",
                "stream-condition": "switchKey",
                "default": True,
                "terminator": "endText",
                "resume-operation": "streamed.one",
            }
        },
    )
    mapped = operation(
        "mapped.one",
        responses=responds({"type": "object", "additionalProperties": ref("Shaped")})
        | {"422": responds(ref("Body"))["200"]},
    )
    data = document(
        schemas,
        {
            "/listed/{pathParameter}": {
                "summary": "pathSummary",
                "parameters": [{"name": "pathParameter", "in": "path", "required": True, "schema": ref("Enum")}],
                "get": listed,
            },
            "/streamed": {"post": streamed},
            "/mapped": {"get": mapped},
        },
    )
    data["components"] |= {
        "parameters": {"SharedParameter": {"name": "sharedQuery", "in": "query", "schema": STRING}},
        "responses": {"SharedAnswer": responds(obj("", sharedAnswerKey=STRING))["200"]},
        "requestBodies": {"SharedBody": takes(ref("Body"))},
        "securitySchemes": {"securityName": {"type": "apiKey", "name": "securityHeader", "in": "header"}},
    }
    data["info"] |= {"description": "infoText", "license": {"name": "licenseName"}, "contact": {"email": "contactMail"}}
    return data | {
        "servers": [{"url": "serverAddress", "variables": {"serverVariable": {"default": "serverDefault"}}}],
        "tags": [{"name": "tagName", "description": "tagText"}],
        "webhooks": {"webhookName": {"post": {"description": "webhookText"}}},
        "x-all": ["allText"],
    }


def positions(data: dict[str, Any]) -> list[Position]:
    """Return every key and scalar value of a document."""
    return list(_positions(data, ()))


def _positions(node: Any, at: tuple[str | int, ...]) -> Iterator[Position]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(node, dict):
                yield (*at, key), "key"
            yield from _positions(value, (*at, key))
    else:
        yield at, "value"


def named(position: Position) -> str:
    """Return a position as a test id."""
    at, what = position
    return f"{what} #/{'/'.join(escape(str(part)) for part in at)}"


def with_text(data: dict[str, Any], position: Position, text: str) -> dict[str, Any]:
    """Return the document with a text in a position, and in each reference to the same name."""
    at, what = position
    owner: Any = data
    for key in at[:-1]:
        owner = owner[key]
    old = at[-1] if what == "key" else owner[at[-1]]
    if isinstance(old, str) and old not in VOCABULARY and (what == "value" or _is_name(data, at)):
        changed: dict[str, Any] = _renamed(data, old, text)
        return changed
    data = copy.deepcopy(data)
    owner = data
    for key in at[:-1]:
        owner = owner[key]
    if what == "value":
        owner[at[-1]] = text
    else:
        items = [(text if key == at[-1] else key, value) for key, value in owner.items()]
        owner.clear()
        owner.update(items)
    return data


_MAPS = (
    "properties",
    "schemas",
    "parameters",
    "responses",
    "requestBodies",
    "mapping",
    "securitySchemes",
)


def _is_name(data: dict[str, Any], at: tuple[str | int, ...]) -> bool:
    """Return whether a key is a name in the document rather than an OpenAPI keyword."""
    return len(at) > 1 and at[-2] in _MAPS


def _renamed(node: Any, old: str, new: str) -> Any:
    if isinstance(node, dict):
        return {_text(key, old, new): _renamed(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, old, new) for value in node]
    return _text(node, old, new) if isinstance(node, str) else node


def _text(text: str, old: str, new: str) -> str:
    if text == old:
        return new
    if text.startswith("#/components/") and text.rsplit("/", 1)[1] == old:
        return f"{text.rsplit('/', 1)[0]}/{escape(new)}"
    return text.replace(f"{{{old}}}", f"{{{new}}}") if text.startswith("/") else text
