"""The memory and time of a send do not depend on the length of the conversation."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from typing import Any, Final

import pytest

from .conftest import SAMPLED, ServerClient

SENDS: Final = 5_000 if os.environ.get("LETTA_STRESS") == "full" else 200

pytestmark = SAMPLED


@pytest.mark.letta(check=False)
@pytest.mark.parametrize(
    "body", [{"streaming": False}, {"stream_tokens": True}, {"background": True}], ids=["json", "tokens", "background"]
)
def test_memory_per_send_is_constant(
    api: ServerClient, body: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The memory that a send retains does not grow with the number of previous messages."""
    used: list[int] = []
    took: list[float] = []
    tracemalloc.start()
    try:
        for _ in range(10):
            before, began = tracemalloc.get_traced_memory()[0], time.process_time()
            for _ in range(SENDS // 10):
                assert api.send("hello", **body).status_code == 200
            gc.collect()
            used.append(tracemalloc.get_traced_memory()[0] - before)
            took.append(time.process_time() - began)
    finally:
        tracemalloc.stop()
    each = [part / (SENDS // 10) / 1024 for part in used]
    with capsys.disabled():
        print(
            f"\nMEMORY of {SENDS} sends ({next(iter(body))}): {each[1]:.1f} KiB each at the beginning, "
            f"{each[-1]:.1f} KiB at the end; {took[-1] / took[1]:.2f} times the time"
        )
    assert each[-1] < 1.5 * each[1] + 1
    # The trace of a step is as complete as before.
    step = api.steps(limit=1)[0]
    request = api.http.get(f"/v1/steps/{step['id']}/trace").json()["request_json"]
    assert len(request["messages"]) == 2 * SENDS
