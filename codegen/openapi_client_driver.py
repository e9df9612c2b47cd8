"""Renders the package with openapi-python-client's `Project` and the templates of this generator."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from attrs import evolve
from jinja2 import StrictUndefined
from openapi_python_client import Project

from codegen.errors import GeneratorFailure
from codegen.names import module_name
from codegen.package import PackageView
from codegen.parser import Parsed

TEMPLATES = Path(__file__).parent / "templates"
RUNTIME = Path(__file__).parent / "runtime"
"""The runtime modules, which do not depend on the document."""

ALWAYS = (
    *("_lazy", "attributes", "compiled_decoders", "dump", "instants", "json_values", "learned_fields", "model"),
    *("operation", "pydantic_methods", "pydantic_schemas", "structs"),
)
"""Runtime modules of every package that `Project` does not write."""


def open_project(parsed: Parsed, out: Path) -> Project:
    """Return the project that renders a parsed document into a folder."""
    return Project(openapi=parsed.data, config=evolve(parsed.config, output_path=out), custom_template_path=TEMPLATES)


def build(project: Project, view: PackageView) -> None:
    """Write the package: the files of `Project.build`, then the additional files.

    Raises:
        GeneratorFailure: If openapi-python-client reports an error or a warning.
    """
    # Inline objects without properties are dicts, and enums are aliases in one module.
    project.openapi.models = [m for m in project.openapi.models if str(m.class_info.name) in view.models]
    project.openapi.enums = []
    project.env.undefined = StrictUndefined
    project.env.globals.update(
        api=view,
        library=view.library,
        runtime=_runtime,
        operations=view.operations,
        describe=lambda model: view.models[str(model.class_info.name)],
        describe_endpoint=lambda endpoint: view.endpoints[module_name(str(endpoint.name))],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        errors = project.build()
    if errors:
        raise GeneratorFailure("\n".join(f"openapi-python-client: {e.header} {e.detail or ''}".strip() for e in errors))
    _write_ours(project, view)


def _write_ours(project: Project, view: PackageView) -> None:
    def write(name: str, template: str, **values: Any) -> None:
        text = project.env.get_template(template).render(**values)
        (project.package_dir / name).write_text(text, encoding="utf-8", newline="\n")

    matching = ("matching",) if view.has_matching else ()
    styles = ("styles",) if view.has_styles else ()
    bodies = ("bodies",) if view.has_bodies else ()
    lazy = ("lazy_list",) if view.library.lazy else ()
    streams = ("sse", "streaming") if view.streams else ()
    for module in (*ALWAYS, *matching, *styles, *bodies, *lazy, *streams):
        write(f"{module}.py", "runtime.py.jinja", module=module)
    write("enums.py", "enums.py.jinja")
    write("operations.py", "operations.py.jinja")
    (project.package_dir / "unions").mkdir()
    write("unions/__init__.py", "unions_init.py.jinja")
    for module, union in view.unions.items():
        write(f"unions/{module}.py", "union.py.jinja", it=union)
    (project.package_dir / "py.typed").touch()


def _runtime(module: str) -> str:
    """Return the source of a runtime module."""
    return (RUNTIME / f"{module}.py").read_text(encoding="utf-8")
