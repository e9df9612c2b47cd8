"""Prints the result of a call: a page, a stream of events, or one object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any, TypeGuard

from letta_api.models import (
    AssistantMessage,
    LettaPing,
    LettaStopReason,
    LettaUsageStatistics,
    ReasoningMessage,
    Step,
)

from .._pagination.items import field_of
from .._streaming.accumulator import MessageAccumulator
from .._sync.pagination import SyncPage
from .._sync.stream import Stream
from .messages import content_text, describe
from .output import Output
from .session import Session
from .steps import MAX_TIMED, columns_with_time
from .terminal_text import TerminalText


def show(session: Session, result: Any) -> None:
    """Print the result of a call that is not a list."""
    if _is_stream(result):
        with result as stream:
            show_events(session.output, stream)
    else:
        session.output.value(result)


def _is_stream(value: object) -> TypeGuard[Stream[Any]]:
    return isinstance(value, Stream)


def show_page(session: Session, page: SyncPage[Any], limit: int | None, *, reverse: bool = False) -> None:
    """Print a list: messages as a dialog, other items as a table.

    Args:
        session: The session.
        page: The first page.
        limit: The maximum number of items to print, or None for all.
        reverse: Whether a dialog is printed in reverse order, so that the newest message is the last.
    """
    output = session.output
    if output.as_json:
        output.items(islice(page, limit))
        return
    found = [*islice(page, None if limit is None else limit + 1)]
    items = found[:limit]
    if items and field_of(items[0], "message_type"):
        for item in oldest_first(items) if reverse else items:
            output.message(describe(item))
    elif items and isinstance(items[0], Step) and len(items) <= MAX_TIMED:
        output.items(items, columns_with_time(session.client, items))
    else:
        output.items(items)
    if len(found) > len(items):
        cursors = page.next_page_info() or {}
        options = "".join(f", or --{name} {field_of(items[-1], 'id')}" for name in cursors)
        output.note(f"There are more: --all{options}")


def oldest_first(messages: Sequence[Any]) -> Iterator[Any]:
    """Yield messages that are listed newest first in the order of a dialog.

    A stored message can be several, such as reasoning and text. A server lists those in one order for either `order`.
    """
    groups = [[*group] for _, group in groupby(messages, key=lambda message: field_of(message, "id"))]
    return chain.from_iterable(reversed(groups))


def show_events(output: Output, events: Iterable[Any]) -> None:
    """Print stream events as they arrive."""
    if output.as_json:
        for event in events:
            if not isinstance(event, LettaPing):
                output.json_line(event)
        return
    printer = EventPrinter(output)
    try:
        for event in events:
            printer.add(event)
    finally:
        printer.finish()


class EventPrinter:
    """Prints stream events for people: text as it arrives, tool calls as soon as they are complete.

    Unless the output is a terminal, only the text of the agent is printed.

    Attributes:
        stop_reason: The stop reason of the run, or None.
        usage: The token usage of the run, or None.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._accumulator = MessageAccumulator()
        self._key: Any = None  # the message whose text is being printed
        self._text = TerminalText()
        self._style = ""
        self._at_line_start = True
        self.stop_reason: str | None = None
        self.usage: LettaUsageStatistics | None = None

    def add(self, event: Any) -> None:
        """Print an event."""
        for message in self._accumulator.add(event):  # an event of the next message completes the one before
            if not isinstance(message, (AssistantMessage, ReasoningMessage)):
                self._add_message(message)
        if isinstance(event, (AssistantMessage, ReasoningMessage)):
            self._add_text(event)
        elif not isinstance(event, LettaPing):
            self._end_text()
        if isinstance(event, LettaStopReason):
            self.stop_reason = event.stop_reason
        elif isinstance(event, LettaUsageStatistics):
            self.usage = event

    def _add_text(self, event: AssistantMessage | ReasoningMessage) -> None:
        is_reasoning = isinstance(event, ReasoningMessage)
        if is_reasoning and not self._output.is_terminal:
            return
        key = (event.id, event.message_type)
        if key != self._key:
            self._end_text()
            self._key, self._style = key, "dim italic" if is_reasoning else ""
        text = event.reasoning if isinstance(event, ReasoningMessage) else content_text(event.content)
        self._print(self._text.feed(text))

    def _print(self, text: str) -> None:
        if text:
            self._output.write(text, self._style)
            self._at_line_start = text.endswith("\n")

    def _end_text(self) -> None:
        """End the line of the text that is being printed."""
        if self._key is None:
            return
        self._print(self._text.finish())
        if not self._at_line_start:
            self._output.write("\n")
        self._key, self._text, self._at_line_start = None, TerminalText(), True

    def _add_message(self, message: Any) -> None:
        self._end_text()
        if self._output.is_terminal:
            self._output.message(describe(message))

    def finish(self) -> None:
        """Print what is left, and end the line."""
        self._end_text()
        for message in self._accumulator.finish():
            if not isinstance(message, (AssistantMessage, ReasoningMessage)):
                self._add_message(message)
