"""Straight-line readers of models, compiled when they are first needed, as attrs compiles `__init__`.

A loop over the fields takes two to three times as long. Nothing but names of fields, which are identifiers, enters the
code as text; keys, tags and functions are objects that the code has names for.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from .instants import in_utc, parse_instant, read_instant
from .structs import ABSENT, FALLBACK_ERRORS, Discriminator, Form, OrNull, OrText, create, parser, refuse, values_of

if TYPE_CHECKING:
    from .model import Model

T = TypeVar("T")


class _Code:
    """The lines of a function, and the objects that they have names for."""

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
        """Return the expression of what a function makes of a name, with fewer calls where that is known."""
        if function is None:
            return source
        if function is parse_instant:
            return f"value if (value := {self.name(read_instant)}({source})).tzinfo else {self.name(in_utc)}(value)"
        if isinstance(function, OrNull):
            return f"None if {source} is None else {self.decoded(function.decode, source)}"
        if isinstance(function, OrText):
            return f"{source} if {source}.__class__ is str else {self.name(function.decode)}({source})"
        return f"{self.name(function)}({source})"

    def function(self) -> Callable[[Any], Any]:
        """Compile the lines."""
        body = "".join(f"\n    {line}" for line in self.lines)
        code = compile(f"def read({self.argument}):{body}\n", f"<{__name__}>", "exec")
        exec(code, self.names)  # noqa: S102  # see above
        found: Callable[[Any], Any] = self.names["read"]
        return found


def from_struct(cls: type[Model]) -> Callable[[Any], Any]:
    """Return the function that makes a model of a struct that msgspec has filled; see `parts.py`."""
    code = _Code("parts", cls=cls, create=create, ABSENT=ABSENT)
    code.lines = ["self = create(cls)"]
    forms = cls._forms()  # pyright: ignore[reportPrivateUsage]  # a model's other half
    wire = cls._wire  # pyright: ignore[reportPrivateUsage]  # likewise
    for name, required, decode in wire.values():
        plain = name not in forms and (decode is None or isinstance(decode, Discriminator))
        if required and plain:
            code.lines.append(f"self.{name} = parts.{name}")
            continue
        if name in forms:
            made = forms[name].code("value", code.name)
        else:
            made = code.decoded(None if isinstance(decode, Discriminator) else decode, "value")
        if required:
            code.lines += [f"value = parts.{name}", f"self.{name} = {made}"]
        else:
            code.lines.append(f"if (value := parts.{name}) is not ABSENT: self.{name} = {made}")
    code.lines += ["self._extra = None", "return self"]
    return code.function()


def from_object(cls: type[Model]) -> Callable[[Any], Any]:
    """Return the function that makes a model of a JSON object with all of its fields, or returns None."""
    code = _Code("data", cls=cls, create=create)
    wire = cls._wire  # pyright: ignore[reportPrivateUsage]  # a model's other half
    targets: list[str] = []
    after: list[str] = []
    for name, _, decode in wire.values():
        targets.append(f"self.{name}" if decode is None else f"value{len(targets)}")
        if isinstance(decode, Discriminator):
            literal = code.name(decode.value)
            after += [f"if {targets[-1]} != {literal}: return None", f"self.{name} = {literal}"]
        elif decode is not None:
            after.append(f"self.{name} = {code.decoded(decode, targets[-1])}")
    take = code.name(itemgetter(*wire))  # a tuple, but of a single key the value itself
    unknown = code.name(cls._unknown)  # pyright: ignore[reportPrivateUsage]  # likewise
    code.lines = [
        f"if len(data) < {len(wire)}: return None",
        "self = create(cls)",
        f"{', '.join(targets)} = {take}(data)",
        *after,
        f"self._extra = None if len(data) == {len(wire)} else {unknown}(data)",
        "return self",
    ]
    return code.function()


def reader(form: Callable[[], Form], decode: Callable[[Any], T]) -> Callable[[str | bytes], T]:
    """A function that reads JSON text. It raises what `decode` raises, and `DecodeError` where the text is no JSON.

    Args:
        form: what the parser shall make of the text; it is asked when something is first read.
        decode: makes the value of parsed JSON, which is the long way.
    """
    parse: Callable[[str | bytes], Any] = refuse  # until `first` is there, which nothing comes before
    make: Callable[[Any], Any] = decode  # likewise

    def compiled() -> Any:
        nonlocal make
        found, code = form(), _Code("value")
        code.lines = [f"return {found.code('value', code.name)}"]
        make = code.function()
        return found.type

    def first(text: str | bytes) -> Any:
        nonlocal parse
        parse = parser(compiled)
        return parse(text)

    parse = first

    def read(text: str | bytes) -> T:
        try:
            parts = parse(text)
            made: T = make(parts)
            return made
        except FALLBACK_ERRORS:
            pass
        return decode(values_of(text))

    return read
