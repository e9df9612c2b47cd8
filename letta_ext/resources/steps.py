"""`client.steps` and what lies below it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from letta_api import api, operations

from ..raw.calls import View
from ..sending.transport import AsyncTransport, Transport
from .signatures import takes

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.models import ProviderTrace, Step, StepMetrics
    from letta_api.unions import Message

    from ..calls.requests import RequestOptions
    from ..lists.pages import AsyncPaginator, SyncPage
    from .arguments import FeedbackCreateArguments, StepMessagesListArguments, StepsListArguments
    from .raw_steps import (
        AsyncFeedbackWithRawResponse,
        AsyncFeedbackWithStreamingResponse,
        AsyncMetricsWithRawResponse,
        AsyncMetricsWithStreamingResponse,
        AsyncStepMessagesWithRawResponse,
        AsyncStepMessagesWithStreamingResponse,
        AsyncStepsWithRawResponse,
        AsyncStepsWithStreamingResponse,
        AsyncTraceWithRawResponse,
        AsyncTraceWithStreamingResponse,
        FeedbackWithRawResponse,
        FeedbackWithStreamingResponse,
        MetricsWithRawResponse,
        MetricsWithStreamingResponse,
        StepMessagesWithRawResponse,
        StepMessagesWithStreamingResponse,
        StepsWithRawResponse,
        StepsWithStreamingResponse,
        TraceWithRawResponse,
        TraceWithStreamingResponse,
    )


class Metrics:
    """`client.steps.metrics`."""

    with_raw_response: View[MetricsWithRawResponse] = View("raw_steps", "MetricsWithRawResponse")
    with_streaming_response: View[MetricsWithStreamingResponse] = View(
        "raw_steps", "MetricsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @takes(operations.STEPS_METRICS_RETRIEVE)
    def retrieve(self, step_id: str, **options: Unpack[RequestOptions]) -> StepMetrics:
        """Fetches how long a step took, in nanoseconds.

        Documented as `GET /v1/steps/{step_id}/metrics`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            **options: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Raises:
            NotFoundError: there is no such step, or it has no metrics.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.call(api.steps_metrics.steps_metrics_retrieve, (step_id,), options)


class Trace:
    """`client.steps.trace`."""

    with_raw_response: View[TraceWithRawResponse] = View("raw_steps", "TraceWithRawResponse")
    with_streaming_response: View[TraceWithStreamingResponse] = View(
        "raw_steps", "TraceWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @takes(operations.STEPS_TRACE_RETRIEVE)
    def retrieve(self, step_id: str, **options: Unpack[RequestOptions]) -> ProviderTrace | None:
        """Fetches what a step sent to its model's provider, and what came back.

        Documented as `GET /v1/steps/{step_id}/trace`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            **options: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The trace, or None where the server has none, also where there is no such step.

        Raises:
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.call(api.steps_trace.steps_trace_retrieve, (step_id,), options)


class Feedback:
    """`client.steps.feedback`."""

    with_raw_response: View[FeedbackWithRawResponse] = View("raw_steps", "FeedbackWithRawResponse")
    with_streaming_response: View[FeedbackWithStreamingResponse] = View(
        "raw_steps", "FeedbackWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @takes(operations.STEPS_FEEDBACK_CREATE)
    def create(self, step_id: str, **arguments: Unpack[FeedbackCreateArguments]) -> Step:
        """Sets the feedback of a step.

        The server takes a call without `feedback`, also one with `tags` alone, as the wish to clear it. Documented as
        `PATCH /v1/steps/{step_id}/feedback`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            feedback: `"positive"`, `"negative"`, or None, which clears it, as leaving it out does.
            tags: tags for the step; those that it has stay where none are given.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The step as it is then.

        Raises:
            NotFoundError: there is no such step.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.call(api.steps_feedback.steps_feedback_create, (step_id,), arguments)


class StepMessages:
    """`client.steps.messages`."""

    with_raw_response: View[StepMessagesWithRawResponse] = View("raw_steps", "StepMessagesWithRawResponse")
    with_streaming_response: View[StepMessagesWithStreamingResponse] = View(
        "raw_steps", "StepMessagesWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @takes(operations.STEPS_MESSAGES_LIST)
    def list(self, step_id: str, **arguments: Unpack[StepMessagesListArguments]) -> SyncPage[Message]:
        """Lists the messages of a step, oldest first unless `order` says otherwise.

        What the agent answered shows as a reasoning message here. A step that does not exist has no messages.
        Documented as `GET /v1/steps/{step_id}/messages`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            after: the id of a message, `message-<uuid4>`: those behind it in the order of the list.
            before: the id of a message: those ahead of it in the order of the list.
            limit: messages to a page, 100 by default.
            order: `"asc"`, the default, for oldest first, or `"desc"`.
            order_by: `"created_at"`, the only field there is.
            checkpoint: goes on where an earlier walk stood, as its page's `checkpoint()` said; it holds the arguments
                of that list.
            prefetch: True to fetch each page while the one before is used; not by default.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The first page; iterating it goes on through the others.

        Raises:
            ListChangedError: the list changed so that it cannot be told where the walk stands.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.page(api.steps_messages.steps_messages_list, (step_id,), arguments)


class Steps:
    """`client.steps`."""

    with_raw_response: View[StepsWithRawResponse] = View("raw_steps", "StepsWithRawResponse")
    with_streaming_response: View[StepsWithStreamingResponse] = View(
        "raw_steps", "StepsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @cached_property
    def metrics(self) -> Metrics:
        """How long steps took."""
        return Metrics(self._transport)

    @cached_property
    def trace(self) -> Trace:
        """What steps sent to providers."""
        return Trace(self._transport)

    @cached_property
    def feedback(self) -> Feedback:
        """What people think of steps."""
        return Feedback(self._transport)

    @cached_property
    def messages(self) -> StepMessages:
        """The messages of steps."""
        return StepMessages(self._transport)

    @takes(operations.STEPS_LIST)
    def list(self, **arguments: Unpack[StepsListArguments]) -> SyncPage[Step]:
        """Lists steps, newest first unless `order` says otherwise.

        What happens where the list changes meanwhile is in `docs/lists.md`. Documented as `GET /v1/steps/`.

        Args:
            agent_id: steps of this agent.
            start_date: steps made after this instant, ISO 8601, such as `"2025-01-29T15:01:19-08:00"`.
            end_date: steps made before this instant, ISO 8601.
            model: steps that used the model of this name.
            feedback: steps with this feedback, `"positive"` or `"negative"`.
            has_feedback: steps that have feedback, or have none.
            tags: steps that have one of these tags.
            trace_ids: steps of these traces.
            project_id: steps of this project, on Letta's cloud.
            after: the id of a step, `step-<uuid4>`: those behind it in the order of the list.
            before: the id of a step: those ahead of it in the order of the list.
            limit: steps to a page, 50 by default.
            order: `"desc"`, the default, for newest first, or `"asc"`.
            order_by: `"created_at"`, the only field there is.
            checkpoint: goes on where an earlier walk stood, as its page's `checkpoint()` said; it holds the arguments
                of that list.
            prefetch: True to fetch each page while the one before is used; not by default.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The first page; iterating it goes on through the others.

        Raises:
            NotFoundError: there is no step `after` or `before`.
            ListChangedError: the list changed so that it cannot be told where the walk stands.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.page(api.steps.steps_list, (), arguments)

    @takes(operations.STEPS_RETRIEVE)
    def retrieve(self, step_id: str, **options: Unpack[RequestOptions]) -> Step:
        """Fetches a step.

        Documented as `GET /v1/steps/{step_id}`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            **options: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Raises:
            NotFoundError: there is no such step.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.call(api.steps.steps_retrieve, (step_id,), options)


class AsyncMetrics:
    """`client.steps.metrics`."""

    with_raw_response: View[AsyncMetricsWithRawResponse] = View("raw_steps", "AsyncMetricsWithRawResponse")
    with_streaming_response: View[AsyncMetricsWithStreamingResponse] = View(
        "raw_steps", "AsyncMetricsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @takes(operations.STEPS_METRICS_RETRIEVE)
    async def retrieve(self, step_id: str, **options: Unpack[RequestOptions]) -> StepMetrics:
        """Fetches how long a step took, in nanoseconds.

        Documented as `GET /v1/steps/{step_id}/metrics`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            **options: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Raises:
            NotFoundError: there is no such step, or it has no metrics.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return await self._transport.call(api.steps_metrics.steps_metrics_retrieve, (step_id,), options)


class AsyncTrace:
    """`client.steps.trace`."""

    with_raw_response: View[AsyncTraceWithRawResponse] = View("raw_steps", "AsyncTraceWithRawResponse")
    with_streaming_response: View[AsyncTraceWithStreamingResponse] = View(
        "raw_steps", "AsyncTraceWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @takes(operations.STEPS_TRACE_RETRIEVE)
    async def retrieve(self, step_id: str, **options: Unpack[RequestOptions]) -> ProviderTrace | None:
        """Fetches what a step sent to its model's provider, and what came back.

        Documented as `GET /v1/steps/{step_id}/trace`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            **options: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The trace, or None where the server has none, also where there is no such step.

        Raises:
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return await self._transport.call(api.steps_trace.steps_trace_retrieve, (step_id,), options)


class AsyncFeedback:
    """`client.steps.feedback`."""

    with_raw_response: View[AsyncFeedbackWithRawResponse] = View("raw_steps", "AsyncFeedbackWithRawResponse")
    with_streaming_response: View[AsyncFeedbackWithStreamingResponse] = View(
        "raw_steps", "AsyncFeedbackWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @takes(operations.STEPS_FEEDBACK_CREATE)
    async def create(self, step_id: str, **arguments: Unpack[FeedbackCreateArguments]) -> Step:
        """Sets the feedback of a step.

        The server takes a call without `feedback`, also one with `tags` alone, as the wish to clear it. Documented as
        `PATCH /v1/steps/{step_id}/feedback`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            feedback: `"positive"`, `"negative"`, or None, which clears it, as leaving it out does.
            tags: tags for the step; those that it has stay where none are given.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The step as it is then.

        Raises:
            NotFoundError: there is no such step.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return await self._transport.call(api.steps_feedback.steps_feedback_create, (step_id,), arguments)


class AsyncStepMessages:
    """`client.steps.messages`."""

    with_raw_response: View[AsyncStepMessagesWithRawResponse] = View("raw_steps", "AsyncStepMessagesWithRawResponse")
    with_streaming_response: View[AsyncStepMessagesWithStreamingResponse] = View(
        "raw_steps", "AsyncStepMessagesWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @takes(operations.STEPS_MESSAGES_LIST)
    def list(self, step_id: str, **arguments: Unpack[StepMessagesListArguments]) -> AsyncPaginator[Message]:
        """Lists the messages of a step, oldest first unless `order` says otherwise.

        What the agent answered shows as a reasoning message here. A step that does not exist has no messages.
        Documented as `GET /v1/steps/{step_id}/messages`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            after: the id of a message, `message-<uuid4>`: those behind it in the order of the list.
            before: the id of a message: those ahead of it in the order of the list.
            limit: messages to a page, 100 by default.
            order: `"asc"`, the default, for oldest first, or `"desc"`.
            order_by: `"created_at"`, the only field there is.
            checkpoint: goes on where an earlier walk stood, as its page's `checkpoint()` said; it holds the arguments
                of that list.
            prefetch: True to fetch each page while the one before is used; not by default.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            Await it for the first page, or go over all items with `async for`.

        Raises:
            ListChangedError: the list changed so that it cannot be told where the walk stands.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.page(api.steps_messages.steps_messages_list, (step_id,), arguments)


class AsyncSteps:
    """`client.steps`."""

    with_raw_response: View[AsyncStepsWithRawResponse] = View("raw_steps", "AsyncStepsWithRawResponse")
    with_streaming_response: View[AsyncStepsWithStreamingResponse] = View(
        "raw_steps", "AsyncStepsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @cached_property
    def metrics(self) -> AsyncMetrics:
        """How long steps took."""
        return AsyncMetrics(self._transport)

    @cached_property
    def trace(self) -> AsyncTrace:
        """What steps sent to providers."""
        return AsyncTrace(self._transport)

    @cached_property
    def feedback(self) -> AsyncFeedback:
        """What people think of steps."""
        return AsyncFeedback(self._transport)

    @cached_property
    def messages(self) -> AsyncStepMessages:
        """The messages of steps."""
        return AsyncStepMessages(self._transport)

    @takes(operations.STEPS_LIST)
    def list(self, **arguments: Unpack[StepsListArguments]) -> AsyncPaginator[Step]:
        """Lists steps, newest first unless `order` says otherwise.

        What happens where the list changes meanwhile is in `docs/lists.md`. Documented as `GET /v1/steps/`.

        Args:
            agent_id: steps of this agent.
            start_date: steps made after this instant, ISO 8601, such as `"2025-01-29T15:01:19-08:00"`.
            end_date: steps made before this instant, ISO 8601.
            model: steps that used the model of this name.
            feedback: steps with this feedback, `"positive"` or `"negative"`.
            has_feedback: steps that have feedback, or have none.
            tags: steps that have one of these tags.
            trace_ids: steps of these traces.
            project_id: steps of this project, on Letta's cloud.
            after: the id of a step, `step-<uuid4>`: those behind it in the order of the list.
            before: the id of a step: those ahead of it in the order of the list.
            limit: steps to a page, 50 by default.
            order: `"desc"`, the default, for newest first, or `"asc"`.
            order_by: `"created_at"`, the only field there is.
            checkpoint: goes on where an earlier walk stood, as its page's `checkpoint()` said; it holds the arguments
                of that list.
            prefetch: True to fetch each page while the one before is used; not by default.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            Await it for the first page, or go over all items with `async for`.

        Raises:
            NotFoundError: there is no step `after` or `before`.
            ListChangedError: the list changed so that it cannot be told where the walk stands.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return self._transport.page(api.steps.steps_list, (), arguments)

    @takes(operations.STEPS_RETRIEVE)
    async def retrieve(self, step_id: str, **options: Unpack[RequestOptions]) -> Step:
        """Fetches a step.

        Documented as `GET /v1/steps/{step_id}`.

        Args:
            step_id: the id of the step, `step-<uuid4>`.
            **options: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Raises:
            NotFoundError: there is no such step.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        return await self._transport.call(api.steps.steps_retrieve, (step_id,), options)
