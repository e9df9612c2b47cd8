"""Pieces of a body in the size that the caller passes."""

from __future__ import annotations

from typing import Any, AnyStr, Generic


def check_chunk_size(size: int | None) -> None:
    """Check the size of pieces.

    Raises:
        TypeError: If it is neither an integer nor None.
        ValueError: If it is not positive.
    """
    if size is None:
        return
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"chunk_size must be an integer or None, got {size!r:.80}")
    if size < 1:
        raise ValueError(f"chunk_size must be 1 or more, got {size}")


class Pieces(Generic[AnyStr]):
    """Joins and splits chunks of a body into pieces of one size.

    Args:
        size: The bytes or characters of each piece except for the last. None returns the chunks as they arrive.
        empty: The empty value.
    """

    def __init__(self, size: int | None, empty: AnyStr) -> None:
        self._size = size
        self._join: Any = empty.join  # one type for both kinds
        self._held: list[AnyStr] = []
        self._length = 0

    def add(self, chunk: AnyStr) -> list[AnyStr]:
        """Return the pieces that a chunk completes."""
        if self._size is None:
            return [chunk] if chunk else []
        self._held.append(chunk)
        self._length += len(chunk)
        if self._length < self._size:
            return []
        whole: AnyStr = self._join(self._held)
        end = self._length - self._length % self._size
        self._held, self._length = [whole[end:]], self._length - end
        return [whole[at : at + self._size] for at in range(0, end, self._size)]

    def flush(self) -> list[AnyStr]:
        """Return the last piece at the end of the body."""
        rest: AnyStr = self._join(self._held)
        return [rest] if rest else []
