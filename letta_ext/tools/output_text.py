"""The text of a turn's result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from letta_api.unions import Message


class OutputText:
    """A result with messages."""

    __slots__ = ()

    messages: list[Message]

    @property
    def output_text(self) -> str:
        """The text of all assistant messages, each on lines of its own. Empty without one."""
        from letta_api.models import LettaResponse

        return LettaResponse.output_text.of(self.messages)
