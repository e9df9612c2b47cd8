"""`python -m tests.bench.spent`: where the interpreter's instructions of a row go, by function. No clock is asked.

What is written in C counts for one instruction, so the counts say where Python works, not how long C takes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from . import bodies
from .measuring import OURS
from .rows_decoding import event, page, whole_stream

EVENTS = 1_000
SHOWN = 8


def by_function(work: Callable[[], object]) -> Counter[str]:
    """Count the instructions of a call by function. Complete on Python 3.11 only."""
    work()  # caches are filled, modules loaded
    found: Counter[str] = Counter()

    def trace(frame: FrameType, happened: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if happened == "opcode":
            found[f"{Path(frame.f_code.co_filename).name}: {frame.f_code.co_name}"] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return found


def main() -> None:
    """Print a table for each row."""
    stream, messages = bodies.stream(EVENTS), bodies.page_of_messages(EVENTS)
    rows = {
        "a stream event": (event(bodies.delta())[OURS], 1),
        "a message of a list page": (page(messages)[OURS], EVENTS),
        "whole stream, an event in a chunk": (whole_stream(bodies.frame_by_frame(stream))[OURS], EVENTS),
        "whole stream, in chunks of 1,400 bytes": (whole_stream(bodies.in_chunks(stream))[OURS], EVENTS),
    }
    for name, (work, each) in rows.items():
        found = by_function(work)
        print(f"{name}: {found.total() / each:.0f} instructions")
        for function, count in found.most_common(SHOWN):
            print(f"  {count / each:6.1f}  {function}")


if __name__ == "__main__":
    main()
