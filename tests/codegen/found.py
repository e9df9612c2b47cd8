"""Features of third-party documents: redundant, alternative or harmlessly wrong parts."""

from __future__ import annotations

from typing import Any

from tests.codegen.building import NULL, STRING, document, obj, operation, ref, responds, tagged, takes
from tests.codegen.features import CAT, DATED, FEATURES, INSTANT, Feature

_STRINGS = (
    "byte binary date time duration date-time-local time-local uuid uuid4 uri url email ipv4 hostname decimal integer "
    "unixtime ulid password path regex json-pointer timestamp#with-zone not-known"
)
FORMATS = {
    "string": _STRINGS.split(),
    "integer": ["int32", "int64", "uint32", "unix-time", "date-time", "not-known"],
    "number": ["float", "double", "decimal", "date-time", "time", "time-delta", "unixtime", "not-known"],
}
"""Formats by type. All except `date-time` are documentation only."""


def _formats() -> dict[str, Any]:
    properties = {f"{kind} {name}": {"type": kind, "format": name} for kind, names in FORMATS.items() for name in names}
    widget = {"type": "object", "properties": properties | {"at": DATED, "any": {"format": "date-time"}}}
    holder = obj("", widget=ref("Widget"), **{name.replace(" ", "_"): each for name, each in properties.items()})
    send = operation("widgets.send", requestBody=takes(holder), responses=responds(ref("Widget")))
    return document({"Widget": widget}, {"/send": {"post": send}})


def _formats_values() -> list[Any]:
    values = {"string": "P1D", "integer": 7, "number": 0.5}
    widget = {f"{kind} {name}": values[kind] for kind, names in FORMATS.items() for name in names}
    return [widget | {"at": INSTANT, "any": [1]}, {}]


def _more_than_json() -> dict[str, Any]:
    """Return a body and a response with further content types beside JSON."""
    form = "application/x-www-form-urlencoded"
    send = operation(
        "widgets.send",
        requestBody={"content": {"application/json": {"schema": ref("Widget")}, form: {"schema": {"if": {}}}}},
        responses={
            "200": {
                "description": "ok",
                "content": {"text/csv": {"schema": {"not": {}}}, "application/json": {"schema": ref("Widget")}},
            }
        },
    )
    return document({"Widget": obj("", a=STRING)}, {"/send": {"post": send}})


def _unneeded() -> dict[str, Any]:
    """Return a document that is wrong only in parts that a client does not use."""
    get = operation(
        "widgets.get",
        responses={"200": {"content": {"application/json": {"schema": ref("Widget")}}}, "404": {"headers": {"x": 5}}},
        callbacks=[{"onDone": 5}],
        security=["everything"],
        servers="here",
        externalDocs=5,
        deprecated=False,
    )
    data = document({"Widget": obj("", a=STRING) | {"xml": 5, "externalDocs": [], "examples": 7}}, {"/x": {"get": get}})
    data["info"] = {"title": "T", "version": 3, "license": 5, "contact": [], "termsOfService": {}}
    data["components"] |= {
        "securitySchemes": {"key": {"type": "no such"}},
        "links": 5,
        "callbacks": [],
        "headers": None,
    }
    return data | {"servers": {"url": 5}, "tags": [{"name": 5}], "security": 5, "webhooks": 5, "jsonSchemaDialect": 5}


def _mutual() -> dict[str, Any]:
    """Return recursive unions of models, tagged and distinguished by shape, in arrays and alone."""
    many = {"type": "array", "items": ref("Pet")}
    schemas = {
        "Cat": obj("kind", kind={"const": "cat"}, items={"anyOf": [STRING, many]}, dated={"anyOf": [DATED, many]}),
        "Dog": obj("kind", kind={"const": "dog"}, other={"anyOf": [ref("Shaped"), many]}),
        "Eel": obj("kind", kind={"const": "eel"}, wide=ref("Wide")),
        "Pet": tagged("kind", cat="Cat", dog="Dog"),
        "Shaped": {"anyOf": [ref("Cat"), ref("Eel")]},
        "Wide": {
            "oneOf": [ref("Pet"), ref("Eel")],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {
                    "cat": "#/components/schemas/Pet",
                    "dog": "#/components/schemas/Pet",
                    "eel": "#/components/schemas/Eel",
                },
            },
        },
    }
    send = operation("widgets.send", requestBody=takes(ref("Cat")), responses=responds(ref("Wide")))
    return document(schemas, {"/send": {"post": send}})


def _bodies() -> dict[str, Any]:
    """Return bodies that are not objects, each of which is one argument."""
    bodies: dict[str, Any] = {
        "array": {"type": "array", "items": ref("Widget")},
        "string": STRING,
        "map": {"type": "object", "additionalProperties": ref("Widget")},
        "any": {},
        "null": {"anyOf": [{"type": "array", "items": DATED}, NULL]},
        "union": tagged("kind", cat="Cat", dog="Dog"),
        "inline": {"anyOf": [ref("Widget"), {"type": "array", "items": STRING}]},
    }
    kind = {"name": "body", "in": "query", "schema": STRING}
    sends = {
        f"/{name}": {
            "post": operation(f"widgets.{name}", requestBody=takes(each) | {"required": name < "m"}, parameters=[kind])
        }
        for name, each in bodies.items()
    }
    schemas = {"Widget": obj("at", at=DATED), "Cat": CAT, "Dog": obj("kind", kind={"const": "dog"}, at=DATED)}
    return document(schemas, sends)


def _one_name() -> dict[str, Any]:
    """Return arguments with equal names in all parts of a request."""
    places = {"path": STRING, "query": {"type": "integer"}, "header": {"type": "boolean"}}
    parameters = [{"name": "p", "in": at, "required": True, "schema": each} for at, each in places.items()]
    send = operation("widgets.send", parameters=parameters, requestBody=takes(obj("p", p={"type": "number"})))
    return document(paths={"/x/{p}": {"post": send}})


FOUND: dict[str, Feature] = {
    "bodies that are not one object": Feature(_bodies(), {"Widget": [{"at": INSTANT}]}),
    "arguments of one name": Feature(_one_name(), {}),
    "unions that hold each other": Feature(
        _mutual(),
        {
            "Wide": [
                {"kind": "cat", "items": [{"kind": "dog", "other": {"kind": "eel", "wide": {"kind": "dog"}}}]},
                {"kind": "eel", "wide": {"kind": "cat", "items": "x", "dated": [{"kind": "new"}]}},
                {"kind": "new"},
            ]
        },
    ),
    "formats": Feature(_formats(), {"Widget": _formats_values()}),
    "more than JSON": Feature(_more_than_json(), {"Widget": [{"a": "x"}]}),
    "what no client needs": Feature(_unneeded(), {"Widget": [{"a": "x"}]}),
    "closed objects": Feature(
        document(
            {
                "Widget": obj("id", id=STRING, inner=obj("", x=STRING) | {"additionalProperties": False})
                | {"additionalProperties": False},
                "Empty": {"type": "object", "additionalProperties": False},
                "Holder": obj("", empty=ref("Empty"), inline={"type": "object", "additionalProperties": False}),
            }
        ),
        {
            "Widget": [{"id": "a", "inner": {"x": "y", "new": 1}, "new": 2}],
            "Holder": [{"empty": {}, "inline": {"a": 1}}],
        },
    ),
    "one component by several names": Feature(
        document(
            {
                "Old": ref("New"),
                "Oldest": ref("Old") | {"description": "What it was called before."},
                "New": obj("x", x=STRING),
                "T": obj("", o=ref("Old"), p=ref("Oldest"), q={"type": "array", "items": ref("Old")}),
                "U": tagged("kind", cat="Feline"),
                "Feline": ref("Cat"),
                "Cat": CAT,
            }
        ),
        {"T": [{"o": {"x": "a"}, "p": {"x": "b"}, "q": [{"x": "c"}]}], "U": [{"kind": "cat", "name": "x"}]},
    ),
    "only null": Feature(
        document(
            {
                "Nothing": {"enum": [None], "description": "only null"},
                "Void": {"const": None},
                "Widget": obj("a", a=ref("Nothing"), b={"enum": [None]}, c=ref("Void"), d={"type": ["null"]}),
            },
            {
                "/x": {
                    "post": operation(
                        "widgets.send",
                        requestBody=takes(obj("a", a=ref("Nothing"), b={"enum": [None]}, c=ref("Void"))),
                        responses=responds(ref("Nothing")),
                    )
                }
            },
        ),
        {"Widget": [{"a": None}, {"a": None, "b": None, "c": None, "d": None}]},
    ),
    "any value, and booleans for schemas": Feature(
        document(
            {
                "Any": True,
                "Widget": obj(
                    "a",
                    a=True,
                    b={"type": "array", "items": True},
                    c={"additionalProperties": True},
                    d=ref("Any"),
                    e={"anyOf": [True, NULL]},
                ),
            },
            {"/x": {"post": operation("widgets.send", requestBody=takes(obj("a", a=True)), responses=responds(True))}},
        ),
        {"Widget": [{"a": [None], "b": [1, "x"], "c": {"x": 1}, "d": 5, "e": {}}, {"a": None, "e": None}]},
    ),
    "constraints beside properties": Feature(
        document(
            {
                "T": {
                    "type": "object",
                    "properties": {"id": STRING, "when": DATED},
                    "anyOf": [{"required": ["id"]}, {"required": ["when"]}],
                    "allOf": [{"not": {"required": ["id", "when"]}}],
                    "dependentRequired": {"id": ["when"]},
                    "unevaluatedProperties": False,
                    "propertyNames": {"minLength": 1},
                },
                "U": obj(
                    "", t=ref("T"), w={"allOf": [STRING], "format": "date-time"}, v=STRING | {"contentEncoding": "x"}
                ),
            }
        ),
        {"U": [{"t": {"when": INSTANT}, "w": INSTANT, "v": "x"}]},
    ),
}

ALL: dict[str, Feature] = FEATURES | FOUND
