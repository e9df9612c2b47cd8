"""`client.steps` and what lies below it, with HTTP answers in place of values."""

from __future__ import annotations

from ..raw.calls import async_raw, async_unread, raw, unread
from .steps import (
    AsyncFeedback,
    AsyncMetrics,
    AsyncStepMessages,
    AsyncSteps,
    AsyncTrace,
    Feedback,
    Metrics,
    StepMessages,
    Steps,
    Trace,
)


class MetricsWithRawResponse:
    """`client.steps.metrics`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, metrics: Metrics) -> None:
        self.retrieve = raw(metrics.retrieve)


class TraceWithRawResponse:
    """`client.steps.trace`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, trace: Trace) -> None:
        self.retrieve = raw(trace.retrieve)


class FeedbackWithRawResponse:
    """`client.steps.feedback`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, feedback: Feedback) -> None:
        self.create = raw(feedback.create)


class StepMessagesWithRawResponse:
    """`client.steps.messages`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, messages: StepMessages) -> None:
        self.list = raw(messages.list)


class StepsWithRawResponse:
    """`client.steps`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, steps: Steps) -> None:
        self.list = raw(steps.list)
        self.retrieve = raw(steps.retrieve)
        self.metrics = MetricsWithRawResponse(steps.metrics)
        self.trace = TraceWithRawResponse(steps.trace)
        self.feedback = FeedbackWithRawResponse(steps.feedback)
        self.messages = StepMessagesWithRawResponse(steps.messages)


class AsyncMetricsWithRawResponse:
    """`client.steps.metrics`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, metrics: AsyncMetrics) -> None:
        self.retrieve = async_raw(metrics.retrieve)


class AsyncTraceWithRawResponse:
    """`client.steps.trace`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, trace: AsyncTrace) -> None:
        self.retrieve = async_raw(trace.retrieve)


class AsyncFeedbackWithRawResponse:
    """`client.steps.feedback`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, feedback: AsyncFeedback) -> None:
        self.create = async_raw(feedback.create)


class AsyncStepMessagesWithRawResponse:
    """`client.steps.messages`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, messages: AsyncStepMessages) -> None:
        self.list = async_raw(messages.list)


class AsyncStepsWithRawResponse:
    """`client.steps`: each call returns the HTTP answer; its `parse()` gives the value."""

    def __init__(self, steps: AsyncSteps) -> None:
        self.list = async_raw(steps.list)
        self.retrieve = async_raw(steps.retrieve)
        self.metrics = AsyncMetricsWithRawResponse(steps.metrics)
        self.trace = AsyncTraceWithRawResponse(steps.trace)
        self.feedback = AsyncFeedbackWithRawResponse(steps.feedback)
        self.messages = AsyncStepMessagesWithRawResponse(steps.messages)


class MetricsWithStreamingResponse:
    """`client.steps.metrics`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, metrics: Metrics) -> None:
        self.retrieve = unread(metrics.retrieve)


class TraceWithStreamingResponse:
    """`client.steps.trace`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, trace: Trace) -> None:
        self.retrieve = unread(trace.retrieve)


class FeedbackWithStreamingResponse:
    """`client.steps.feedback`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, feedback: Feedback) -> None:
        self.create = unread(feedback.create)


class StepMessagesWithStreamingResponse:
    """`client.steps.messages`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, messages: StepMessages) -> None:
        self.list = unread(messages.list)


class StepsWithStreamingResponse:
    """`client.steps`: each call is for a `with` block and leaves the body unread."""

    def __init__(self, steps: Steps) -> None:
        self.list = unread(steps.list)
        self.retrieve = unread(steps.retrieve)
        self.metrics = MetricsWithStreamingResponse(steps.metrics)
        self.trace = TraceWithStreamingResponse(steps.trace)
        self.feedback = FeedbackWithStreamingResponse(steps.feedback)
        self.messages = StepMessagesWithStreamingResponse(steps.messages)


class AsyncMetricsWithStreamingResponse:
    """`client.steps.metrics`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, metrics: AsyncMetrics) -> None:
        self.retrieve = async_unread(metrics.retrieve)


class AsyncTraceWithStreamingResponse:
    """`client.steps.trace`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, trace: AsyncTrace) -> None:
        self.retrieve = async_unread(trace.retrieve)


class AsyncFeedbackWithStreamingResponse:
    """`client.steps.feedback`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, feedback: AsyncFeedback) -> None:
        self.create = async_unread(feedback.create)


class AsyncStepMessagesWithStreamingResponse:
    """`client.steps.messages`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, messages: AsyncStepMessages) -> None:
        self.list = async_unread(messages.list)


class AsyncStepsWithStreamingResponse:
    """`client.steps`: each call is for an `async with` block and leaves the body unread."""

    def __init__(self, steps: AsyncSteps) -> None:
        self.list = async_unread(steps.list)
        self.retrieve = async_unread(steps.retrieve)
        self.metrics = AsyncMetricsWithStreamingResponse(steps.metrics)
        self.trace = AsyncTraceWithStreamingResponse(steps.trace)
        self.feedback = AsyncFeedbackWithStreamingResponse(steps.feedback)
        self.messages = AsyncStepMessagesWithStreamingResponse(steps.messages)
