"""Tools that return, or raise, what nobody expects, and turns that are broken off in the midst of one."""

from __future__ import annotations

import asyncio
import enum
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import attrs
import pydantic
import pytest

from letta_api.models import ImageContent, TextContent, ToolCall
from letta_ext import LettaError
from letta_ext.testing import EmbeddedServer, Turn
from letta_ext.testing.engine.agent import Call
from letta_ext.tools import make_tool_registry, run_tool, to_tool_return

from .turns import ClientDriver, Weather, begin, kinds, listed, result, returns


class Fruit(enum.Enum):
    APPLE = "apple"


class Loud(enum.StrEnum):
    HEY = "hey"


@dataclass
class Spot:
    x: int
    when: date


@attrs.define
class Crate:
    fruit: Fruit
    spots: list[Spot]


class Model(pydantic.BaseModel):
    when: datetime
    inner: dict[str, Decimal]


class Plain:
    def __str__(self) -> str:
        return "a plain thing"


SPOT = Spot(1, date(2026, 1, 2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("text", "text"),
        ("a\ud800b\0c", "a?b\ufffdc"),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        (b"text", "text"),
        (bytearray(b"\xff\0"), "/wA="),
        (Fruit.APPLE, "apple"),
        (Loud.HEY, "hey"),
        (Decimal("0.1"), "0.1"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (date(2026, 1, 2), "2026-01-02"),
        (PurePosixPath("/a"), "/a"),
        (Plain(), "a plain thing"),
        ([], "[]"),
        (["ü", None], '["ü", null]'),
        (("a", {1}), '["a", [1]]'),
        ({"a": {Fruit.APPLE: b"x"}, 1: None}, '{"a": {"apple": "x"}, "1": null}'),
        (OrderedDict(a=SPOT), '{"a": {"x": 1, "when": "2026-01-02"}}'),
        (Crate(Fruit.APPLE, [SPOT]), '{"fruit": "apple", "spots": [{"x": 1, "when": "2026-01-02"}]}'),
        (
            Model(when=datetime(2026, 1, 2, tzinfo=UTC), inner={"a": Decimal(1)}),
            '{"when": "2026-01-02T00:00:00Z", "inner": {"a": "1"}}',
        ),
        ([Model(when=datetime(2026, 1, 2, tzinfo=UTC), inner={})], '[{"when": "2026-01-02T00:00:00Z", "inner": {}}]'),
        (TextContent(text="a"), '{"text": "a", "type": "text"}'),
        ([TextContent(text="a"), 1], '[{"text": "a", "type": "text"}, 1]'),
        (Spot, None),
    ],
)
def test_whatever_a_tool_returns_is_text(value: Any, text: str | None) -> None:
    assert to_tool_return(value) == (str(value) if text is None else text)


def test_content_parts_are_left_as_they_are() -> None:
    image: Any = ImageContent.from_dict(
        {"type": "image", "source": {"type": "base64", "data": "aGk=", "media_type": "image/png"}}
    )
    assert to_tool_return([TextContent(text="a"), image]) == [{"text": "a", "type": "text"}, image.to_dict()]


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raising(fault: BaseException) -> Callable[[str], Any]:
    def answer(_: str) -> Any:
        raise fault

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: circle(), "weather failed: RecursionError: "),
        (raising(ExceptionGroup("many", [ValueError("a"), KeyError("b")])), "weather failed: ExceptionGroup: many"),
        (raising(OSError("a\udcffb\0")), "weather failed: OSError: a?b\ufffd"),
        (raising(StopIteration(1)), "weather failed: StopIteration: 1"),
        (raising(UnprintableError()), "weather failed: "),
        (raising(RecursionError()), "weather failed: RecursionError"),
        (raising(TimeoutError()), "weather failed: TimeoutError"),
    ],
)
def test_whatever_a_tool_raises_is_an_error_return(
    side: ClientDriver, server: EmbeddedServer, answer: Callable[[str], Any], said: str
) -> None:
    found = result(side, server, [Weather(answer).weather], input="CALL weather")
    assert found.stop_reason.stop_reason == "end_turn"
    ((status, text),) = returns(listed(side, server))
    assert status == "error"
    assert text.startswith(said)


def test_arguments_whose_class_raises_whatever_it_likes() -> None:
    @dataclass
    class Fragile:
        x: int

        def __post_init__(self) -> None:
            raise ZeroDivisionError("no")

    def fragile(given: Any) -> None: ...

    fragile.__annotations__["given"] = Fragile
    box = make_tool_registry([fragile], may_be_async=False)
    run = run_tool(box, ToolCall(name="fragile", arguments='{"given": {"x": 1}}', tool_call_id="call_1"))
    assert (run.status, run.tool_return) == ("error", "fragile was not run: ZeroDivisionError: no")


@pytest.mark.parametrize("value", ["x" * 5_000_000, {"deep": [[[["x"] * 1000] * 10] * 10]}])
def test_much_of_it(side: ClientDriver, server: EmbeddedServer, value: Any) -> None:
    found = result(side, server, [Weather(lambda _: value).weather], input="CALL weather")
    assert returns(listed(side, server)) == [("success", found.tool_runs[0].tool_return)]


def test_a_tool_named_as_one_of_the_servers(side: ClientDriver, server: EmbeddedServer) -> None:
    """What runs here goes before."""

    def get_weather(city: str) -> str:
        return f"mine in {city}"

    result(side, server, [get_weather], input="CALL get_weather")
    assert returns(listed(side, server)) == [("success", "mine in Paris")]


class Stop(BaseException):
    pass


INTERRUPTED = "weather was interrupted and may have had an effect."


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Stop])
def test_breaking_off_in_a_tool_comes_out_and_the_tool_does_not_run_again(
    server: EmbeddedServer, kind: type[BaseException]
) -> None:
    side = ClientDriver(is_async=False)
    server.state.script.say(Turn(calls=[Call("weather", {"city": city}) for city in ("Rome", "Oslo")]))

    def answer(city: str) -> str:
        if city == "Rome":
            raise kind
        return city

    tool = Weather(answer)
    turn = begin(side, server, [tool.weather], input="go")
    with pytest.raises(kind):
        turn.result()
    assert tool.cities == ["Rome"]
    assert turn.result().rounds == 2
    assert tool.cities == ["Rome", "Oslo"]
    assert returns(listed(side, server)) == [("error", INTERRUPTED), ("success", "Oslo")]
    side.close()


def test_breaking_off_in_an_async_tool() -> None:
    """One fault comes out as it is, not as a group; what else ran at the same time was cancelled."""

    async def weather(city: str) -> str:
        ran.append(city)
        if city == "Rome":
            raise Stop
        await asyncio.Event().wait()
        return city

    async def go(server: EmbeddedServer) -> Any:
        server.state.script.say(Turn(calls=[Call("weather", {"city": city}) for city in ("Oslo", "Rome")]))
        turn = begin(side, server, [weather], input="go")
        with pytest.raises(Stop):
            await turn.result()
        return await turn.result()

    ran: list[str] = []
    side = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert side.run(go(server)).rounds == 2
        assert returns(listed(side, server)) == [("error", INTERRUPTED)] * 2
    assert sorted(ran) == ["Oslo", "Rome"]
    side.close()


def test_a_tool_that_is_cancelled_by_itself() -> None:
    async def weather(city: str) -> str:
        other = asyncio.create_task(asyncio.sleep(10))
        other.cancel()
        await other
        return city

    side = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert result(side, server, [weather], input="CALL weather").stop_reason.stop_reason == "end_turn"
        assert returns(listed(side, server)) == [("error", INTERRUPTED)]
    side.close()


def test_cancelling_the_turn_in_the_midst_of_an_async_tool() -> None:
    async def weather(city: str) -> str:
        ran.append(city)
        inside.set()
        await asyncio.Event().wait()
        return city

    async def go(server: EmbeddedServer) -> Any:
        turn = begin(side, server, [weather], input="CALL weather")
        task = asyncio.ensure_future(turn.result())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await turn.result()

    ran: list[str] = []
    inside = asyncio.Event()
    side = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert side.run(go(server)).rounds == 2
        assert returns(listed(side, server)) == [("error", INTERRUPTED)]
    assert ran == ["Paris"]
    side.close()


def test_cancelling_the_turn_in_the_midst_of_a_thread_loses_no_result() -> None:
    inside, gate, done = asyncio.Event(), threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def weather(city: str) -> str:
        loops[0].call_soon_threadsafe(inside.set)
        gate.wait(10)
        threading.Timer(0, done.set).start()
        return f"late in {city}"

    async def go(server: EmbeddedServer) -> Any:
        loops.append(asyncio.get_running_loop())
        turn = begin(side, server, [weather], input="CALL weather")
        task = asyncio.ensure_future(turn.result())
        await inside.wait()
        task.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await loops[0].run_in_executor(None, done.wait, 10)
        return await turn.result()

    side = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        found = side.run(go(server))
        assert [run.tool_return for run in found.tool_runs] == ["late in Paris"]
        assert returns(listed(side, server)) == [("success", "late in Paris")]
    side.close()


def test_interrupted_while_it_is_asked_for_approval(side: ClientDriver, server: EmbeddedServer) -> None:
    faults: list[BaseException] = [Stop()]

    def approve(_: Any) -> bool:
        if faults:
            raise faults.pop()
        return True

    turn = begin(side, server, approve=approve, input="CALL guarded")
    with pytest.raises(Stop):
        side.run(turn.result())
    assert side.run(turn.result()).decisions[0].approve


def test_a_tool_that_uses_its_own_conversation(server: EmbeddedServer) -> None:
    """The agent waits for its answer, and takes nothing else."""
    side = ClientDriver(is_async=False)
    client = side.client(base_url=server.base_url)

    def nested(city: str) -> str:
        client.conversations.messages.create(server.conversation_id, input=city, streaming=False)
        return "never"

    found = result(side, server, [nested], input="CALL nested")
    assert found.tool_runs[0].status == "error"
    assert "waiting for approval" in str(found.tool_runs[0].tool_return)
    assert kinds(listed(side, server)).count("user") == 1
    side.close()


def test_going_over_a_turn_twice_at_once_is_refused(side: ClientDriver, server: EmbeddedServer) -> None:
    def twice(turn: Any) -> Any:
        return [turn.result() for _ in turn]

    async def twice_async(turn: Any) -> None:
        async for _ in turn:
            await turn.result()

    tool = Weather()
    turn = begin(side, server, [tool.weather], input="CALL weather")
    with pytest.raises(LettaError, match="is being gone over already"):
        side.run(twice_async(turn) if side.is_async else twice(turn))
    assert side.run(turn.result()).rounds == 2
    assert tool.cities == ["Paris"]
    assert kinds(listed(side, server)).count("user") == 1


def test_going_on_at_once_where_an_async_loop_was_left() -> None:
    async def go(turn: Any) -> Any:
        async for _ in turn:
            break
        return await turn.result()

    side = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert side.run(go(begin(side, server, [Weather().weather], input="CALL weather"))).rounds == 2
    side.close()
