"""Drives openapi-python-client with our templates: it lays out the package, of what we have read of the document."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, cast

from jinja2 import StrictUndefined
from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.parser.properties import Class
from openapi_python_client.strings import ClassName, PythonIdentifier

from codegen.document import Document
from codegen.faults import GeneratorFailure
from codegen.names import module_name
from codegen.package import PackageView

TEMPLATES = Path(__file__).parent / "templates"
RUNTIME = Path(__file__).parent / "runtime"
"""Modules that are copied into the output as they are."""


def open_project(document: Document, out: Path) -> Project:
    """Parses a prepared document with openapi-python-client.

    Raises:
        GeneratorFailure: it cannot parse it, or has any warning.
    """
    config = Config.from_sources(
        ConfigFile(
            post_hooks=[],
            literal_enums=True,
            use_path_prefixes_for_title_model_names=False,
            package_name_override="letta_api",
        ),
        MetaType.NONE,
        document_source=out,
        file_encoding="utf-8",
        overwrite=True,
        output_path=out,
    )
    data = GeneratorData.from_dict(_for_stock(document), config=config)
    if isinstance(data, GeneratorError):
        raise GeneratorFailure(_told([data]))
    project = Project(openapi=data, config=config, custom_template_path=TEMPLATES)
    errors = [e for c in data.endpoint_collections_by_tag.values() for e in c.parse_errors] + list(data.errors)
    if errors:
        raise GeneratorFailure(_told(errors))
    names = {_alias(n): name for n, name in enumerate(document.schemas)}
    for model in data.models:
        if name := names.get(model.class_info.name):
            # These types stand for names that are safe, as ours are; making one anew could spell it otherwise.
            model.class_info = Class(
                name=cast("ClassName", name), module_name=cast("PythonIdentifier", module_name(name))
            )
    return project


def _for_stock(document: Document) -> dict[str, Any]:
    """The operations and models of a document by the names that they have, and nothing else of it.

    Everything is read by us. openapi-python-client validates all that a document has, used or not: licenses, callbacks,
    security, what an answer is for; and it refuses some names, defaults and content types. No text of the document
    reaches it.
    """
    paths: dict[str, Any] = {}
    for n, operation in enumerate(document.operations()):
        # A path of its own for each operation: two of the same path would be one.
        paths[f"/{n}"] = {
            operation.method: {
                "operationId": module_name(operation.id),
                "tags": [module_name(tag) for tag in operation.data.get("tags", [])[:1]],
                "responses": {"200": {"description": ""}},
            }
        }
    models = [_alias(n) for n, schema in enumerate(document.schemas.values()) if "properties" in schema]
    schemas = {alias: {"type": "object", "title": alias, "properties": {}} for alias in models}
    return {
        "openapi": "3.1.0",
        "info": {"title": "", "version": ""},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _alias(number: int) -> str:
    """What a component is called while openapi-python-client looks at it, which respells names by rules of its own."""
    return f"Model{number}"


def _told(errors: list[Any]) -> str:
    lines = []
    for error in errors:
        data = getattr(error, "data", None)
        place = f" (in {data!r:.300})" if data is not None else ""
        lines.append(f"openapi-python-client: {error.header} {error.detail or ''}{place}".strip())
    return "\n".join(lines)


def build(project: Project, view: PackageView) -> None:
    """Writes the package: first what openapi-python-client's `build` writes through our templates, then our own files.

    Raises:
        GeneratorFailure: openapi-python-client names or drops something otherwise than we do, or reports anything.
    """
    project.openapi.models = [m for m in project.openapi.models if m.class_info.name in view.models]
    project.openapi.enums = []  # ours are aliases in one module
    _check_same(project, view)
    project.env.undefined = StrictUndefined
    project.env.globals.update(
        api=view,
        library=view.library,
        operations=view.operations,
        asked=view.asked,
        describe=lambda model: view.models[model.class_info.name],
        describe_endpoint=lambda endpoint: view.endpoints[module_name(endpoint.name)],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        errors = project.build()
    if errors:
        raise GeneratorFailure(_told(list(errors)))
    _write_ours(project, view)


def _write_ours(project: Project, view: PackageView) -> None:
    def write(name: str, template: str, **values: Any) -> None:
        text = project.env.get_template(template).render(**values)
        (project.package_dir / name).write_text(text, encoding="utf-8", newline="\n")

    write("decoding.py", "decoding.py.jinja")
    write("parts.py", "parts.py.jinja")
    if view.library.lazy:
        write("lists.py", "lists.py.jinja")
    write("_lazy.py", "lazy.py.jinja")
    write("enums.py", "enums.py.jinja")
    write("operations.py", "operations.py.jinja")
    if view.streams:
        write("streaming.py", "streaming.py.jinja")
        header = project.env.get_template("header.jinja").render()
        text = f"{header}\n{(RUNTIME / 'sse.py').read_text(encoding='utf-8')}"
        (project.package_dir / "sse.py").write_text(text, encoding="utf-8", newline="\n")
    (project.package_dir / "unions").mkdir()
    write("unions/__init__.py", "unions_init.py.jinja")
    for module, union in view.unions.items():
        write(f"unions/{module}.py", "union.py.jinja", it=union)
    (project.package_dir / "py.typed").touch()


def _check_same(project: Project, view: PackageView) -> None:
    """Whether openapi-python-client found just the models and operations that we found."""
    models = {m.class_info.name for m in project.openapi.models}
    if lost := sorted(view.models.keys() - models):
        raise GeneratorFailure(f"openapi-python-client has no model {', '.join(lost)}")
    collections = project.openapi.endpoint_collections_by_tag
    endpoints = [module_name(endpoint.name) for c in collections.values() for endpoint in c.endpoints]
    if sorted(endpoints) != sorted(view.endpoints):
        missing = sorted(view.endpoints.keys() ^ set(endpoints))
        raise GeneratorFailure(f"openapi-python-client has other operations than the document: {missing}")
