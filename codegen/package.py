"""Everything that the templates print, in one object."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from codegen.docstrings import docstring
from codegen.document import Document
from codegen.endpoints import EndpointView, endpoint_view, operation_code
from codegen.import_cycles import mutual
from codegen.models import Library
from codegen.operations import Operation
from codegen.template_context import LibraryView, ModelView, UnionView, library_view, model_view, union_view
from codegen.types import Import


@frozen
class OperationView:
    """A row of the operations table."""

    constant: str
    code: str


@frozen
class PackageView:
    """A whole package.

    Attributes:
        streams: whether any operation answers with events.
        models: by class name.
        endpoints: by module.
        unions: by module.
    """

    docstring: str
    version: str
    streams: bool
    library: LibraryView
    operations: list[OperationView]
    models: dict[str, ModelView]
    endpoints: dict[str, EndpointView]
    unions: dict[str, UnionView]


def package_view(document: Document, library: Library, operations: Sequence[Operation]) -> PackageView:
    """A package for its templates."""
    info = document.data.get("info", {})
    cycles = mutual(_modules(library))
    return PackageView(
        docstring=_package_docstring(str(info.get("title", ""))),
        version=repr(str(info.get("version", ""))),
        streams=any(o.streaming for o in operations),
        library=library_view(library),
        operations=[OperationView(o.constant, operation_code(o)) for o in operations],
        models={m.name: model_view(m, cycles.get(f"models.{m.module}", frozenset())) for m in library.models.values()},
        endpoints={o.module: endpoint_view(o) for o in operations},
        unions={
            u.module: union_view(u, cycles.get(f"unions.{u.module}", frozenset())) for u in library.unions.values()
        },
    )


def _package_docstring(title: str) -> str:
    return docstring(
        f"Models and endpoints of the {title} API, made from its OpenAPI document.\n\n"
        "- `api`: a function pair for each operation, which takes the caller's httpx client.\n"
        "- `models`: the objects.\n"
        "- `unions`: what is one of several objects, and its decoders.\n"
        "- `params`: TypedDicts of what requests take.\n"
        "- `operations`: the operations as a table.",
        0,
    )


def _modules(library: Library) -> dict[str, set[str]]:
    """Which module needs which: `models.step` and the like."""

    def needs(imports: set[Import]) -> set[str]:
        return {f"{i.kind}.{i.module}" for i in imports if i.kind in ("models", "unions")}

    found = {f"models.{m.module}": needs(m.imports) for m in library.models.values()}
    return found | {f"unions.{u.module}": needs(u.imports) for u in library.unions.values()}
