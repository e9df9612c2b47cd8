"""Lists whose items are decoded on first access."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, SupportsIndex, TypeVar, overload

from .errors import DecodeError
from .json_values import LazyValue, decode_at, ensure_array, to_json_value
from .model import Model
from .structs import DECODE_ERRORS, RAW, StructType, loads

M = TypeVar("M", bound=Model)


class LazyList(LazyValue[M]):
    """A list of models that are decoded on first access.

    Access to an item decodes that item. Iteration, comparison and modification decode all items. The length, the JSON
    form and copies decode nothing, and the repr shows malformed items as JSON. C code that bypasses the methods of
    `list` sees the JSON. Undecoded items keep the whole response body in memory; a copy of the list does not.

    Args:
        model: The model of the items.
        value: The JSON array, whose items can be JSON text.
        key: The key of the array, with which the paths of errors begin.

    Raises:
        DecodeError: On access to a malformed item, with its path, such as `content[3].token`.
    """

    __slots__ = ("_key", "_model", "_undecoded")

    def __init__(self, model: type[M], value: Any, key: str) -> None:
        super().__init__(ensure_array(value))
        self._model = model
        self._key = key
        self._undecoded = True

    def _decode(self, item: Any) -> M:
        return self._model.from_json(item) if item.__class__ is RAW else self._model.from_dict(item)

    def _item(self, index: int, item: Any) -> M:
        if item.__class__ is self._model:
            decoded: M = item
            return decoded
        try:
            return decode_at(index, self._decode, item)
        except DecodeError as fault:
            raise fault.prefixed(self._key) from None

    def _decode_all(self) -> None:
        """Decode the undecoded items. If an item is malformed, the list stays unchanged."""
        if self._undecoded:
            model, items = self._model, self.raw_items()
            try:
                found = [item if item.__class__ is model else self._decode(item) for item in items]
            except DECODE_ERRORS:  # again, for the index in the error
                found = [self._item(index, item) for index, item in enumerate(items)]
            super().__setitem__(slice(None), found)
            self._undecoded = False

    @overload
    def __getitem__(self, index: SupportsIndex) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> M | list[M]:
        if not self._undecoded:
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
        return repr(self.preview(len(self)))

    def preview(self, limit: int) -> list[Any]:
        """Return the first items for a repr. Malformed items are returned as JSON."""
        found: list[Any] = []
        for index, item in enumerate(self.raw_items()[:limit]):
            try:
                found.append(item if not self._undecoded else self._item(index, item))
            except DecodeError:
                found.append(_json_value(item))
        return found

    def to_json_value(self) -> list[Any]:
        """Return the JSON array. Undecoded items are not decoded."""
        return [to_json_value(loads(item) if item.__class__ is RAW else item) for item in self.raw_items()]

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        if not self._undecoded:
            return (list, (self.raw_items(),))
        items = [loads(item) if item.__class__ is RAW else item for item in self.raw_items()]
        return (LazyList, (self._model, items, self._key))


def _json_value(item: Any) -> Any:
    if item.__class__ is not RAW:
        return item
    try:
        return loads(item)
    except ValueError:
        return bytes(item)


def _after_decoding(name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(list, name)

    @wraps(method)
    def decoded(self: LazyList[Any], *args: Any, **options: Any) -> Any:
        for one in (self, *args):  # the other operand can be lazy too
            if isinstance(one, LazyList):
                one._decode_all()  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]  # same class, any item type
        return method(self, *args, **options)

    return decoded


for _name in (  # noqa: SIM905  # a list literal would have a line per name
    "__iter__ __reversed__ __contains__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __iadd__ __mul__ __rmul__ "
    "__imul__ __setitem__ __delitem__ append clear copy count extend index insert pop remove reverse sort"
).split():
    setattr(LazyList, _name, _after_decoding(_name))


def lazy_of(model: type[M], key: str) -> StructType:
    """Return the struct type of a lazy array, whose items stay JSON text."""
    return StructType(
        list[RAW], lambda source, name: f"{name(LazyList)}({name(model)}, {source}, {name(key)})", has_raw=True
    )


def lazy_array(model: type[M], key: str) -> Callable[[Any], list[M]]:
    """Return a decoder of lazy arrays."""

    def decode_array(value: Any) -> list[M]:
        return LazyList(model, value, key)

    return decode_array
