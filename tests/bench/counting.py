"""Cost without a clock: the executed bytecode instructions, the same in every run and on every machine."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import FrameType
from typing import Any, Final

SLACK: Final = 1.5
"""A budget is below this multiple of its figure."""


def instructions(work: Callable[[], object]) -> int:
    """Return the bytecode instructions of a call and its callees. Code in C counts as one.

    It is the lower of two counts: a cache that another test has invalidated is filled in one of them only.
    """
    work()  # fills caches and loads modules
    measured = _monitored if sys.version_info >= (3, 12) else _traced
    with without_collections():
        return min(measured(work) for _ in range(2))


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep out the finalizers of objects that other tests left: they run as Python code in any thread."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _traced(work: Callable[[], object]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _monitored(work: Callable[[], object]) -> int:
    count, thread = 0, threading.get_ident()

    def instruction(*_: object) -> None:
        nonlocal count
        count += threading.get_ident() == thread  # events of every thread arrive here

    monitoring: Any = vars(sys)["monitoring"]  # there from 3.12 on, where tracing does not tell all
    tool, kind = monitoring.PROFILER_ID, monitoring.events.INSTRUCTION
    monitoring.use_tool_id(tool, __name__)
    monitoring.register_callback(tool, kind, instruction)
    monitoring.set_events(tool, kind)
    try:
        work()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    return count


def copier(like: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], object]:
    """Return the cheapest decoder of such objects: it fills an object with a slot for each key.

    It does not check or convert values, and it drops unknown keys.
    """
    names = [f"f{number}" for number in range(len(like))]
    kind = type("Copy", (), {"__slots__": names})
    lines = [f"    it.{name} = data[{key!r}]" for name, key in zip(names, like, strict=True)]
    space: dict[str, Any] = {"kind": kind}
    exec("\n".join(["def copy(data):", "    it = kind()", *lines, "    return it"]), space)  # noqa: S102  (keys of ours)
    copy: Callable[[Mapping[str, Any]], object] = space["copy"]
    return copy


def least(*objects: Mapping[str, Any]) -> int:
    """Return the instructions of the cheapest decoding of these objects."""
    return sum(_least_of(tuple(each)) for each in objects)


@cache
def _least_of(keys: tuple[str, ...]) -> int:
    example = dict.fromkeys(keys)
    return instructions(partial(copier(example), example))


def check(figure: float, bound: float) -> None:
    """Check a figure against its budget, and the budget against the figure."""
    assert figure <= bound, f"costs {figure:.2f} times the least, of which {bound} are allowed"
    assert bound < SLACK * figure, f"costs only {figure:.2f} times the least: lower the bound of {bound}"


class CallCounter:
    """Counts calls of Python functions and resumptions of generators in one thread.

    Attributes:
        count: The calls so far.
    """

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Count from zero until the block or `stop` ends it, without garbage collections."""
        self.count, before = 0, sys.getprofile()
        with without_collections():
            sys.setprofile(self._profile)
            try:
                yield
            finally:
                sys.setprofile(before)

    def stop(self) -> None:
        """End the count within the block."""
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        self.count += event == "call"
