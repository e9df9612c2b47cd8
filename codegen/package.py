"""The context of all templates."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from codegen.docstrings import docstring
from codegen.document import Document
from codegen.endpoints import EndpointView, endpoint_view, operation_code
from codegen.import_cycles import cyclic_imports
from codegen.media import format_of
from codegen.models import Library
from codegen.operations import Operation
from codegen.template_context import LibraryView, ModelView, UnionView, library_view, model_view, union_view
from codegen.types import Import


@frozen
class OperationView:
    """A row of the operations table for its template."""

    constant: str
    code: str


@frozen
class PackageView:
    """A package for its templates.

    Attributes:
        streams: Whether an operation returns events.
        has_matching: Whether members of a union are tried in turn.
        has_styles: Whether a parameter has a style of its own.
        has_bodies: Whether an operation has a body that is not JSON.
        models: The models by class name.
        endpoints: The endpoints by module.
        unions: The unions by module.
    """

    docstring: str
    version: str
    streams: bool
    has_matching: bool
    has_styles: bool
    has_bodies: bool
    library: LibraryView
    operations: list[OperationView]
    models: dict[str, ModelView]
    endpoints: dict[str, EndpointView]
    unions: dict[str, UnionView]


def package_view(document: Document, library: Library, operations: Sequence[Operation]) -> PackageView:
    """Return a package for its templates."""
    info = document.data.get("info", {})
    cycles = cyclic_imports(_modules(library))
    return PackageView(
        docstring=_package_docstring(str(info.get("title", ""))),
        version=repr(str(info.get("version", ""))),
        streams=any(o.streaming for o in operations),
        has_matching=any(i.module == "matching" for union in library.unions.values() for i in union.imports),
        has_styles=any(a.style for o in operations for a in o.arguments),
        has_bodies=any(o.media and format_of(o.media) != "json" for o in operations),
        library=library_view(library),
        operations=[OperationView(o.constant, operation_code(o)) for o in operations],
        models={m.name: model_view(m, cycles.get(f"models.{m.module}", frozenset())) for m in library.models.values()},
        endpoints={o.module: endpoint_view(o) for o in operations},
        unions={
            u.module: union_view(u, library, cycles.get(f"unions.{u.module}", frozenset()))
            for u in library.unions.values()
        },
    )


def _package_docstring(title: str) -> str:
    return docstring(
        f"Models and endpoints of the {title} API, generated from its OpenAPI document.\n\n"
        "- `api`: sync and async functions for each operation, which use the caller's httpx client.\n"
        "- `models`: classes for JSON objects.\n"
        "- `unions`: type aliases and decoders of unions.\n"
        "- `params`: TypedDicts of request arguments.\n"
        "- `operations`: the operations table.",
        0,
    )


def _modules(library: Library) -> dict[str, set[str]]:
    """Return the imports between the modules of models and unions."""

    def needs(imports: set[Import]) -> set[str]:
        return {f"{i.kind}.{i.module}" for i in imports if i.kind in ("models", "unions")}

    found = {f"models.{m.module}": needs(m.imports) for m in library.models.values()}
    return found | {f"unions.{u.module}": needs(u.imports) for u in library.unions.values()}
