"""Unions with many members, or whose members have many required properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.codegen.building import STRING, checked, document, imported, make, obj, operation, ref, responds

MEMBERS, PROPERTIES = 14, 70


def wide_union(*, tagged: bool) -> dict[str, Any]:
    """Return a document with a union of members that have many properties, or of many members with a constant."""
    schemas: dict[str, Any] = {}
    for n in range(150 if tagged else MEMBERS):
        own = {"kind": {"const": f"k{n}"}} if tagged else {f"m{n}_{i}": STRING for i in range(PROPERTIES)}
        schemas[f"M{n}"] = obj(" ".join(own), **own)
    schemas["One"] = {"oneOf": [ref(name) for name in schemas]}
    return document(schemas, {"/one": {"get": operation(responses=responds(ref("One")))}})


@pytest.mark.parametrize("tagged", [False, True])
def test_wide_union_decodes_each_member(tmp_path: Path, tagged: bool) -> None:
    """The required properties, or a constant one, select the member, and another value matches none."""
    data = wide_union(tagged=tagged)
    package, _ = make(data, tmp_path)
    with imported(package) as api:
        decode = api.unions.one.one_from_dict
        for name, schema in list(data["components"]["schemas"].items())[:-1]:
            value = {key: each.get("const", "x") for key, each in schema["properties"].items()}
            assert decode(value) == getattr(api.models, name)(**value)
            for key in list(value)[:3]:
                with pytest.raises((TypeError, api.errors.DecodeError)):
                    decode({**value, key: 1} if tagged else {k: each for k, each in value.items() if k != key})
        others: list[Any] = [[], "x"]
        for other in others:
            with pytest.raises(TypeError, match="matches no member"):
                decode(other)


@pytest.mark.stress
@pytest.mark.parametrize("tagged", [False, True])
def test_wide_union_is_type_checked(tmp_path: Path, tagged: bool) -> None:
    """The code of a wide union is not too complex for strict pyright."""
    package, _ = make(wide_union(tagged=tagged), tmp_path)
    checked("pyright", tmp_path, f"{package.name}/unions")
