"""The others: the published client, the stock generator's output, msgspec as the floor.

They are imported by name and untyped: a type checker needs none of them, and only who runs the benchmark installs them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from letta_api.model import Model, Unknown
from letta_api.structs import Discriminator

ROOT = Path(__file__).parents[2]


@cache
def construct() -> Any:
    """Return `construct_type` of letta-client, which it calls on the JSON of each response and event."""
    return import_module("letta_client._models").construct_type


@cache
def published(module: str, name: str) -> Any:
    """Return a type of letta-client."""
    return getattr(import_module(f"letta_client.types.{module}"), name)


@cache
def _stock_package() -> tempfile.TemporaryDirectory[str]:
    """Generate the stock output for our document in a directory on the import path."""
    directory = tempfile.TemporaryDirectory(prefix="stock-")
    config = Path(directory.name) / "config.yaml"
    config.write_text("post_hooks: []\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--config", str(config),
        "--path", str(ROOT / "spec" / "openapi.yaml"), "--output-path", str(Path(directory.name) / "stock_api"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not (Path(directory.name) / "stock_api" / "models").is_dir():
        raise RuntimeError(f"openapi-python-client made nothing: {done.stdout}{done.stderr}")
    sys.path.append(directory.name)
    return directory


def stock(module: str, name: str) -> Any:
    """Return a name of the stock output."""
    _stock_package()
    return getattr(import_module(f"stock_api.{module}"), name)


@cache
def _msgspec() -> Any:
    return import_module("msgspec")


@cache
def struct(model: Any) -> Any:
    """Return the msgspec Struct with the fields of a model: tagged by its literal, absent as None, unknown dropped."""
    names = vars(sys.modules[model.__module__])
    # Not get_type_hints: the hints of class variables need names that the module does not have.
    own = (a for a in attrs.fields(model) if not a.inherited)
    hints = {a.name: eval(str(a.type), names) for a in own}  # noqa: S307  (our own annotations)
    fields: list[Any] = []
    options: dict[str, Any] = {}
    for key, (name, required, decode) in model._field_table.items():
        if isinstance(decode, Discriminator):
            options |= {"tag_field": key, "tag": decode.value}
        elif required:
            fields.insert(0, (name, _floor(hints[name])))
        else:
            fields.append((name, _floor(hints[name] | None), None))
    return _msgspec().defstruct(f"{model.__name__}Struct", fields, kw_only=True, **options)


def _floor(hint: Any) -> Any:
    """Return a hint in msgspec's terms, or Any if msgspec cannot discriminate its members."""
    if isinstance(hint, type) and issubclass(hint, Model):
        subclass: Any = hint  # the hash that `Model` lacks is its instances', which mypy takes for its own
        return struct(subclass)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return str
    if origin is list:
        return list[_floor(arguments[0])]  # type: ignore[misc]  # made at run time
    if origin in (Union, UnionType):
        members = dict.fromkeys(_floor(a) for a in arguments if not _is_unknown(a))
        structs: list[Any] = [m for m in members if isinstance(m, type) and issubclass(m, _msgspec().Struct)]
        if len(structs) > 1 and any(s.__struct_config__.tag is None for s in structs):
            return Any
        return Union[tuple(members)]  # noqa: UP007  (of a tuple made at run time)
    return hint


def _is_unknown(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Unknown)


def floor_decoder(hint: Any) -> Any:
    """msgspec's decoder of JSON for a model, a list of models or a union."""
    return _msgspec().json.Decoder(_floor(hint)).decode
