"""The resource classes of the client: methods with signature, documentation and return type for each operation.

The async classes are rendered from templates, and the sync ones derived from them (`unasync.py`).
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codegen.docstrings import Section, docstring
from codegen.document import Document
from codegen.errors import ErrorCollector, SpecError
from codegen.media import format_of
from codegen.names import class_name
from codegen.operations import Operation
from codegen.resource_names import ancestors, check_names
from codegen.types import Import
from codegen.unasync import to_sync

TEMPLATES: Final = Path(__file__).parent / "templates" / "client"

ERRORS: Final = {
    "400": "BadRequestError",
    "403": "PermissionDeniedError",
    "404": "NotFoundError",
    "409": "ConflictError",
    "410": "RunExpiredError",
}
"""The errors by status code that the docstring of a method lists, if the operation documents them."""

TOP: Final = "ClientCalls"
"""The class of the operations that are methods of the client itself."""

TOP_MODULE: Final = "client_calls"
"""The module of that class."""

TOP_DOCUMENTATION: Final = "The operations without a resource."

OPTIONS: Final = "Request options, such as `timeout` and `extra_headers`: see `RequestOptions`."
PAGE_SIZE: Final = "This is the size of a page: iteration yields the items of all pages, at most `max_items`."
"""A sentence of the documentation of `limit`."""

LIST_ARGUMENTS: Final = [
    (
        "max_items",
        "The maximum number of items of all pages together. Defaults to None, for all items.",
    ),
    (
        "checkpoint",
        "The position to continue at, as returned by a page's `checkpoint()`. It holds the arguments of the list.",
    ),
    ("prefetch", "Whether to fetch the next page while this one is used. Defaults to False."),
]
ALWAYS_RAISED: Final = [
    ("APIError", "If the request fails: see `letta_ext.errors`."),
    ("TypeError", "If an argument is unknown or of the wrong type. Nothing is sent."),
    ("ValueError", "If an argument has an invalid value. Nothing is sent."),
]


@frozen
class Method:
    """A method of a resource, as used by the templates.

    Attributes:
        name: The name.
        constant: The operation's name in the operations table.
        endpoint: The endpoint module, as an expression.
        declared: The ids in the signature, each followed by a comma.
        ids: The ids as a tuple.
        variable: The name of the keyword arguments.
        arguments: The TypedDict of the keyword arguments.
        result: The type of the JSON response.
        item: The type of an item if the method is a list, else empty.
        switch: The argument that selects between a stream and JSON.
        streams: Whether the method returns a stream by default.
        has_stream: Whether the method can return a stream.
        documentation: The docstring.
    """

    name: str
    constant: str
    endpoint: str
    declared: str
    ids: str
    variable: str
    arguments: str
    result: str
    item: str
    switch: str
    streams: bool
    has_stream: bool
    documentation: str


@frozen
class Resource:
    """A resource, as used by the templates.

    Attributes:
        path: The attributes that lead to it from the client, such as `steps.metrics`.
        name: The last of these attributes.
        cls: The name of the sync class.
        documentation: The description.
        mixin: Whether a hand-written class adds methods.
        children: The resources below it.
        methods: The methods.
    """

    path: str
    name: str
    cls: str
    documentation: str
    mixin: bool
    children: list[Resource]
    methods: list[Method]

    @property
    def module(self) -> str:
        """The module name of the mixin."""
        return self.path.replace(".", "_")

    def all(self) -> list[Resource]:
        """Return the resource and all resources below it, in postorder."""
        return [*(each for child in self.children for each in child.all()), self]


def read_resources(document: Document, operations: Sequence[Operation], mixins: Path) -> Resource:
    """Return the resource of the client itself, with the resources at its top below it.

    Args:
        document: The prepared document.
        operations: Its operations.
        mixins: The folder with hand-written methods: `steps_metrics.py` has those of `steps.metrics`.

    Raises:
        SpecErrors: If the client does not support an operation, or its `operationId` cannot be the name of a method.
    """
    tags = {str(tag.get("name")): str(tag.get("description", "")) for tag in document.data.get("tags", [])}
    paths = sorted({path for operation in operations for path in ancestors(operation.id)})

    def make(path: str) -> Resource:
        name = path.rpartition(".")[2]
        return Resource(
            path=path,
            name=name,
            cls=class_name(path) if path else TOP,
            documentation=tags.get(path) or (f"What is below `client.{path}`." if path else TOP_DOCUMENTATION),
            mixin=(mixins / f"{path.replace('.', '_')}.py").is_file(),
            children=[make(other) for other in paths if other.rpartition(".")[0] == path],
            methods=_methods([o for o in operations if o.id.rpartition(".")[0] == path]),
        )

    errors = ErrorCollector()
    for operation in operations:
        with errors.block():
            if (kind := _unsupported(operation)) is not None:
                raise SpecError(operation.place, f"{kind}, which the client does not support. Call its endpoint module")
    errors.raise_all()
    check_names(operations, mixins)
    return make("")


def client_templates() -> Environment:
    """Return the environment of the client's templates."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # the output is Python; document text passes through `docstring`
    )


def _unsupported(operation: Operation) -> str | None:
    """Return the part of an operation that the client does not support, or None."""
    if operation.media and format_of(operation.media) != "json":
        return f"sends {operation.media}"
    if operation.reads not in (None, "json"):
        return f"returns {operation.accept}"
    if operation.streaming and not operation.streaming.resume_operation:
        return "returns events and has no x-letta-streaming"
    return None


def write_resources(top: Resource, operations: Sequence[Operation], folder: Path) -> None:
    """Write the modules of the resource classes into a folder.

    Args:
        top: The resource of the client itself.
        operations: The operations of the document.
        folder: The folder, which is made if it does not exist.
    """
    env = client_templates()
    folder.mkdir(parents=True, exist_ok=True)

    def write(module: str, template: str, **values: Any) -> None:
        text = env.get_template(template).render(resources=top.children, top=top, **values)
        (folder / f"{module}.py").write_text(_with_sync_classes(text), encoding="utf-8", newline="\n")

    write("__init__", "init.py.jinja")
    mine = [o for o in operations if "." not in o.id]
    write("client", "client.py.jinja", imports=_imports(mine))
    methods = [method for each in top.all() for method in each.methods]
    write("arguments", "arguments.py.jinja", methods=methods, operations=_by_constant(operations))
    for resource in top.children:
        mine = [o for o in operations if o.id.startswith(f"{resource.path}.")]
        write(resource.name, "module.py.jinja", root=resource, found=resource.all(), imports=_imports(mine))
    if top.methods:
        mine = [o for o in operations if "." not in o.id]
        own = evolve(top, children=[])
        write(TOP_MODULE, "module.py.jinja", root=own, found=[own], imports=_imports(mine))


def _with_sync_classes(text: str) -> str:
    """Return a module with the sync counterparts of its async classes, which are between two markers."""
    head, mark, rest = text.partition("# ASYNC\n")
    body, _, tail = rest.partition("# END\n")
    return f"{head}{body}\n\n{to_sync(body)}{tail}" if mark else text


def _by_constant(operations: Sequence[Operation]) -> Mapping[str, Operation]:
    return {operation.constant: operation for operation in operations}


def _imports(operations: Sequence[Operation]) -> list[str]:
    found = {_model_import(i) for o in operations for i in _results(o)}
    sent = {i for o in operations for a in o.at("path") for i in a.type.sent_imports}
    found |= {f"from letta_api.params import {i.name}" for i in sent if i.kind == "params"}
    return sorted(found | {f"from datetime import {i.name}" for i in sent if i.kind == "datetime"})


def _results(operation: Operation) -> set[Import]:
    """Return the imports of the return annotations."""
    return {i for i in operation.imports if i.kind in ("models", "unions", "enums") and i.name[0].isupper()}


def _model_import(item: Import) -> str:
    return f"from letta_api.{item.kind} import {item.name}"


def _methods(operations: list[Operation]) -> list[Method]:
    methods = [_method(operation) for operation in operations]
    shadowed = {method.name for method in methods}
    return [
        evolve(each, result=_qualify_shadowed(each.result, shadowed), item=_qualify_shadowed(each.item, shadowed))
        for each in methods
    ]


def _qualify_shadowed(annotation: str, shadowed: set[str]) -> str:
    """Qualify the builtins in an annotation that methods of the class shadow, such as `list`."""
    tree = ast.parse(annotation or "''", mode="eval")
    if not annotation or not any(isinstance(each, ast.Name) and each.id in shadowed for each in ast.walk(tree)):
        return annotation
    return ast.unparse(_ShadowedBuiltins(shadowed).visit(tree))


class _ShadowedBuiltins(ast.NodeTransformer):
    def __init__(self, shadowed: set[str]) -> None:
        self.shadowed = shadowed

    def visit_Name(self, node: ast.Name) -> ast.expr:
        known = node.id in self.shadowed and hasattr(builtins, node.id)
        return ast.Attribute(ast.Name("builtins"), node.id) if known else node


def _method(operation: Operation) -> Method:
    stream, result = operation.streaming, operation.result
    ids = operation.at("path")
    written = result.written if result else "None"
    return Method(
        name=operation.id.rpartition(".")[2],
        constant=operation.constant,
        endpoint=f"api.{operation.endpoint}",
        declared="".join(f"{a.name}: {a.type.sent_written}, " for a in ids),
        ids=f"({''.join(f'{a.name}, ' for a in ids)})",
        variable="arguments" if operation.keywords else "options",
        arguments=f"{class_name(operation.id)}Arguments" if operation.keywords else "RequestOptions",
        result=written,
        item=operation.items.written.removeprefix("list[").removesuffix("]") if operation.items else "",
        switch=operation.stream_condition or "",
        streams=stream.default if stream else False,
        has_stream=stream is not None,
        documentation=_documentation(operation),
    )


def _documentation(operation: Operation) -> str:
    parts = [operation.description or operation.summary or f"Call `{operation.id}`."]
    parts += [operation.notes, f"Documented as `{operation.method} {operation.path}`."]
    arguments = [(a.name, a.documentation or "See the API documentation.") for a in operation.arguments]
    if operation.pagination:
        limit = operation.pagination.limit
        arguments = [(name, f"{text} {PAGE_SIZE}" if name == limit else text) for name, text in arguments]
        arguments += LIST_ARGUMENTS
    variable = "arguments" if operation.keywords else "options"
    arguments.append((f"**{variable}", OPTIONS))
    sections: list[Section] = [("Args", arguments)]
    if returned := _returned(operation):
        sections.append(("Returns", [(returned, "")]))
    sections.append(("Raises", [*_raised(operation), *ALWAYS_RAISED]))
    return docstring("\n\n".join(part for part in parts if part), 8, sections)


def _returned(operation: Operation) -> str:
    if operation.pagination:
        return "The first page. Iterate it for the items of all pages."
    return next((text for code, text in operation.responses.items() if code.startswith("2")), "")


def _raised(operation: Operation) -> list[tuple[str, str]]:
    found = [("ListChangedError", "If the list changes so that items could be lost.")] if operation.pagination else []
    for code, text in operation.responses.items():
        if code == "409" and operation.streaming:
            found += [
                ("ConversationBusyError", "If another run holds the conversation."),
                ("PendingApprovalError", "If the agent waits for tool returns or approvals."),
            ]
        elif code in ERRORS:
            found.append((ERRORS[code], text))
    return found
