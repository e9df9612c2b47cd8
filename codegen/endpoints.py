"""The context of the templates of endpoints and of the operations table."""

from __future__ import annotations

from attrs import fields, frozen

from codegen.docstrings import Section, docstring, with_deprecation
from codegen.expressions import printed
from codegen.extensions import Pagination
from codegen.operations import Argument, Operation
from codegen.template_context import decoded, import_lines
from codegen.types import Import


@frozen
class EndpointView:
    """An operation for the endpoint template."""

    constant: str
    module_docstring: str
    docstring: str
    arguments: str
    method: str
    path: str
    query: str
    headers: str
    body: str
    result: str
    decode: str
    struct: str
    event: str
    end: str
    decode_event: str
    event_reader: str
    read_event: str
    call: str
    json_forward: str
    stream_forward: str
    imports: list[str]


def _argument(argument: Argument) -> str:
    annotation = argument.type.sent_written
    if argument.required:
        return f"{argument.name}: {annotation}"
    if "Any" in argument.type.sent:
        return f"{argument.name}: Any = UNSET"
    return f"{argument.name}: {annotation} | Unset = UNSET"


def _values(arguments: list[Argument], operation: Operation) -> str:
    """Return the source of a dict of the arguments in one location."""
    if arguments == operation.options and all(a.wire == a.name for a in arguments):
        # The signature lists them already.
        return f"exclude_ids({', '.join(['locals()', *(repr(a.name) for a in operation.at('path'))])})"
    return f"{{{', '.join(f'{a.wire!r}: {a.name}' for a in arguments)}}}"


def _content(arguments: list[Argument]) -> str:
    """Return the source of a body that is one argument, or an empty string."""
    for argument in arguments:
        code = f"to_json_value({argument.name})"
        return code if argument.required else f"None if {argument.name} is UNSET else {code}"
    return ""


def _call(operation: Operation) -> tuple[str, str]:
    """Return the parameters of `sync` after the client, and the arguments that it passes on."""
    ids = operation.at("path")
    declared = "".join(f", {a.name}: {a.type.sent_written}" for a in ids)
    handed = [a.name for a in ids]
    if operation.keywords:
        declared += f", **params: Unpack[{operation.params}]"
        handed.append("**params")
    return declared, ", ".join(handed)


def endpoint_view(operation: Operation) -> EndpointView:
    """Return an operation for its template."""
    ids, query, headers, body = (operation.at(place) for place in ("path", "query", "header", "body"))
    arguments = [_argument(a) for a in ids]
    if operation.options:
        arguments += ["*", *(_argument(a) for a in operation.options)]
    declared, handed = _call(operation)
    stream, result = operation.streaming, operation.result
    needed = operation.imports.union(*(a.type.sent_imports for a in operation.arguments))
    if operation.keywords:
        needed |= {Import("params", "params", operation.params)}
    reader = stream.event.text_decoder if stream else None
    needed |= {reader} if reader else set()
    forwarded, condition = [handed] if handed else [], operation.stream_condition
    return EndpointView(
        constant=operation.constant,
        module_docstring=docstring(f"{operation.method} {operation.path}: {operation.summary or operation.id}", 0),
        docstring=_request_docstring(operation),
        arguments=", ".join(arguments),
        method=repr(operation.method),
        path=f"make_path({operation.template!r}, {', '.join(f'{a.name}={a.name}' for a in ids)})"
        if ids
        else repr(operation.path),
        query=_values(query, operation) if query else "",
        headers=_values(headers, operation) if headers else "",
        body=f"make_body({_values(body, operation)})"
        if operation.body is not None
        else _content(operation.at("content")),
        result=result.written if result else "",
        decode=decoded("body", result) if result else "",
        struct=printed(result.struct_written) if result and result.struct_written is not None else "",
        event=stream.event.written if stream else "",
        end=repr(stream.terminator) if stream else "",
        decode_event=decoded("data", stream.event) if stream else "",
        event_reader=reader.name if reader else "",
        read_event=decoded("parse_json(text)", stream.event) if stream else "",
        call=declared,
        json_forward=", ".join([*forwarded, *([f"{condition}=False"] if condition else [])]),
        stream_forward=", ".join([*forwarded, *([f"{condition}=True"] if condition else [])]),
        imports=import_lines(needed, dots="..."),
    )


def _request_docstring(operation: Operation) -> str:
    sections: list[Section] = []
    if operation.arguments:
        sections.append(("Args", [(a.name, a.documentation) for a in operation.arguments]))
    if operation.at("path"):
        sections.append(
            (
                "Raises",
                [
                    ("TypeError", "If an id is not a string or an integer."),
                    ("ValueError", "If an id is empty or a dot segment."),
                ],
            )
        )
    text = with_deprecation(operation.description or operation.summary or operation.id, deprecated=operation.deprecated)
    return docstring(text, 4, sections)


def operation_code(operation: Operation) -> str:
    """Return the row of the operations table."""
    parts = [
        repr(operation.id),
        f"method={operation.method!r}",
        f"path={operation.path!r}",
        f"path_parameters={tuple(a.name for a in operation.at('path'))!r}",
        f"parameters=frozenset({[a.name for a in operation.options] or ''})",
        f"idempotency={operation.idempotency!r}",
    ]
    if operation.pagination is not None:
        parts.append(f"pagination=Pagination({_keywords(operation.pagination)})")
    if operation.streaming is not None:
        facts = operation.streaming
        parts.append(
            f"streaming=Streaming(stream_condition={operation.stream_condition!r}, default={facts.default!r}, "
            f"terminator={facts.terminator!r}, resume_operation={facts.resume_operation!r})"
        )
    if required := [a.name for a in operation.options if a.required]:
        parts.append(f"required=frozenset({required!r})")
    if bounds := {a.name: _bounds(a) for a in operation.options if _bounds(a) != (None, None)}:
        parts.append(f"bounds={bounds!r}")
    parts.append(f"module={operation.endpoint!r}")
    return f"Operation({', '.join(parts)})"


def _bounds(argument: Argument) -> tuple[float | None, float | None]:
    """Return the documented minimum and maximum."""
    schema = argument.schema if isinstance(argument.schema, dict) else {}
    return schema.get("minimum"), schema.get("maximum")


def _keywords(pagination: Pagination) -> str:
    return ", ".join(f"{attribute.name}={getattr(pagination, attribute.name)!r}" for attribute in fields(Pagination))
