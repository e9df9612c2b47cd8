"""Lists whose items are decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, SupportsIndex, TypeVar, overload

from .errors import DecodeError
from .model import LazyValue, Model, at, each, to_json_value
from .structs import FAULTS, RAW, Form, loads, texts

M = TypeVar("M", bound=Model)


class Lazy(LazyValue[M]):
    """An array whose items are decoded when they are first asked for. To its users it is the list of the models.

    Asking for one item decodes that item, going over all, comparing or changing the list decodes all. Its length,
    its JSON form and copies decode nothing; its repr shows a malformed item as it came. Only what is written in C and
    reads the memory of a list past its methods would see the JSON. Items that are still text keep the whole text in
    memory which they came in, an answer of a megabyte too; a copy of the list does not.

    Args:
        kind: the model of the items.
        value: the JSON array, its items parsed or, as a parser of text leaves them, still text.
        key: the key that the array stands under, which errors begin with.

    Raises:
        DecodeError: an item that is asked for is malformed; it names the path, such as `content[3].token`.
    """

    __slots__ = ("_key", "_kind", "_waits")

    def __init__(self, kind: type[M], value: Any, key: str) -> None:
        super().__init__(each(value))
        self._kind = kind
        self._key = key
        self._waits = True

    def _read(self, item: Any) -> M:
        return self._kind.from_json(item) if item.__class__ is RAW else self._kind.from_dict(item)

    def _item(self, index: int, item: Any) -> M:
        kind = self._kind
        if item.__class__ is kind:
            decoded: M = item
            return decoded
        try:
            return at(index, self._read, item)
        except DecodeError as fault:
            raise fault.below(self._key) from None

    def _decode_all(self) -> None:
        """Decodes what is not decoded yet; where an item is malformed, all stay as they are."""
        if self._waits:
            kind, items = self._kind, self.held()
            try:
                found = [item if item.__class__ is kind else self._read(item) for item in items]
            except FAULTS:  # once more, to say where
                found = [self._item(index, item) for index, item in enumerate(items)]
            super().__setitem__(slice(None), found)
            self._waits = False

    @overload
    def __getitem__(self, index: SupportsIndex) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> M | list[M]:
        if not self._waits:
            return super().__getitem__(index)
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        place = range(len(self))[index]
        item = self._item(place, super().__getitem__(place))
        super().__setitem__(place, item)
        return item

    def __radd__(self, other: list[M]) -> list[M]:
        return [*other, *self]

    def __repr__(self) -> str:
        return repr(self.shown(len(self)))

    def shown(self, most: int) -> list[Any]:
        """The first items, for people: what is malformed stands there as it came."""
        found: list[Any] = []
        for index, item in enumerate(self.held()[:most]):
            try:
                found.append(item if not self._waits else self._item(index, item))
            except DecodeError:
                found.append(_shown(item))
        return found

    def to_json_value(self) -> list[Any]:
        """The JSON array: what was not decoded, as it came."""
        return [to_json_value(loads(item) if item.__class__ is RAW else item) for item in self.held()]

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        if not self._waits:
            return (list, (self.held(),))
        items = [loads(item) if item.__class__ is RAW else item for item in self.held()]
        return (Lazy, (self._kind, items, self._key))


def _shown(item: Any) -> Any:
    if item.__class__ is not RAW:
        return item
    try:
        return loads(item)
    except ValueError:
        return bytes(item)


def _after_decoding(name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(list, name)

    @wraps(method)
    def decoded(self: Lazy[Any], *args: Any, **options: Any) -> Any:
        for one in (self, *args):  # what it is compared with, or extended by, may wait as well
            if isinstance(one, Lazy):
                one._decode_all()  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]  # of that class; of which items, is all one
        return method(self, *args, **options)

    return decoded


for _name in (  # noqa: SIM905  # a list of as many strings has a line for each
    "__iter__ __reversed__ __contains__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __iadd__ __mul__ __rmul__ "
    "__imul__ __setitem__ __delitem__ append clear copy count extend index insert pop remove reverse sort"
).split():
    setattr(Lazy, _name, _after_decoding(_name))


def lazy_of(kind: type[M], key: str) -> Form:
    """What a parser makes of such an array: it leaves the items as text."""
    return Form(list[RAW], lambda source, name: f"{name(Lazy)}({name(kind)}, {name(texts)}({source}), {name(key)})")


def lazy_array(kind: type[M], key: str) -> Callable[[Any], list[M]]:
    """A decoder of arrays whose items wait until they are asked for."""

    def decode_array(value: Any) -> list[M]:
        return Lazy(kind, value, key)

    return decode_array
