"""The context of the templates of endpoints and of the operations table."""

from __future__ import annotations

from attrs import fields, frozen

from codegen.docstrings import Section, docstring, with_deprecation
from codegen.expressions import printed
from codegen.extensions import Pagination
from codegen.media import ANY_MEDIA, format_of
from codegen.operations import Argument, Operation
from codegen.template_context import decoded, import_lines
from codegen.types import JSON, TEXT, Import


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
    content: str
    result: str
    reads: str
    accept: str
    can_be_empty: bool
    decode: str
    struct: str
    event: str
    has_text_events: bool
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
    if arguments == operation.options and all(a.wire == a.name and not a.style for a in arguments):
        # The signature lists them already.
        return f"exclude_ids({', '.join(['locals()', *(repr(a.name) for a in operation.at('path'))])})"
    return f"{{{', '.join(map(_entry, arguments))}}}"


def _entry(argument: Argument) -> str:
    """Return the source of an entry of a dict of arguments."""
    match argument.style:
        case ("exploded",):
            return f"**styles.exploded({argument.name})"
        case ("deep_object",):
            return f"**styles.deep_object({argument.wire!r}, {argument.name})"
        case _:
            return f"{argument.wire!r}: {_encoded(argument)}"


def _encoded(argument: Argument) -> str:
    name, wire = argument.name, argument.wire
    match argument.style:
        case ("delimited", separator, explode):
            return f"styles.delimited({name}, {separator!r}{', explode=True' if explode else ''})"
        case ("expanded", style, explode):
            return f"styles.expanded({wire!r}, {name}, {style!r}{', explode=True' if explode else ''})"
        case (("json_text" | "flag") as function,):
            return f"styles.{function}({name})"
        case _:
            return name


def _path(operation: Operation) -> str:
    """Return the source of the path."""
    ids = operation.at("path")
    expanded = [each for each in ids if each.style[:1] == ("expanded",)]
    plain = "".join(f", {each.name}={_encoded(each)}" for each in ids if each not in expanded)
    made = f"make_path({operation.template!r}{plain})" if plain else repr(operation.template)
    given = "".join(f", {each.name}={_encoded(each)}" for each in expanded)
    return f"styles.expand({made}{given})" if given else made


def _content(operation: Operation) -> str:
    """Return the source of a body that is not JSON, and of cookies, or an empty string."""
    body, cookies = _other_body(operation), operation.at("cookie")
    if not cookies:
        return body
    joined = "".join(f", {each.wire!r}" for each in cookies if each.style == ("make_cookies", False))
    made = f"styles.make_cookies({_values(cookies, operation)}{joined})"
    return f"{{**({body}), **{made}}}" if body else made


def _query(operation: Operation) -> str:
    """Return the source of the query parameters, or an empty string."""
    arguments = operation.at("query")
    made = f"make_query({_values(arguments, operation)})" if arguments else ""
    fixed = repr(operation.fixed_query) if operation.fixed_query else ""
    return f"{fixed} + {made}" if fixed and made else fixed or made


def _json_body(operation: Operation) -> str:
    """Return the source of a JSON body, or an empty string."""
    if not operation.media or format_of(operation.media) != "json":
        return ""
    if operation.body is not None:
        return f"make_body({_values(operation.at('body'), operation)})"
    return "".join(_unless_unset(each, f"to_json_value({each.name})", "None") for each in operation.at("content"))


def _other_body(operation: Operation) -> str:
    """Return the source of a body that is not JSON, or an empty string."""
    if not operation.media or (kind := format_of(operation.media)) == "json":
        return ""
    makers = {"form": "bodies.make_form", "multipart": "bodies.make_multipart"}
    maker = makers.get(kind, "bodies.make_content")
    if operation.body is not None:
        files = "".join(f", {name!r}" for name in operation.files)
        return f"{maker}({_values(operation.at('body'), operation)}{files})"
    return "".join(_unless_unset(each, f"{maker}({each.name})", "NO_CONTENT") for each in operation.at("content"))


def _unless_unset(argument: Argument, code: str, otherwise: str) -> str:
    return code if argument.required else f"{otherwise} if {argument.name} is UNSET else {code}"


def _headers(operation: Operation) -> str:
    """Return the source of the headers, or an empty string. httpx adds the content type of JSON and of forms."""
    values = _values(operation.at("header"), operation) if operation.at("header") else ""
    kind = format_of(operation.media) if operation.media else "json"
    if operation.media in ("", JSON, ANY_MEDIA) or kind in ("form", "multipart"):
        return f"make_headers({values})" if values else ""
    media = {"Content-Type": operation.media.replace("*", "octet-stream")}
    return f"{{**make_headers({values}), **{media!r}}}" if values else repr(media)


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
    ids = operation.at("path")
    arguments = [_argument(a) for a in ids]
    if operation.options:
        arguments += ["*", *(_argument(a) for a in operation.options)]
    declared, handed = _call(operation)
    stream, result = operation.streaming, operation.result
    needed = operation.imports.union(*(a.type.sent_imports for a in operation.arguments))
    if operation.keywords:
        needed |= {Import("params", "params", operation.params)}
    if any(a.style for a in operation.arguments):
        needed |= {Import("runtime", "", "styles")}
    if _other_body(operation):
        needed |= {Import("runtime", "", "bodies")}
    reader = stream.event.text_decoder if stream else None
    needed |= {reader} if reader else set()
    forwarded, condition = [handed] if handed else [], operation.stream_condition
    return EndpointView(
        constant=operation.constant,
        module_docstring=docstring(f"{operation.method} {operation.path}: {operation.summary or operation.id}", 0),
        docstring=_request_docstring(operation),
        arguments=", ".join(arguments),
        method=repr(operation.method),
        path=_path(operation),
        query=_query(operation),
        headers=_headers(operation),
        body=_json_body(operation),
        content=_content(operation),
        result=result.written if result else "",
        reads=operation.reads or "",
        accept="" if operation.accept == JSON else f", {operation.accept!r}",
        can_be_empty=operation.can_be_empty,
        decode=decoded("body", result) if result else "",
        struct=printed(result.struct_written) if result and result.struct_written is not None else "",
        event=stream.event.written if stream else "",
        has_text_events=stream is not None and stream.event == TEXT,
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
    if operation.accept != JSON:
        parts.append(f"accept={operation.accept!r}")
    return f"Operation({', '.join(parts)})"


def _bounds(argument: Argument) -> tuple[float | None, float | None]:
    """Return the documented minimum and maximum."""
    schema = argument.schema if isinstance(argument.schema, dict) else {}
    return schema.get("minimum"), schema.get("maximum")


def _keywords(pagination: Pagination) -> str:
    return ", ".join(f"{attribute.name}={getattr(pagination, attribute.name)!r}" for attribute in fields(Pagination))
