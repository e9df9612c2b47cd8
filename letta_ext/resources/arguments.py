"""The keyword arguments of each call: those of the operation, and those that every call takes."""

from __future__ import annotations

from letta_api.params import (
    ConversationsMessagesCompactParams,
    ConversationsMessagesCreateParams,
    ConversationsMessagesListParams,
    ConversationsMessagesStreamParams,
    StepsFeedbackCreateParams,
    StepsListParams,
    StepsMessagesListParams,
)

from ..calls.requests import RequestOptions
from ..lists.walk import Checkpoint


class ListOptions(RequestOptions, total=False):
    """What every list takes besides its own arguments.

    Attributes:
        checkpoint: where an earlier walk stood, as its page's `checkpoint()` said; it holds that walk's arguments.
        prefetch: whether the next page is fetched while the present one is used: by a thread, or a task of asyncio.
            Hooks are called there then.
    """

    checkpoint: Checkpoint
    prefetch: bool


class StepsListArguments(StepsListParams, ListOptions):
    """What `steps.list` takes."""


class FeedbackCreateArguments(StepsFeedbackCreateParams, RequestOptions):
    """What `steps.feedback.create` takes besides the id."""


class StepMessagesListArguments(StepsMessagesListParams, ListOptions):
    """What `steps.messages.list` takes besides the id."""


class MessagesListArguments(ConversationsMessagesListParams, ListOptions):
    """What `conversations.messages.list` takes besides the id."""


class MessagesCreateArguments(ConversationsMessagesCreateParams, RequestOptions):
    """What `conversations.messages.create` takes besides the id and `streaming`."""


class MessagesStreamArguments(ConversationsMessagesStreamParams, RequestOptions):
    """What `conversations.messages.stream` takes besides the id."""


class MessagesCompactArguments(ConversationsMessagesCompactParams, RequestOptions):
    """What `conversations.messages.compact` takes besides the id."""
