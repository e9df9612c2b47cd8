"""Mutations of a document: the verdict on each, and the rule of oasdiff (oasdiff.com) that it corresponds to.

Where the verdict differs from oasdiff's, the generated package is the reason: it decodes unknown literals and unknown
members of unions, and its modules, keywords and annotations take their names from the document.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from codegen.diff.change import READER, SENDER, Level
from codegen.diff.compare import compare
from codegen.pipeline import read
from tests.codegen.building import NULL, STRING, document, obj, operation, ref, responds, tagged, takes

Edit = Callable[[dict[str, Any]], Any]

CALLERS, READERS, BOTH = "breaking for callers", "breaking for readers", "breaking for both"
ADDITIVE, COSMETIC, NONE = "additive", "cosmetic", "none"

LIMITED = {
    "text": {"type": "string", "minLength": 2, "maxLength": 10, "pattern": "^a"},
    "count": {"type": "integer", "minimum": 1, "maximum": 10},
    "rows": {"type": "array", "items": STRING, "minItems": 1, "maxItems": 5},
}


def base() -> dict[str, Any]:
    """Return a document with an operation that covers every rule."""
    schemas = {
        "Widget": obj(
            "id text",
            id=STRING,
            **LIMITED,
            at={"type": "string", "format": "date-time"},
            word=STRING,
            note={"anyOf": [STRING, NULL]},
            size={"type": "number"},
            colour={"type": "string", "enum": ["red", "blue"]},
            pet=ref("Pet"),
            part={"anyOf": [STRING, {"type": "integer"}]},
        ),
        "Cat": obj("kind", kind={"const": "cat"}),
        "Dog": obj("kind", kind={"const": "dog"}),
        "Pet": tagged("kind", cat="Cat", dog="Dog"),
        "Send": obj(
            "name",
            name=STRING,
            **LIMITED,
            free=STRING,
            note={"anyOf": [STRING, NULL]},
            size={"type": "integer", "default": 1},
            mode={"type": "string", "enum": ["a", "b"]},
            pet=ref("Pet"),
            part={"anyOf": [STRING, {"type": "integer"}]},
        ),
    }
    parameters = [
        {"name": "id", "in": "path", "required": True, "schema": STRING},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
        {"name": "query", "in": "query", "schema": {"type": "string", "maxLength": 10}},
        {"name": "order", "in": "query", "schema": {"type": "string", "enum": ["asc", "desc"]}},
        {"name": "X-Trace", "in": "header", "schema": STRING},
    ]
    send = operation(
        "widgets.send", parameters=parameters, requestBody=takes(ref("Send")), responses=responds(ref("Widget"))
    )
    send["security"] = [{"key": []}]
    found = document(schemas, {"/widgets/{id}": {"post": send}, "/old": {"get": operation("widgets.old")}})
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    plain: dict[str, Any] = json.loads(json.dumps(found))  # no two places share an object
    return plain


def call(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(data["paths"].values()))["post"]
    return found


def schema(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: data["components"]["schemas"][name]


def update(find: Callable[[dict[str, Any]], Any], *path: str, **values: Any) -> Edit:
    """Return an edit of the values at a path; None removes a key."""

    def edit(data: dict[str, Any]) -> None:
        node = find(data)
        for part in path:
            node = node[part]
        for key, value in values.items():
            if value is None:
                del node[key]
            else:
                node[key] = value

    return edit


def body(key: str, /, **values: Any) -> Edit:
    return update(schema("Send"), "properties", key, **values)


def response(key: str, /, **values: Any) -> Edit:
    return update(schema("Widget"), "properties", key, **values)


def replace_sent(key: str, value: Any) -> Edit:
    return update(schema("Send"), "properties", **{key: value})


def replace_read(key: str, value: Any) -> Edit:
    return update(schema("Widget"), "properties", **{key: value})


def parameter(name: str, /, **values: Any) -> Edit:
    return update(lambda d: next(p for p in call(d)["parameters"] if p["name"] == name), **values)


def limit(name: str, /, **values: Any) -> Edit:
    return update(lambda d: next(p for p in call(d)["parameters"] if p["name"] == name)["schema"], **values)


def require(name: str, key: str, *, required: bool) -> Edit:
    def edit(data: dict[str, Any]) -> None:
        found = schema(name)(data)["required"]
        if required:
            found.append(key)
        else:
            found.remove(key)

    return edit


def add_parameter(**parts: Any) -> Edit:
    return lambda d: call(d)["parameters"].append({"name": "q", "in": "query", "schema": STRING, **parts})


def rename_path_parameter(data: dict[str, Any]) -> None:
    data["paths"] = {path.replace("{id}", "{widget_id}"): item for path, item in data["paths"].items()}
    call(data)["parameters"][0]["name"] = "widget_id"


def member(where: str, *, added: bool) -> Edit:
    """Return an edit that adds or removes a member of a request or response union."""

    def edit(data: dict[str, Any]) -> None:
        schemas = data["components"]["schemas"]
        schemas["Eel"] = obj("kind", kind={"const": "eel"})
        members = {"cat": "Cat", "dog": "Dog", "eel": "Eel"} if added else {"cat": "Cat"}
        schemas["Other"] = tagged("kind", **members)
        schemas[where]["properties"]["pet"] = ref("Other")

    return edit


def has_own_pets(data: dict[str, Any]) -> None:
    """Return the other side of the comparison for `member`, with the same names."""
    schemas = data["components"]["schemas"]
    schemas["Eel"] = obj("kind", kind={"const": "eel"})
    schemas["Other"] = tagged("kind", cat="Cat", dog="Dog")


def other_pets(where: str) -> Edit:
    def edit(data: dict[str, Any]) -> None:
        has_own_pets(data)
        schema(where)(data)["properties"]["pet"] = ref("Other")

    return edit


def headers(**found: Any) -> Edit:
    return lambda d: call(d)["responses"]["200"].update(headers=found)


HEADER = {"required": True, "schema": STRING}

# name: edit, verdict, rule of oasdiff, and what the base document is before it, where that is not `base()`
MUTATIONS: dict[str, tuple[Edit, str, str] | tuple[Edit, str, str, Edit]] = {
    # operations
    "an operation is added": (
        lambda d: d["paths"].update({"/n": {"get": operation("widgets.new")}}), ADDITIVE, "endpoint-added"),
    "an operation is removed": (lambda d: d["paths"].pop("/old"), BOTH, "api-path-removed-without-deprecation"),
    "an operation is deprecated": (update(call, deprecated=True), ADDITIVE, "endpoint-deprecated"),
    "an operation loses its deprecation": (
        update(call, deprecated=False), COSMETIC, "endpoint-reactivated", update(call, deprecated=True)),
    "an operationId changes": (update(call, operationId="widgets.put"), BOTH, "api-operation-id-removed"),
    "the first tag changes": (update(call, tags=["others"]), BOTH, "api-tag-removed"),
    "a tag goes before the first": (update(call, tags=["others", "widgets"]), BOTH, "api-tag-added"),
    "a tag goes behind the first": (update(call, tags=["widgets", "others"]), NONE, "api-tag-added"),
    "credentials are needed": (
        lambda d: d["paths"]["/old"]["get"].update(security=[{"key": []}]), CALLERS, "api-security-added"),
    "credentials are needed no more": (update(call, security=[]), ADDITIVE, "api-security-removed"),
    "a scope is needed": (update(call, security=[{"key": ["write"]}]), CALLERS, "api-security-scope-added"),
    # parameters
    "a required parameter is added": (add_parameter(required=True), CALLERS, "new-required-request-parameter"),
    "an optional parameter is added": (add_parameter(), ADDITIVE, "new-optional-request-parameter"),
    "a parameter is removed": (lambda d: call(d)["parameters"].pop(2), CALLERS, "request-parameter-removed"),
    "a path parameter is renamed": (rename_path_parameter, CALLERS, "new-request-path-parameter"),
    "a parameter becomes required": (parameter("query", required=True), CALLERS, "request-parameter-became-required"),
    "a parameter becomes optional": (
        parameter("query", required=False), ADDITIVE, "request-parameter-became-optional",
        parameter("query", required=True)),
    "a parameter is deprecated": (parameter("query", deprecated=True), ADDITIVE, "request-parameter-deprecated"),
    "a parameter's type changes": (limit("limit", type="string"), CALLERS, "request-parameter-type-changed"),
    "a parameter's type is generalized": (
        limit("limit", type="number"), ADDITIVE, "request-parameter-type-generalized"),
    "a parameter's default changes": (limit("limit", default=10), CALLERS, "request-parameter-default-value-changed"),
    "a parameter's default is added": (limit("query", default="x"), CALLERS, "request-parameter-default-value-added"),
    "a parameter's maximum is lowered": (limit("limit", maximum=50), CALLERS, "request-parameter-max-decreased"),
    "a parameter's maximum is raised": (limit("limit", maximum=500), ADDITIVE, "request-parameter-max-increased"),
    "a parameter's minimum is raised": (limit("limit", minimum=5), CALLERS, "request-parameter-min-increased"),
    "a parameter's minimum is lowered": (limit("limit", minimum=0), ADDITIVE, "request-parameter-min-decreased"),
    "a parameter's length is limited further": (
        limit("query", maxLength=5), CALLERS, "request-parameter-max-length-decreased"),
    "a header's length is limited": (limit("X-Trace", maxLength=5), CALLERS, "request-parameter-max-length-set"),
    "a parameter's pattern is added": (limit("query", pattern="^a"), CALLERS, "request-parameter-pattern-added"),
    "a literal of a parameter is removed": (
        limit("order", enum=["asc"]), CALLERS, "request-parameter-enum-value-removed"),
    "a literal of a parameter is added": (
        limit("order", enum=["asc", "desc", "x"]), ADDITIVE, "request-parameter-enum-value-added"),
    "a parameter takes literals only": (limit("query", enum=["a"]), CALLERS, "request-parameter-became-enum"),
    # bodies
    "a body becomes required": (
        update(call, "requestBody", required=True), CALLERS, "request-body-became-required",
        update(call, "requestBody", required=False)),
    "a body becomes optional": (update(call, "requestBody", required=False), ADDITIVE, "request-body-became-optional"),
    "a required body is added": (
        update(lambda d: d["paths"]["/old"]["get"], requestBody=takes(ref("Send"))), CALLERS,
        "request-body-added-required"),
    "a required field of the body is added": (
        lambda d: (replace_sent("x", STRING)(d), require("Send", "x", required=True)(d)), CALLERS,
        "new-required-request-property"),
    "an optional field of the body is added": (replace_sent("x", STRING), ADDITIVE, "new-optional-request-property"),
    "a field of the body is removed": (replace_sent("free", None), CALLERS, "request-property-removed"),
    "a field of the body becomes required": (
        require("Send", "free", required=True), CALLERS, "request-property-became-required"),
    "a field of the body becomes optional": (
        require("Send", "name", required=False), ADDITIVE, "request-property-became-optional"),
    "a field of the body stops being nullable": (
        replace_sent("note", STRING), CALLERS, "request-property-became-not-nullable"),
    "a field of the body becomes nullable": (
        replace_sent("free", {"anyOf": [STRING, NULL]}), ADDITIVE, "request-property-became-nullable"),
    "a field of the body takes instants": (body("free", format="date-time"), CALLERS, "request-property-type-changed"),
    "a field of the body takes a format only": (body("free", format="uuid"), CALLERS, "request-property-type-changed"),
    "a length in the body is raised": (body("text", minLength=3), CALLERS, "request-property-min-length-increased"),
    "a length in the body is lowered": (body("text", maxLength=5), CALLERS, "request-property-max-length-decreased"),
    "a maximum in the body is set": (body("size", maximum=9), CALLERS, "request-property-max-set"),
    "a bound in the body is loosened": (body("count", maximum=99), ADDITIVE, "request-property-max-increased"),
    "a list in the body needs more items": (body("rows", minItems=2), CALLERS, "request-property-min-items-increased"),
    "a list in the body takes fewer items": (
        body("rows", maxItems=4), CALLERS, "request-parameter-max-items-decreased"),
    "items of a list in the body get a pattern": (
        body("rows", items={**STRING, "pattern": "^x"}), CALLERS, "request-property-pattern-added"),
    "a pattern in the body changes": (body("text", pattern="^b"), CALLERS, "request-property-pattern-changed"),
    "a pattern in the body is generalized": (
        body("text", pattern=".*"), ADDITIVE, "request-property-pattern-generalized"),
    "a pattern in the body is removed": (body("text", pattern=None), ADDITIVE, "request-property-pattern-removed"),
    "a literal in the body is removed": (body("mode", enum=["a"]), CALLERS, "request-property-enum-value-removed"),
    "a literal in the body is added": (
        body("mode", enum=["a", "b", "c"]), ADDITIVE, "request-property-enum-value-added"),
    "an alternative in the body is removed": (replace_sent("part", STRING), CALLERS, "request-property-any-of-removed"),
    "a member of a sent union is removed": (
        member("Send", added=False), CALLERS, "request-property-one-of-removed", other_pets("Send")),
    "a member of a sent union is added": (
        member("Send", added=True), ADDITIVE, "request-property-one-of-added", other_pets("Send")),
    # responses
    "the successful status changes": (
        lambda d: call(d).update(responses={"201": call(d)["responses"]["200"]}), READERS,
        "response-success-status-removed"),
    "an error status is documented": (
        lambda d: call(d)["responses"].update({"404": {"description": "no"}}), COSMETIC,
        "response-non-success-status-added"),
    "the response is not JSON any more": (
        update(call, responses=responds(None)), READERS, "response-media-type-removed"
    ),
    "the response's type changes": (update(call, responses=responds(STRING)), READERS, "response-body-type-changed"),
    "the response becomes nullable": (
        update(call, responses=responds({"anyOf": [ref("Widget"), NULL]})), READERS, "response-body-became-nullable"),
    "a required field is removed": (
        lambda d: (replace_read("text", None)(d), require("Widget", "text", required=False)(d)), READERS,
        "response-required-property-removed"),
    "an optional field is removed": (replace_read("word", None), READERS, "response-optional-property-removed"),
    "a field is added": (replace_read("x", STRING), ADDITIVE, "response-optional-property-added"),
    "a field becomes optional": (
        require("Widget", "text", required=False), READERS, "response-property-became-optional"),
    "a field becomes required": (
        require("Widget", "word", required=True), ADDITIVE, "response-property-became-required"),
    "a field becomes nullable": (
        replace_read("id", {"anyOf": [STRING, NULL]}), READERS, "response-property-became-nullable"),
    "text becomes an instant": (response("word", format="date-time"), READERS, "response-property-type-changed"),
    "an instant becomes text": (response("at", format=None), READERS, "response-property-type-changed"),
    "an integer becomes a number": (response("count", type="number"), READERS, "response-property-type-changed"),
    "a number becomes an integer": (response("size", type="integer"), ADDITIVE, "response-property-type-changed"),
    "a literal is added": (
        response("colour", enum=["red", "blue", "x"]), ADDITIVE, "response-property-enum-value-added"
    ),
    "a literal is removed": (response("colour", enum=["red"]), COSMETIC, "response-property-enum-value-removed"),
    "a maximum is raised": (response("count", maximum=99), READERS, "response-property-max-increased"),
    "a minimum is lowered": (response("count", minimum=0), READERS, "response-property-min-decreased"),
    "a maximum length is removed": (
        response("text", maxLength=None), READERS, "response-property-max-length-unset"),
    "a minimum number of items is removed": (
        response("rows", minItems=None), READERS, "response-property-min-items-unset"),
    "a bound is tightened": (response("count", maximum=5), COSMETIC, "response-property-max-decreased"),
    "a pattern is removed": (response("text", pattern=None), READERS, "response-property-pattern-removed"),
    "an alternative is added": (
        replace_read("part", {"anyOf": [STRING, {"type": "integer"}, {"type": "boolean"}]}), READERS,
        "response-property-any-of-added"),
    "a member of a read union is added": (
        member("Widget", added=True), ADDITIVE, "response-property-one-of-added", other_pets("Widget")),
    "a member of a read union is removed": (
        member("Widget", added=False), READERS, "response-property-one-of-removed", other_pets("Widget")),
    "a default is documented": (response("word", default="x"), COSMETIC, "response-property-default-value-added"),
    "a header is promised no more": (
        lambda d: call(d)["responses"]["200"].pop("headers"), READERS, "required-response-header-removed",
        headers(**{"X-Id": HEADER})),
    "a header becomes optional": (
        headers(**{"X-Id": {"schema": STRING}}), READERS, "response-header-became-optional",
        headers(**{"X-Id": HEADER})),
    # nothing
    "a component is added that is not used": (
        lambda d: d["components"]["schemas"].update(New=obj("", x=STRING)), ADDITIVE, "api-schema-added"),
    "a component is removed that is not used": (
        lambda d: d["components"]["schemas"].pop("Apart"), READERS, "api-schema-removed",
        lambda d: d["components"]["schemas"].update(Apart=obj("", x=STRING))),
    "a description changes": (update(call, summary="Send."), COSMETIC, "none"),
    "an example changes": (response("word", examples=["x"]), NONE, "none"),
    "the version of the document changes": (lambda d: d["info"].update(version="2"), NONE, "none"),
}  # fmt: skip


def verdict(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return the roles that the differences of two documents affect."""
    found = compare(read(before), read(after))
    if not found:
        return NONE
    worst = [change for change in found if change.level is max(c.level for c in found)]
    if worst[0].level is not Level.BREAKING:
        return ADDITIVE if worst[0].level is Level.ADDITIVE else COSMETIC
    hits = {who for change in worst for who in change.hits}
    return {frozenset({SENDER}): CALLERS, frozenset({READER}): READERS}.get(frozenset(hits), BOTH)


@pytest.mark.parametrize("name", MUTATIONS)
def test_compare_mutation_reports_expected_verdict(name: str) -> None:
    """Each mutation is reported with the roles that it affects."""
    edit, wanted, _, *first = MUTATIONS[name]
    before = base()
    for prepare in first:
        prepare(before)
    after = copy.deepcopy(before)
    edit(after)
    assert after != before
    assert verdict(before, after) == wanted


def test_mutations_cover_documented_rules() -> None:
    """The number of mutations and rules is the documented one."""
    rules = {mutation[2] for mutation in MUTATIONS.values()} - {"none"}
    assert len(MUTATIONS) >= 60
    assert len(rules) >= 60
