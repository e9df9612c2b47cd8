"""Unsupported documents with one error each, and the place of that error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.codegen.building import STRING, document, obj, operation, ref, takes


def body(schema: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return document({"A": obj("", a=STRING)}, {"/x": {"post": operation("a.b", requestBody=takes(schema), **parts)}})


def query(**parts: Any) -> dict[str, Any]:
    return document(
        paths={"/x": {"get": operation("a.b", parameters=[{"name": "q", "in": "query", "schema": STRING, **parts}])}}
    )


def shared(kind: str, node: Any, refer: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return two operations that refer to a component, and one that does not."""
    parts = refer({"$ref": f"#/components/{kind}/Shared"})
    data = document(
        paths={"/x": {"post": operation("a.x", **parts), "put": operation("a.y", **parts), "get": operation("a.z")}}
    )
    data["components"][kind] = {"Shared": node}
    return data


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown word": (document({"T": obj("", a={"if": STRING})}), "#/components/schemas/T/properties/a/if"),
    "unknown word of a component": (document({"T": obj("", a=STRING) | {"if": STRING}}), "#/components/schemas/T/if"),
    "no such type": (document({"T": obj("", a={"type": "strin"})}), "#/components/schemas/T/properties/a/type"),
    "waiting array of scalars": (
        document({"T": obj("", a={"type": "array", "items": STRING, "x-letta-lazy": True})}),
        "#/components/schemas/T/properties/a/x-letta-lazy",
    ),
    "waiting array, no property": (
        document({"A": obj("", a=STRING), "T": {"type": "array", "items": ref("A"), "x-letta-lazy": True}}),
        "#/components/schemas/T/x-letta-lazy",
    ),
    "waiting array, said otherwise": (
        document({"A": obj("", a=STRING), "T": obj("", a={"type": "array", "items": ref("A"), "x-letta-lazy": "yes"})}),
        "#/components/schemas/T/properties/a/x-letta-lazy",
    ),
    "unknown keyword": (
        document({"T": obj("", a=STRING | {"descripton": "x"})}),
        "#/components/schemas/T/properties/a/descripton",
    ),
    "schema that nothing is valid by": (document({"T": obj("", a=False)}), "#/components/schemas/T/properties/a"),
    "component that nothing is valid by": (document({"T": False}), "#/components/schemas/T"),
    "shared response that refers to nothing": (
        shared("responses", {"$ref": "#/components/responses/No"}, lambda at: {"responses": {"200": at}}),
        "#/components/responses/Shared",
    ),
    "shared form of a string": (
        shared(
            "requestBodies", {"content": {"multipart/form-data": {"schema": STRING}}}, lambda at: {"requestBody": at}
        ),
        "#/components/requestBodies/Shared/content/multipart~1form-data",
    ),
    "shared parameter of another style": (
        shared(
            "parameters",
            {"name": "q", "in": "query", "required": True, "style": "deepObject", "schema": STRING},
            lambda at: {"parameters": [at]},
        ),
        "#/components/parameters/Shared",
    ),
    "body that refers to something else": (
        document(paths={"/x": {"post": operation(requestBody={"$ref": "#/info"})}}),
        "#/paths/~1x/post/requestBody",
    ),
    "allOf of a scalar": (
        document({"S": STRING, "T": {"allOf": [ref("S"), obj("", b=STRING)]}}),
        "#/components/schemas/T",
    ),
    "allOf that no value matches": (
        document({"T": obj("", a={"allOf": [{"type": "integer"}, STRING]})}),
        "#/components/schemas/T/properties/a",
    ),
    "map of itself beside scalars": (
        document({"T": {"anyOf": [STRING, {"type": "object", "additionalProperties": ref("T")}]}}),
        "#/components/schemas/T",
    ),
    "reference to nothing": (document({"T": obj("", a=ref("No"))}), "#/components/schemas/T/properties/a"),
    "component that refers to nothing": (
        document({"T": ref("No"), "U": obj("", t=ref("T"))}),
        "#/components/schemas/T",
    ),
    "reference elsewhere": (
        document({"T": obj("", a={"$ref": "other.yaml#/T"})}),
        "#/components/schemas/T/properties/a",
    ),
    "required and undeclared": (document({"T": obj("b", a=STRING)}), "#/components/schemas/T/required"),
    "inline, deep inside": (
        document({"T": obj("", a={"type": "array", "items": obj("", b=obj("", c={"not": {}}))})}),
        "#/components/schemas/T/properties/a/items/properties/b/properties/c/not",
    ),
    "no property": (
        document({"A": obj("k", k={"const": "a"}), "T": {"oneOf": [ref("A")], "discriminator": {}}}),
        "#/components/schemas/T/discriminator",
    ),
    "member without its tag": (
        document(
            {
                "A": obj("", x=STRING),
                "T": {
                    "oneOf": [ref("A")],
                    "discriminator": {"propertyName": "k", "mapping": {"a": "#/components/schemas/A"}},
                },
            }
        ),
        "#/components/schemas/T/discriminator",
    ),
    "tag sent elsewhere": (
        document(
            {
                "A": obj("", k={"const": "a"}),
                "T": {
                    "oneOf": [ref("A")],
                    "discriminator": {"propertyName": "k", "mapping": {"b": "#/components/schemas/A"}},
                },
            }
        ),
        "#/components/schemas/T/discriminator",
    ),
    "no such status": (
        document(paths={"/x": {"get": operation(responses={"200": {"description": ""}, "2000": {"description": ""}})}}),
        "#/paths/~1x/get/responses/2000",
    ),
    "union of itself": (
        document({"T": {"anyOf": [STRING, {"type": "array", "items": ref("T")}]}}),
        "#/components/schemas/T/anyOf/1",
    ),
    "alias of itself": (document({"T": ref("T"), "U": obj("", t=ref("T"))}), "#/components/schemas/T"),
    "null literal of a string": (
        document({"T": obj("", a={"type": "string", "const": None})}),
        "#/components/schemas/T/properties/a/const",
    ),
    "literal of a float": (document({"T": obj("", a={"const": 0.5})}), "#/components/schemas/T/properties/a"),
    "no such location": (query(**{"in": "body"}), "#/paths/~1x/get/parameters/0/in"),
    "name of a cookie": (query(**{"in": "cookie"}, name="a b"), "#/paths/~1x/get/parameters/0"),
    "style of a path": (query(style="matrix"), "#/paths/~1x/get/parameters/0"),
    "union of an object in a query": (
        query(schema={"anyOf": [STRING, {"type": "object"}]}),
        "#/paths/~1x/get/parameters/0",
    ),
    "array of objects in a query": (
        query(schema={"type": "array", "items": {"type": "object"}}),
        "#/paths/~1x/get/parameters/0",
    ),
    "style of another location": (query(**{"in": "header"}, style="form"), "#/paths/~1x/get/parameters/0"),
    "deepObject": (query(style="deepObject"), "#/paths/~1x/get/parameters/0"),
    "behind a header that has no effect": (
        document(
            paths={
                "/x": {
                    "get": operation(
                        parameters=[
                            {"name": "Accept", "in": "header", "schema": STRING},
                            {"name": "q", "in": "query", "schema": {"const": 0.5}},
                        ]
                    )
                }
            }
        ),
        "#/paths/~1x/get/parameters/1/schema",
    ),
    "form": (
        document(
            paths={
                "/x": {"post": operation("a.b", requestBody={"content": {"multipart/form-data": {"schema": STRING}}})}
            }
        ),
        "#/paths/~1x/post/requestBody/content/multipart~1form-data",
    ),
    "operationId twice": (document(paths={"/x": {"get": operation()}, "/y": {"get": operation()}}), "#/paths/~1y/get"),
    "operationIds alike": (
        document(paths={"/x": {"get": operation("a.b")}, "/y": {"get": operation("a_b")}}),
        "#/paths/~1y/get",
    ),
    "placeholder without parameter": (document(paths={"/x/{id}": {"get": operation()}}), "#/paths/~1x~1{id}/get"),
    "dot segment": (document(paths={"/x/../y": {"get": operation()}}), "#/paths/~1x~1..~1y"),
    "unknown resume-operation": (
        document(
            {"A": obj("", a=STRING)},
            {
                "/x": {
                    "get": operation(
                        responses={
                            "200": {"description": "", "content": {"text/event-stream": {"schema": ref("A")}}},
                        },
                    )
                    | {
                        "x-letta-streaming": {
                            "event": "#/components/schemas/A",
                            "terminator": "[DONE]",
                            "resume-operation": "none",
                        }
                    }
                }
            },
        ),
        "#/paths/~1x/get/x-letta-streaming",
    ),
    "unknown repeat": (
        document(paths={"/x": {"get": operation(**{"x-letta-idempotency": "often"})}}),
        "#/paths/~1x/get/x-letta-idempotency",
    ),
    "properties that are a list": (document({"T": {"properties": []}}), "#/components/schemas/T/properties"),
    "description that is a number": (
        document({"T": obj("", a=STRING | {"description": 5})}),
        "#/components/schemas/T/properties/a/description",
    ),
    "empty enum": (document({"T": obj("", a={"enum": []})}), "#/components/schemas/T/properties/a/enum"),
    "type that is a number": (document({"T": obj("", a={"type": 5})}), "#/components/schemas/T/properties/a/type"),
}
