"""Documents that are not understood, one fault each, with the place that the error must name."""

from __future__ import annotations

from typing import Any

from tests.codegen.building import NULL, STRING, answers, document, obj, operation, ref, takes


def body(schema: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return document({"A": obj("", a=STRING)}, {"/x": {"post": operation("a.b", requestBody=takes(schema), **parts)}})


def query(**parts: Any) -> dict[str, Any]:
    return document(
        paths={"/x": {"get": operation("a.b", parameters=[{"name": "q", "in": "query", "schema": STRING, **parts}])}}
    )


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown word": (document({"T": obj("", a={"if": STRING})}), "#/components/schemas/T/properties/a"),
    "unknown word of a component": (document({"T": obj("", a=STRING) | {"if": STRING}}), "#/components/schemas/T"),
    "no such type": (document({"T": obj("", a={"type": "strin"})}), "#/components/schemas/T/properties/a"),
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
    "allOf": (document({"T": {"allOf": [obj("", a=STRING), obj("", b=STRING)]}}), "#/components/schemas/T"),
    "closed object": (
        document({"T": obj("", a=STRING) | {"additionalProperties": False}}),
        "#/components/schemas/T/additionalProperties",
    ),
    "reference to nothing": (document({"T": obj("", a=ref("No"))}), "#/components/schemas/T/properties/a"),
    "reference elsewhere": (
        document({"T": obj("", a={"$ref": "other.yaml#/T"})}),
        "#/components/schemas/T/properties/a",
    ),
    "required and undeclared": (document({"T": obj("b", a=STRING)}), "#/components/schemas/T/required"),
    "inline, deep inside": (
        document({"T": obj("", a={"type": "array", "items": obj("", b=obj("", c={"not": {}}))})}),
        "#/components/schemas/T/properties/a/items/properties/b/properties/c",
    ),
    "members alike": (
        document({"A": obj("x", x=STRING), "B": obj("x y", x=STRING, y=STRING), "T": {"anyOf": [ref("A"), ref("B")]}}),
        "#/components/schemas/T/anyOf/0",
    ),
    "no mapping": (
        document({"A": obj("k", k={"const": "a"}), "T": {"oneOf": [ref("A")], "discriminator": {"propertyName": "k"}}}),
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
        "#/components/schemas/T/oneOf/0",
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
        "#/components/schemas/T/oneOf/0",
    ),
    "discriminator alone": (
        document({"T": obj("k", k=STRING) | {"discriminator": {"propertyName": "k"}}}),
        "#/components/schemas/T",
    ),
    "no such status": (
        document(paths={"/x": {"get": operation(responses={"200": {"description": ""}, "2000": {"description": ""}})}}),
        "#/paths/~1x/get/responses/2000",
    ),
    "union of itself": (
        document({"T": {"anyOf": [STRING, {"type": "array", "items": ref("T")}]}}),
        "#/components/schemas/T/anyOf/1/items",
    ),
    "alias of itself": (document({"T": ref("T"), "U": obj("", t=ref("T"))}), "#/components/schemas/T"),
    "null alone in a union": (document({"T": obj("", a={"anyOf": [NULL]})}), "#/components/schemas/T/properties/a"),
    "literal of a float": (document({"T": obj("", a={"const": 0.5})}), "#/components/schemas/T/properties/a"),
    "cookie": (query(**{"in": "cookie"}), "#/paths/~1x/get/parameters/0"),
    "deepObject": (query(style="deepObject"), "#/paths/~1x/get/parameters/0"),
    "spaceDelimited": (query(style="spaceDelimited"), "#/paths/~1x/get/parameters/0"),
    "pipeDelimited": (query(style="pipeDelimited"), "#/paths/~1x/get/parameters/0"),
    "not exploded": (query(explode=False, schema={"type": "array", "items": STRING}), "#/paths/~1x/get/parameters/0"),
    "object in a query": (query(schema={"type": "object"}), "#/paths/~1x/get/parameters/0"),
    "list in a header": (
        query(**{"in": "header"}, schema={"type": "array", "items": STRING}),
        "#/paths/~1x/get/parameters/0",
    ),
    "form": (
        document(paths={"/x": {"post": operation("a.b", requestBody={"content": {"multipart/form-data": {}}})}}),
        "#/paths/~1x/post/requestBody",
    ),
    "body that is no object": (body({"type": "array", "items": STRING}), "#/paths/~1x/post/requestBody"),
    "two answers": (
        body(ref("A"), responses=answers(STRING) | {"201": {"description": ""}}),
        "#/paths/~1x/post/responses",
    ),
    "events without facts": (
        body(ref("A"), responses={"200": {"description": "", "content": {"text/event-stream": {}}}}),
        "#/paths/~1x/post/responses/200/content/text~1event-stream",
    ),
    "no operationId": (document(paths={"/x": {"get": {"responses": {}}}}), "#/paths/~1x/get"),
    "operationId twice": (document(paths={"/x": {"get": operation()}, "/y": {"get": operation()}}), "#/paths/~1y/get"),
    "operationIds alike": (
        document(paths={"/x": {"get": operation("a.b")}, "/y": {"get": operation("a_b")}}),
        "#/paths/~1y/get",
    ),
    "argument twice": (
        document(
            {"A": obj("", q=STRING)},
            {
                "/x": {
                    "post": operation(
                        "a.b", requestBody=takes(ref("A")), parameters=[{"name": "q", "in": "query", "schema": STRING}]
                    )
                }
            },
        ),
        "#/paths/~1x/post",
    ),
    "placeholder without parameter": (document(paths={"/x/{id}": {"get": operation()}}), "#/paths/~1x~1{id}"),
    "dot segment": (document(paths={"/x/../y": {"get": operation()}}), "#/paths/~1x~1..~1y"),
    "unknown repeat": (
        document(paths={"/x": {"get": operation(**{"x-letta-repeat": "often"})}}),
        "#/paths/~1x/get/x-letta-repeat",
    ),
    "properties that are a list": (document({"T": {"properties": []}}), "#/components/schemas/T/properties"),
    "description that is a number": (
        document({"T": obj("", a=STRING | {"description": 5})}),
        "#/components/schemas/T/properties/a/description",
    ),
    "empty enum": (document({"T": obj("", a={"enum": []})}), "#/components/schemas/T/properties/a/enum"),
    "type that is a number": (document({"T": obj("", a={"type": 5})}), "#/components/schemas/T/properties/a/type"),
}
