"""The clients' resources, with HTTP answers in place of values."""

from __future__ import annotations

from .conversations import AsyncConversations, Conversations
from .steps import AsyncSteps, Steps


class LettaWithRawResponse:
    """`client.with_raw_response`."""

    def __init__(self, steps: Steps, conversations: Conversations) -> None:
        self.steps = steps.with_raw_response
        self.conversations = conversations.with_raw_response


class AsyncLettaWithRawResponse:
    """`client.with_raw_response`."""

    def __init__(self, steps: AsyncSteps, conversations: AsyncConversations) -> None:
        self.steps = steps.with_raw_response
        self.conversations = conversations.with_raw_response


class LettaWithStreamingResponse:
    """`client.with_streaming_response`."""

    def __init__(self, steps: Steps, conversations: Conversations) -> None:
        self.steps = steps.with_streaming_response
        self.conversations = conversations.with_streaming_response


class AsyncLettaWithStreamingResponse:
    """`client.with_streaming_response`."""

    def __init__(self, steps: AsyncSteps, conversations: AsyncConversations) -> None:
        self.steps = steps.with_streaming_response
        self.conversations = conversations.with_streaming_response
