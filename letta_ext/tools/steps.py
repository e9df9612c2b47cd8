"""The steps of a turn. The state machine returns them, and the turn executes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from letta_api.models import ToolCall


@frozen
class OpenStream:
    """Send the request of a round, or reconnect to its run.

    Attributes:
        arguments: The arguments of `create`, or of `stream` to reconnect.
        resume: Whether the request was sent before, so that `stream` finds its run.
    """

    arguments: dict[str, Any]
    resume: bool


@frozen
class RequestApproval:
    """Call the approval callback for a tool call."""

    call: ToolCall


@frozen
class RunTools:
    """Run the tools of these calls."""

    calls: Sequence[ToolCall]


@frozen
class PollRun:
    """Wait for `delay` seconds, then retrieve the status of a run whose events are lost."""

    run_id: str
    delay: float


@frozen
class FetchMessages:
    """List the newest messages, back to the first one of a run."""

    run_id: str


@frozen
class FindPending:
    """Find the run that holds the conversation, or else the approval request that is pending in it."""


Step: TypeAlias = OpenStream | RequestApproval | RunTools | PollRun | FetchMessages | FindPending
