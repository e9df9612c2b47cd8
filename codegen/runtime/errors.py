"""What can go wrong between a request and its decoded answer."""

from __future__ import annotations

from typing import Any


class DecodeError(ValueError):
    """An answer is not what the document says.

    Attributes:
        path: where in the body, such as `messages[2].date`; empty for the body itself.
        reason: what is wrong there.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def below(self, step: str | int) -> DecodeError:
        """The same error seen from one level further out: `step` is a key or an index."""
        outer = f"[{step}]" if isinstance(step, int) else step
        joint = "." if self.path and not self.path.startswith("[") else ""
        return DecodeError(f"{outer}{joint}{self.path}", self.reason)


class UnexpectedStatus(Exception):  # noqa: N818  # its name is published
    """The server answered with a status that is no success.

    Attributes:
        status_code: the HTTP status.
        body: the decoded JSON body, or its text where it is no JSON.
    """

    def __init__(self, status_code: int, body: Any) -> None:
        super().__init__(status_code, body)
        self.status_code = status_code
        self.body = body

    def __str__(self) -> str:
        return f"the server answered {self.status_code}: {self.body!r}"


class IncompleteStreamError(Exception):
    """An event stream ended before its terminator: the connection broke, or the server stopped without one.

    Attributes:
        last: the last event that came, or None.
    """

    def __init__(self, message: str, last: object) -> None:
        super().__init__(message)
        self.last = last
