"""Decoders of models, compiled to straight-line code on first use, as attrs compiles `__init__`.

A loop over the fields takes two to three times as long. The source contains field names, which are identifiers; keys,
constants and functions are objects in the namespace of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from .instants import LAST, parse_and_remember, parse_instant
from .learned_fields import LEARNED, is_unknown_field
from .structs import (
    ABSENT,
    FALLBACK_ERRORS,
    STRUCT_DECODERS,
    Discriminator,
    OrNull,
    OrText,
    StructType,
    cached,
    create,
    learned_fields,
    model_source,
    parse_json,
    parser,
    reject,
    shared_struct,
)

if TYPE_CHECKING:
    from .model import Model

T = TypeVar("T")


class _Code:
    """The source of a function and its namespace."""

    def __init__(self, argument: str, **names: Any) -> None:
        self.argument = argument
        self.lines: list[str] = []
        self.names: dict[str, Any] = names

    def name(self, value: object) -> str:
        """Return a name for an object."""
        name = f"object{len(self.names)}"
        self.names[name] = value
        return name

    def decoded(self, function: Callable[[Any], Any] | None, source: str) -> str:
        """Return the source of a call of `function` with the name `source`, inlined if possible."""
        if function is None:
            return source
        if function is parse_instant:
            last, parse = self.name(LAST), self.name(parse_and_remember)
            return f"(last if (last := {last}[0])[0] == {source} else {parse}({source}))[1]"
        if isinstance(function, OrNull):
            return f"None if {source} is None else {self.decoded(function.decode, source)}"
        if isinstance(function, OrText):
            return f"{source} if type({source}) is str else {self.name(function.decode)}({source})"
        return f"{self.name(function)}({source})"

    def function(self) -> Callable[[Any], Any]:
        """Return the compiled function."""
        body = "".join(f"\n    {line}" for line in self.lines)
        code = compile(f"def decode({self.argument}):{body}\n", f"<{__name__}>", "exec")
        exec(code, self.names)  # noqa: S102  # the source contains identifiers only
        found: Callable[[Any], Any] = self.names["decode"]
        return found


def from_struct(cls: type[Model], struct_class: Any) -> Callable[[Any], Any]:
    """Return a function that converts a filled struct of a class to a model."""
    code = _Code("struct", cls=cls, create=create, ABSENT=ABSENT)
    code.lines = ["self = create(cls)"]
    structs = cls._struct_fields()  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
    table = cls._field_table  # pyright: ignore[reportPrivateUsage]  # likewise
    for name, required, decode in table.values():
        if name not in struct_class.__struct_fields__:  # the discriminator, a constant of the struct
            code.lines.append(f"self.{name} = {code.name(getattr(struct_class, name))}")
            continue
        unconverted = name not in structs and (decode is None or isinstance(decode, Discriminator))
        if required and unconverted:
            code.lines.append(f"self.{name} = struct.{name}")
            continue
        if name in structs:
            decoded = structs[name].code("value", code.name)
        else:
            decoded = code.decoded(None if isinstance(decode, Discriminator) else decode, "value")
        if required:
            code.lines += [f"value = struct.{name}", f"self.{name} = {decoded}"]
        else:
            code.lines.append(f"if (value := struct.{name}) is not ABSENT: self.{name} = {decoded}")
    learned = learned_fields(struct_class)
    for name, key in learned.items():
        code.lines.append(f"if (value := struct.{name}) is not ABSENT: extra[{code.name(key)}] = value")
    if learned:
        code.lines.insert(0, "extra = {}")
    code.lines += [f"self._extra = {'extra or None' if learned else None}", "return self"]
    return code.function()


def from_object(cls: type[Model]) -> Callable[[Any], Any]:
    """Return a function that decodes a JSON object with all fields of a model. It returns None for other objects."""
    code = _Code("data", cls=cls, create=create)
    table = cls._field_table  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
    targets: list[str] = []
    after: list[str] = []
    for name, _, decode in table.values():
        targets.append(f"self.{name}" if decode is None else f"value{len(targets)}")
        if isinstance(decode, Discriminator):
            literal = code.name(decode.value)
            after += [f"if {targets[-1]} != {literal}: return None", f"self.{name} = {literal}"]
        elif decode is not None:
            after.append(f"self.{name} = {code.decoded(decode, targets[-1])}")
    take = code.name(itemgetter(*table))  # for a single key, the value instead of a tuple
    unknown = code.name(cls._unknown)  # pyright: ignore[reportPrivateUsage]  # likewise
    code.lines = [
        f"if len(data) < {len(table)}: return None",
        "self = create(cls)",
        f"{', '.join(targets)} = {take}(data)",
        *after,
        f"self._extra = None if len(data) == {len(table)} else {unknown}(data)",
        "return self",
    ]
    return code.function()


def by_strings(*members: tuple[type[Model], tuple[str, ...]]) -> StructType:
    """Return the struct type of a union of models with the same keys, whose values are not decoded.

    Args:
        members: Each member with the keys that have string values in it. The first one that fits is selected.
    """
    return cached(members, lambda: _by_strings(members))


def _by_strings(members: Sequence[tuple[type[Model], tuple[str, ...]]]) -> StructType:
    shared = shared_struct([cls for cls, _ in members])

    def compile_and_decode(struct: Any) -> Any:
        code = _Code("struct")
        for cls, keys in members:
            table = cls._field_table  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
            decode = code.name(cls._struct_decoder(shared))  # pyright: ignore[reportPrivateUsage]  # likewise
            tests = [f"type(struct.{table[key][0]}) is str" for key in keys]
            code.lines.append(f"if {' and '.join(tests) or True}: return {decode}(struct)")
        code.lines.append("raise TypeError('matches no member')")
        decode_shared = STRUCT_DECODERS[shared] = code.function()
        return decode_shared(struct)

    STRUCT_DECODERS[shared] = compile_and_decode
    return StructType(shared, model_source)


def json_decoder(struct: Callable[[], StructType], decode: Callable[[Any], T]) -> Callable[[str | bytes], T]:
    """Return a decoder of JSON text.

    It raises `DecodeError` if the text is not JSON, and the exceptions of `decode`.

    Args:
        struct: Returns the struct type. Called on the first use of the decoder.
        decode: The fallback, which decodes parsed JSON.
    """
    parse: Callable[[str | bytes], Any] = reject  # replaced by `first` below
    version: object = None
    convert: Callable[[Any], Any] = decode  # replaced by `compiled`

    def compiled() -> StructType:
        nonlocal convert
        type_, code = struct(), _Code("value")
        code.lines = [f"return {type_.code('value', code.name)}"]
        convert = code.function()
        return type_

    def first(text: str | bytes) -> Any:
        nonlocal parse, version
        version = LEARNED.version
        parse = parser(compiled)
        return parse(text)

    parse = first

    def decode_text(text: str | bytes) -> T:
        nonlocal parse
        try:
            parsed = parse(text)
            decoded: T = convert(parsed)
            return decoded
        except FALLBACK_ERRORS as fault:
            unknown_field = is_unknown_field(fault)
        decoded = decode(parse_json(text))
        if unknown_field and LEARNED.has_changed(version, decoded):
            parse = first
        return decoded

    return decode_text
