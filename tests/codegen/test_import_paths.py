"""The paths of public types: the rules, the extension `x-letta-types`, and the drift check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codegen.document import load
from codegen.errors import SpecError
from codegen.import_paths import Module, read_import_paths, write_import_paths
from codegen.pipeline import drift, generate, read

SPEC = Path(__file__).with_name("golden.yaml")


def paths(table: Any, *, lenient: bool = False) -> dict[str, Module]:
    """Return the modules of the golden document with a table."""
    data = load(SPEC)
    data["x-letta-types"] = table
    parsed = read(data)
    return read_import_paths(parsed.document, parsed.library, parsed.operations, lenient=lenient)


def group(*modules: object, **names: object) -> dict[str, Any]:
    """Return a table with one group of names."""
    return {"names": [{"modules": list(modules), "are": names}]}


def source_of(folder: Path, path: str) -> str:
    """Return the source of a written module."""
    return folder.joinpath(*path.split(".")).with_suffix(".py").read_text("utf-8")


def test_component_is_in_module_of_its_own() -> None:
    """Without a table, a component has a module with its helpers, and arguments have one by the operation's name."""
    found = paths({})
    assert set(found["pet"].names) == {"Pet", "UnknownPet", "pet_from_dict", "pet_from_json"}
    assert set(found["cat"].names) == {"Cat"}
    assert {"GadgetCreateParams", "GadgetsCreateParams"} <= set(found["gadget_create_params"].names)


def test_package_of_table_holds_component_and_its_typed_dict() -> None:
    """A component of a package is in it, and its TypedDict too."""
    found = paths({"packages": {"animals": ["Cat"]}})
    assert "animals.cat" in found
    assert "cat" not in found


@pytest.mark.parametrize(
    ("module", "expression", "line"),
    [
        ("zoo", "Cat", "from letta_api.models import Cat as Animal"),
        ("zoo", "list[Cat] | None", "Animal: TypeAlias = list[_Cat] | None"),
        ("zoo", "dict[str, object]", "Animal: TypeAlias = dict[str, object]"),
        ("far.zoo", "Pet", "from letta_api.unions import Pet as Animal"),
    ],
)
def test_expression_of_table_becomes_type(tmp_path: Path, module: str, expression: str, line: str) -> None:
    """A name of the table is an import or an alias."""
    write_import_paths(paths(group(module, Animal=expression)), tmp_path)
    assert line in source_of(tmp_path, module).splitlines()


def test_component_named_like_package_makes_way(tmp_path: Path) -> None:
    """A component whose module would hide a package has a module with another name, and is exported."""
    found = paths(group("cat.zoo", Animal="Dog"))
    assert set(found["cat_"].names) == {"Cat"}
    write_import_paths(found, tmp_path)
    assert (tmp_path / "cat" / "zoo.py").is_file()
    assert "from .cat_ import Cat as Cat" in (tmp_path / "__init__.pyi").read_text("utf-8")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "must be an object of packages and names"),
        ({"paths": {}}, "must be an object of packages and names"),
        ({"packages": []}, "packages: must be an object"),
        ({"packages": {"a b": []}}, "must be a list of components"),
        ({"packages": {"animals": "Cat"}}, "must be a list of components"),
        ({"names": {}}, "must be a list of groups"),
        ({"names": [{"modules": ["zoo"]}]}, "must have modules, a list, and are, an object"),
        ({"names": [{"modules": ["zoo"], "are": []}]}, "must be an object"),
        (group("../zoo", Animal="Cat"), "must be paths of modules"),
        (group("zoo", Animal="Dragon"), "names 'Dragon', which the package does not have"),
        (group("zoo", Animal="Cat()"), "must be a type"),
        (group("zoo", Animal="Cat\nimport os"), "must be a type"),
        (group("zoo", Animal="list['Cat']"), "must be a type"),
        (group("zoo", Animal="__import__('os')"), "must be a type"),
        (group("zoo", Animal="Cat.mro"), "must be a type"),
        (group("zoo", **{"a b": "Cat"}), "is not a name of a class"),
    ],
)
def test_invalid_table_raises_error_with_place(table: Any, message: str) -> None:
    """A table that is not valid is reported with its place, and nothing of it becomes code."""
    with pytest.raises(SpecError) as caught:
        paths(table)
    assert message in str(caught.value)
    assert caught.value.place.startswith("#/x-letta-types")


def test_lenient_table_skips_names_of_missing_components() -> None:
    """In lenient mode, names of components that are not supported are skipped."""
    assert "zoo" not in paths(group("zoo", Animal="Dragon"), lenient=True)


def test_drift_of_types_is_reported(tmp_path: Path) -> None:
    """Edited, missing and foreign modules of types are reported."""
    (tmp_path / "client" / "_async").mkdir(parents=True)
    (tmp_path / "client" / "_async" / "client.py").write_text('"""The client."""\n', "utf-8")
    out, resources, types = tmp_path / "api", tmp_path / "client" / "resources", tmp_path / "client" / "types"
    generate(SPEC, out, resources)
    assert (types / "manifest.json").is_file()
    assert drift(SPEC, out, resources) == []
    (types / "cat.py").unlink()
    (types / "dog.py").write_text('"""Edited."""\n', "utf-8")
    (types / "own.py").write_text('"""Own."""\n', "utf-8")
    assert drift(SPEC, out, resources) == [
        "types/cat.py: missing",
        "types/dog.py: differs",
        "types/own.py: not made by the generator",
    ]
