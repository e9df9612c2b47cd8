"""Exceptions raised by requests and decoders."""

from __future__ import annotations

from typing import Any


class DecodeError(ValueError):
    """A response does not match the API document.

    Attributes:
        path: The path in the body, such as `messages[2].date`, or "" for the body itself.
        reason: The mismatch at that path.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def prefixed(self, step: str | int) -> DecodeError:
        """Return the error with a key or an index before its path."""
        outer = f"[{step}]" if isinstance(step, int) else step
        joint = "." if self.path and not self.path.startswith("[") else ""
        return DecodeError(f"{outer}{joint}{self.path}", self.reason)


class UnexpectedStatus(Exception):  # noqa: N818  # the published name
    """An error response.

    Attributes:
        status_code: The HTTP status code.
        body: The decoded JSON body, or the text of a body that is not JSON.
    """

    def __init__(self, status_code: int, body: Any) -> None:
        super().__init__(status_code, body)
        self.status_code = status_code
        self.body = body

    def __str__(self) -> str:
        return f"the server returned {self.status_code}: {self.body!r}"


class IncompleteStreamError(Exception):
    """An event stream ended without its terminator.

    Attributes:
        last: The last received event, or None.
    """

    def __init__(self, message: str, last: object) -> None:
        super().__init__(message)
        self.last = last
