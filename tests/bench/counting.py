"""Cost without a clock: the instructions that the interpreter carries out, the same on every run and every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any


def instructions(work: Callable[[], object]) -> int:
    """How many bytecode instructions a call takes, in all that it calls. What is written in C counts for one."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    work()  # caches are filled, modules loaded
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def copier(like: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], object]:
    """The least that a decoder of such objects can do: an object with a slot for each key, filled in straight lines.

    It checks nothing, converts nothing, and forgets what it does not know.
    """
    names = [f"f{number}" for number in range(len(like))]
    kind = type("Copy", (), {"__slots__": names})
    lines = [f"    it.{name} = data[{key!r}]" for name, key in zip(names, like, strict=True)]
    space: dict[str, Any] = {"kind": kind}
    exec("\n".join(["def copy(data):", "    it = kind()", *lines, "    return it"]), space)  # noqa: S102  (keys of ours)
    copy: Callable[[Mapping[str, Any]], object] = space["copy"]
    return copy
