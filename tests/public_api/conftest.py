"""Fixture: an exporter of spans."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def exporter() -> Any:
    # Imported here, so that earlier tests are not traced.
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter
