"""One small document for each OpenAPI feature, with values that must round-trip."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.codegen.building import NULL, STRING, Schema, document, obj, operation, ref, responds, tagged, takes


class Feature(NamedTuple):
    """A document with JSON values of its components."""

    data: dict[str, Any]
    values: dict[str, list[Any]]


INSTANT = "2026-11-23T07:47:30+00:00"
CAT = obj("kind name", kind={"type": "string", "const": "cat"}, name=STRING)
DOG = obj("bark", kind={"type": "string", "const": "dog"}, bark={"type": "integer"})
DATED: Schema = {"type": "string", "format": "date-time"}

_AWKWARD = (
    "to_dict from_dict to_json from_json fields_set extra_fields self cls data value list str int float "
    "bool dict datetime Any Literal ClassVar FieldTable Mapping Self Model Discriminator ABSENT DECODE_ERRORS "
    "define classmethod super len None True class def import from in is lambda async await match type _ _extra "
    "_field_table _absent __class__ __init__ __slots__ __dict__ x-y x.y x/y 1st $ref 2 print object property "
    "field Widget other item key raw reason "
)
AWKWARD = _AWKWARD.split()
"""Names that Python or the generated code uses."""

UNICODE = ["naïve", "größe", "名前", "имя", "ﬁeld", "e\u0301", "²", "٣", "🦆", "a b", "日本-語"]


def _awkward(names: list[str]) -> Schema:
    kinds: list[Schema] = [
        STRING,
        {"type": "array", "items": STRING},
        DATED,
        {},
        {"type": "object"},
        {"type": "integer"},
    ]
    return obj(" ".join(n for n in names[::3] if " " not in n), **{n: kinds[i % 6] for i, n in enumerate(names)})


def _awkward_values(names: list[str]) -> list[Any]:
    kinds: list[Any] = ["x", ["x"], INSTANT, {"a": [None]}, {"b": 1}, 7]
    full = {name: kinds[i % 6] for i, name in enumerate(names)}
    required = {name: full[name] for name in names[::3]}
    return [full, {**required, **{n: full[n] for n in names if " " in n}}]


def _every_parameter() -> dict[str, Any]:
    array = {"type": "array", "items": STRING}
    parameters = [
        {"name": "widget-id", "in": "path", "required": True, "schema": STRING},
        {"name": "class", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "q", "in": "query", "schema": STRING},
        {"name": "needed", "in": "query", "required": True, "schema": {"type": "integer"}},
        {"name": "many", "in": "query", "style": "form", "explode": True, "schema": array},
        {"name": "since", "in": "query", "schema": DATED},
        {"name": "from", "in": "query", "schema": {"anyOf": [STRING, NULL]}},
        {"name": "str", "in": "query", "schema": {"type": "boolean", "default": True}},
        {"name": "which", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}},
        {"name": "either", "in": "query", "schema": {"anyOf": [STRING, array]}},
        {"name": "X-Request-Id", "in": "header", "schema": STRING},
        {"name": "X-Count", "in": "header", "required": True, "schema": {"type": "integer"}},
        {"name": "client", "in": "query", "schema": STRING},
        {"name": "Request", "in": "query", "schema": STRING},
    ]
    item = {"parameters": parameters[:2], "get": operation("widgets.find", parameters=parameters[2:])}
    return document(paths={"/widgets/{widget-id}/of/{class}/": item})


def _sent_models() -> dict[str, Any]:
    """Return a request with models in every place, under names that may collide."""
    awkward = {"x-y": ref("Cat"), "class": {"type": "array", "items": ref("Pet")}}
    schemas: dict[str, Any] = {
        "Cat": CAT,
        "Dog": DOG,
        "Pet": tagged("kind", cat="Cat", dog="Dog"),
        "Tree": obj("", children={"type": "array", "items": ref("Tree")}, either={"anyOf": [ref("Leaf"), NULL]}),
        "Leaf": {"anyOf": [STRING, {"type": "array", "items": ref("Tree")}]},
        "Awkward": {**obj("x-y"), "properties": awkward},
        "CatLike": obj("like", like={"enum": ["CatParam", "DogParam"]}, models=ref("Models")),
        "Models": obj("models", models={"type": "object", "additionalProperties": ref("Dog")}),
        "Empty": obj(),
    }
    body = {name.lower(): ref(name) for name in schemas}
    send = operation("widgets.send", requestBody=takes(obj("cat tree", **body)), responses=responds(ref("Cat")))
    return document(schemas, {"/send": {"post": send}})


def _events() -> dict[str, Any]:
    facts = {
        "event": "#/components/schemas/Event",
        "stream-condition": "stream",
        "default": True,
        "terminator": "[DONE]",
        "resume-operation": "widgets.send",
    }
    content = {
        "application/json": {"schema": {"type": "array", "items": ref("Event")}},
        "text/event-stream": {"schema": ref("Event")},
    }
    send = operation(
        "widgets.send",
        requestBody=takes(ref("Send")),
        responses={"200": {"description": "ok", "content": content}},
        **{"x-letta-streaming": facts},
    )
    only = operation(
        "widgets.watch",
        responses={"200": {"description": "ok", "content": {"text/event-stream": {"schema": ref("Event")}}}},
        **{"x-letta-streaming": {"event": facts["event"], "terminator": "[DONE]", "resume-operation": "widgets.watch"}},
    )
    schemas = {
        "Cat": CAT,
        "Dog": DOG,
        "Event": tagged("kind", cat="Cat", dog="Dog"),
        "Send": obj("stream", stream={"type": "boolean"}),
    }
    return document(schemas, {"/send": {"post": send}, "/watch": {"get": only}})


FEATURES: dict[str, Feature] = {
    "plain object": Feature(
        document(
            {"Widget": obj("id", id=STRING, size={"type": "integer"}, ratio={"type": "number"}, on={"type": "boolean"})}
        ),
        {"Widget": [{"id": "a"}, {"id": "a", "size": 1, "ratio": 0.5, "on": False}, {"id": "", "new": {"x": [1]}}]},
    ),
    "nullable": Feature(
        document(
            {
                "Widget": obj(
                    "a b",
                    a={"type": ["string", "null"]},
                    b={"anyOf": [ref("Part"), NULL]},
                    c={"oneOf": [NULL, {"type": "array", "items": ref("Part")}]},
                    d={"anyOf": [DATED, NULL]},
                    e={"enum": ["x", None]},
                    f={"type": "array", "items": {"anyOf": [DATED, NULL]}},
                    g=NULL,
                ),
                "Part": obj("id", id=STRING),
            }
        ),
        {
            "Widget": [
                {"a": None, "b": None},
                {
                    "a": "",
                    "b": {"id": "p"},
                    "c": [{"id": "q"}],
                    "d": INSTANT,
                    "e": None,
                    "f": [INSTANT, None],
                    "g": None,
                },
                {"a": None, "b": None, "c": None, "d": None},
            ]
        },
    ),
    "instants": Feature(
        document(
            {
                "Widget": obj(
                    "at",
                    at=DATED,
                    on={"type": "string", "format": "date"},
                    by={"type": "object", "additionalProperties": DATED},
                )
            }
        ),
        {"Widget": [{"at": INSTANT, "on": "2026-01-02", "by": {"x": INSTANT}}]},
    ),
    "enum": Feature(
        document(
            {
                "Colour": {"type": "string", "enum": ["red", "light blue", "3", "None", "a|b", "]"]},
                "Level": {"type": "integer", "enum": [1, 2]},
                "Widget": obj(
                    "c", c=ref("Colour"), d={"anyOf": [ref("Colour"), NULL]}, e=ref("Level"), f={"enum": ["x", "y"]}
                ),
            }
        ),
        {
            "Widget": [
                {"c": "red", "d": None, "e": 1, "f": "x"},
                {"c": "ultraviolet", "d": "infrared", "e": 3, "f": "z"},
            ]
        },
    ),
    "literals": Feature(
        document(
            {
                "Widget": obj(
                    "a", a={"const": "a | b"}, b={"const": 5}, c={"const": True}, d={"enum": ["x | y", "x | z"]}
                )
            }
        ),
        {"Widget": [{"a": "a | b"}, {"a": "a | b", "b": 5, "c": True, "d": "x | z"}]},
    ),
    "free-form map": Feature(
        document(
            {
                "Bag": {"type": "object", "additionalProperties": {"type": "integer"}},
                "Widget": obj(
                    "",
                    any={"type": "object"},
                    open={"type": "object", "additionalProperties": True},
                    counts={"type": "object", "additionalProperties": {"type": "integer"}},
                    parts={"type": "object", "additionalProperties": ref("Widget")},
                    deep={
                        "type": "object",
                        "additionalProperties": {"type": "array", "items": {"anyOf": [ref("Widget"), NULL]}},
                    },
                    bag=ref("Bag"),
                ),
            }
        ),
        {
            "Widget": [
                {},
                {
                    "any": {"x": None},
                    "open": {},
                    "counts": {"": 1},
                    "parts": {"a": {}, "b": {"z": 1}},
                    "deep": {"k": [None, {}]},
                    "bag": {"n": 1},
                },
            ]
        },
    ),
    "tagged union": Feature(
        document(
            {
                "Cat": CAT,
                "Dog": DOG,
                "Pet": tagged("kind", cat="Cat", dog="Dog", hound="Dog"),
                "Home": obj("pet", pet=ref("Pet")),
            }
        ),
        {
            "Pet": [
                {"kind": "cat", "name": "x"},
                {"kind": "dog", "bark": 1},
                {"kind": "hound", "bark": 1},
                {"kind": "eel"},
                {},
                {"kind": "cat"},
            ],
            "Home": [{"pet": {"kind": "hound", "bark": 2}}, {"pet": {"kind": []}}, {"pet": None}],
        },
    ),
    "nested union": Feature(
        document(
            {
                "Cat": CAT,
                "Dog": DOG,
                "Eel": obj("kind", kind={"type": "string", "const": "eel"}),
                "Pet": tagged("kind", cat="Cat", dog="Dog"),
                "Animal": tagged("kind", eel="Eel", cat="Pet", dog="Pet"),
                "Reply": {"anyOf": [STRING, {"type": "array", "items": ref("Animal")}, ref("Animal")]},
                "Widget": obj("a", a=ref("Reply"), b={"anyOf": [ref("Reply"), NULL]}),
            }
        ),
        {
            "Animal": [{"kind": "eel"}, {"kind": "cat", "name": "c"}, {"kind": "bat"}],
            "Reply": ["text", [{"kind": "eel"}, {"kind": "dog", "bark": 1}, 5], {"kind": "cat", "name": ""}],
            "Widget": [{"a": "x"}, {"a": [], "b": None}, {"a": {"kind": "eel"}, "b": [{"kind": "eel"}]}],
        },
    ),
    "untagged union": Feature(
        document(
            {
                "Whole": obj("a b", a=STRING, b=STRING),
                "Half": obj("a", a=STRING, c={"type": "integer"}),
                "Rest": obj("", z=DATED),
                "Some": {
                    "anyOf": [
                        ref("Whole"),
                        ref("Half"),
                        ref("Rest"),
                        STRING,
                        {"type": "integer"},
                        {"type": "array", "items": ref("Rest")},
                    ]
                },
                "Cat": CAT,
                "Dog": DOG,
                "ByLiteral": {"anyOf": [ref("Cat"), ref("Dog")]},
                "Widget": obj("s", s=ref("Some"), t={"anyOf": [ref("ByLiteral"), NULL]}),
            }
        ),
        {
            "Some": [{"a": "1", "b": "2"}, {"a": "1"}, {"a": 1, "z": INSTANT}, {}, "x", 3, [{}, {"z": INSTANT}]],
            "ByLiteral": [{"kind": "dog", "bark": 1}, {"kind": "cat", "name": "n"}],
            "Widget": [{"s": 5, "t": None}, {"s": [], "t": {"kind": "cat", "name": ""}}],
        },
    ),
    "union that msgspec decodes": Feature(
        document(
            {
                "Whole": obj("b a", a=STRING, b=STRING),
                "Piece": obj("", a={"type": ["string", "null"]}, b={"type": ["string", "null"], "title": "B"}),
                "Other": obj("", a=STRING, b=STRING),
                "Call": {"anyOf": [ref("Whole"), ref("Piece")]},
                "Calls": {"anyOf": [{"type": "array", "items": ref("Whole")}, STRING, ref("Piece")]},
                "Same": {"anyOf": [ref("Piece"), ref("Other")]},
                "Cat": CAT,
                "Dog": DOG,
                "Nest": obj("", parts=ref("Parts")),
                "Pet": tagged("kind", cat="Cat", dog="Dog"),
                "Den": obj("kind", kind={"type": "string", "const": "den"}, parts=ref("Parts")),
                "Place": tagged("kind", den="Den", cat="Cat"),
                "Parts": {"anyOf": [{"type": "array", "items": ref("Place")}, ref("Nest"), STRING]},
                "Pets": {"anyOf": [STRING, {"type": "array", "items": ref("Pet")}]},
                "Widget": obj("c", c=ref("Call"), d={"anyOf": [ref("Calls"), NULL]}, e=ref("Same"), f=ref("Pets")),
            }
        ),
        {
            "Widget": [
                {"c": {"a": "1", "b": "2"}, "d": [{"a": "1", "b": "2", "x": 3}], "e": {"a": "1"}, "f": "text"},
                {
                    "c": {"a": "1"},
                    "d": {"b": None},
                    "e": {"b": None},
                    "f": [{"kind": "dog", "bark": 1}, {"kind": "eel"}],
                },
                {"c": {"b": "2", "x": []}, "d": "text", "e": {}, "f": []},
                {"c": {"a": None, "b": "2"}, "d": None, "e": {"x": 1}},
                {"c": {"a": 1, "b": [2]}},
            ],
            "Den": [{"kind": "den", "parts": [{"kind": "den", "parts": {"parts": "x"}}, {"kind": "cat", "name": "c"}]}],
            "Nest": [{}, {"parts": {"parts": []}}, {"parts": [{"kind": "eel"}]}],
        },
    ),
    "array of unions": Feature(
        document(
            {
                "Cat": CAT,
                "Dog": DOG,
                "Pet": tagged("kind", cat="Cat", dog="Dog"),
                "Widget": obj(
                    "pets",
                    pets={"type": "array", "items": ref("Pet")},
                    rows={"type": "array", "items": {"type": "array", "items": {"anyOf": [ref("Pet"), NULL]}}},
                ),
            }
        ),
        {
            "Widget": [
                {"pets": []},
                {
                    "pets": [{"kind": "cat", "name": "x"}, {"kind": "?"}, 1],
                    "rows": [[], [None, {"kind": "dog", "bark": 1}]],
                },
            ]
        },
    ),
    "recursion": Feature(
        document(
            {
                "Tree": obj(
                    "id",
                    id=STRING,
                    children={"type": "array", "items": ref("Tree")},
                    parent={"anyOf": [ref("Tree"), NULL]},
                ),
                "A": obj("", b=ref("B"), when=DATED),
                "B": obj("", c=ref("C")),
                "C": obj("", a={"anyOf": [ref("A"), NULL]}, node=ref("Node")),
                "Leaf": obj("kind", kind={"const": "leaf"}),
                "Branch": obj("kind of", kind={"const": "branch"}, of={"type": "array", "items": ref("Node")}),
                "Node": tagged("kind", leaf="Leaf", branch="Branch"),
            }
        ),
        {
            "Tree": [{"id": "1", "children": [{"id": "2", "children": []}], "parent": {"id": "0"}}],
            "A": [
                {
                    "b": {
                        "c": {
                            "a": {"b": {}},
                            "node": {"kind": "branch", "of": [{"kind": "leaf"}, {"kind": "branch", "of": []}]},
                        }
                    },
                    "when": INSTANT,
                }
            ],
        },
    ),
    "inline objects": Feature(
        document(
            {
                "Widget": obj(
                    "in",
                    **{
                        "in": obj("x", x=obj("y", y={"type": "array", "items": obj("z", z=DATED)})),
                        "maybe": {"anyOf": [obj("a", a=STRING), NULL]},
                        "either": {"anyOf": [obj("a", a=STRING), STRING]},
                        "map": {"type": "object", "additionalProperties": obj("", n={"type": "integer"})},
                    },
                ),
                "WidgetIn": obj("", taken={"type": "boolean"}),
            },
            {
                "/x": {
                    "post": operation(
                        "x.send",
                        requestBody=takes(obj("a", a=obj("b", b=STRING))),
                        responses=responds(obj("c", c=STRING)),
                    )
                }
            },
        ),
        {
            "Widget": [
                {"in": {"x": {"y": [{"z": INSTANT}]}}},
                {"in": {"x": {"y": []}}, "maybe": {"a": "1"}, "either": {"a": "1"}, "map": {"k": {"n": 1}}},
                {"in": {"x": {"y": []}}, "maybe": None, "either": "text"},
            ]
        },
    ),
    "awkward names": Feature(document({"Widget": _awkward(AWKWARD)}), {"Widget": _awkward_values(AWKWARD)}),
    "unicode names": Feature(
        document({"Größe": _awkward(UNICODE), "名前": obj("", x=ref("Größe")), "a.b-c d": obj("", y=ref("名前"))}),
        {"Größe": _awkward_values(UNICODE)},
    ),
    "names that end up alike": Feature(
        document(
            {
                "foo_bar": obj("", a=STRING),
                "FooBar": obj("", b=ref("foo_bar")),
                "foo-bar": obj("", c=ref("FooBar"), d=ref("foo.bar")),
                "foo.bar": obj("", e=DATED),
                "Model": obj("", x=STRING),
                "Any": obj("", x=ref("Model")),
                "Mapping": obj("", a_b=STRING, **{"a-b": STRING, "a.b": STRING}),
                "Datetime": obj("", at=DATED, any=ref("Any")),
                "UnknownPet": obj("", x=ref("Mapping")),
                "Cat": CAT,
                "Pet": tagged("kind", cat="Cat"),
            }
        ),
        {
            "foo-bar": [{"c": {"b": {"a": "x"}}, "d": {"e": INSTANT}}],
            "Mapping": [{"a_b": "1", "a-b": "2", "a.b": "3"}],
            "Datetime": [{"at": INSTANT, "any": {"x": {"x": "y"}}}],
        },
    ),
    "parameters": Feature(_every_parameter(), {}),
    "models that are sent": Feature(
        _sent_models(),
        {
            "Awkward": [{"x-y": {"kind": "cat", "name": "x"}, "class": [{"kind": "dog", "bark": 1}]}],
            "Tree": [{"children": [{"children": []}], "either": [{}]}, {"either": "leaf"}],
            "CatLike": [{"like": "CatParam", "models": {"models": {"a": {"kind": "dog", "bark": 1}}}}],
        },
    ),
    "event streams": Feature(_events(), {"Event": [{"kind": "cat", "name": "x"}, {"kind": "?"}]}),
    "responses": Feature(
        document(
            {"Widget": obj("id", id=STRING)},
            {
                "/none": {"delete": operation("a.none", responses={"204": {"description": "gone"}})},
                "/text": {"get": operation("a.text", responses=responds(STRING))},
                "/many": {"get": operation("a.many", responses=responds({"type": "array", "items": ref("Widget")}))},
                "/maybe": {"get": operation("a.maybe", responses=responds({"anyOf": [ref("Widget"), NULL]}))},
                "/map": {
                    "get": operation(
                        "a.map", responses=responds({"type": "object", "additionalProperties": ref("Widget")})
                    )
                },
                "/any": {"get": operation("a.any")},
            },
        ),
        {},
    ),
}
