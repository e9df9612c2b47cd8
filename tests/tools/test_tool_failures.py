"""Unusual results and exceptions of tools, and turns that are interrupted during a tool."""

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
        return "a plain object"


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
        (Plain(), "a plain object"),
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
def test_to_tool_return_any_value_becomes_text(value: Any, text: str | None) -> None:
    """Each value becomes text, JSON text if necessary."""
    assert to_tool_return(value) == (str(value) if text is None else text)


def test_to_tool_return_content_parts_stay_parts() -> None:
    """A list of text and image parts stays a list."""
    image: Any = ImageContent.from_dict(
        {"type": "image", "source": {"type": "base64", "data": "aGk=", "media_type": "image/png"}}
    )
    assert to_tool_return([TextContent(text="a"), image]) == [{"text": "a", "type": "text"}, image.to_dict()]


def recursive_list() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raising(fault: BaseException) -> Callable[[str], Any]:
    def respond(_: str) -> Any:
        raise fault

    return respond


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (lambda _: recursive_list(), "weather failed: RecursionError: "),
        (raising(ExceptionGroup("many", [ValueError("a"), KeyError("b")])), "weather failed: ExceptionGroup: many"),
        (raising(OSError("a\udcffb\0")), "weather failed: OSError: a?b\ufffd"),
        (raising(StopIteration(1)), "weather failed: StopIteration: 1"),
        (raising(UnprintableError()), "weather failed: "),
        (raising(RecursionError()), "weather failed: RecursionError"),
        (raising(TimeoutError()), "weather failed: TimeoutError"),
    ],
)
def test_turn_any_exception_sends_error_result(
    driver: ClientDriver, server: EmbeddedServer, respond: Callable[[str], Any], message: str
) -> None:
    """Each exception of a tool, and each unserializable result, becomes an error result."""
    found = result(driver, server, [Weather(respond).weather], input="CALL weather")
    assert found.stop_reason.stop_reason == "end_turn"
    ((status, text),) = returns(listed(driver, server))
    assert status == "error"
    assert text.startswith(message)


def test_run_tool_exception_in_argument_class_is_error_result() -> None:
    """An exception in the class of an argument becomes an error result."""

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
def test_turn_large_result_is_sent_completely(driver: ClientDriver, server: EmbeddedServer, value: Any) -> None:
    """Results of several megabytes are sent completely."""
    found = result(driver, server, [Weather(lambda _: value).weather], input="CALL weather")
    assert returns(listed(driver, server)) == [("success", found.tool_runs[0].tool_return)]


def test_turn_client_tool_overrides_server_tool(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A client-side tool takes precedence over a server-side tool of the same name."""

    def get_weather(city: str) -> str:
        return f"mine in {city}"

    result(driver, server, [get_weather], input="CALL get_weather")
    assert returns(listed(driver, server)) == [("success", "mine in Paris")]


class Stop(BaseException):
    pass


INTERRUPTED = "weather was interrupted and may have had an effect."


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Stop])
def test_sync_turn_interrupted_tool_does_not_run_again(server: EmbeddedServer, kind: type[BaseException]) -> None:
    """A BaseException in a tool is raised, and the tool never runs again."""
    driver = ClientDriver(is_async=False)
    server.state.script.say(Turn(calls=[Call("weather", {"city": city}) for city in ("Rome", "Oslo")]))

    def respond(city: str) -> str:
        if city == "Rome":
            raise kind
        return city

    tool = Weather(respond)
    turn = begin(driver, server, [tool.weather], input="go")
    with pytest.raises(kind):
        turn.result()
    assert tool.cities == ["Rome"]
    assert turn.result().rounds == 2
    assert tool.cities == ["Rome", "Oslo"]
    assert returns(listed(driver, server)) == [("error", INTERRUPTED), ("success", "Oslo")]
    driver.close()


def test_async_turn_interrupted_tool_cancels_the_others() -> None:
    """A BaseException is raised without an exception group, and the concurrent tools are cancelled."""

    async def weather(city: str) -> str:
        ran.append(city)
        if city == "Rome":
            raise Stop
        await asyncio.Event().wait()
        return city

    async def go(server: EmbeddedServer) -> Any:
        server.state.script.say(Turn(calls=[Call("weather", {"city": city}) for city in ("Oslo", "Rome")]))
        turn = begin(driver, server, [weather], input="go")
        with pytest.raises(Stop):
            await turn.result()
        return await turn.result()

    ran: list[str] = []
    driver = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert driver.run(go(server)).rounds == 2
        assert returns(listed(driver, server)) == [("error", INTERRUPTED)] * 2
    assert sorted(ran) == ["Oslo", "Rome"]
    driver.close()


def test_async_turn_tool_cancelling_itself_sends_error_result() -> None:
    """A tool that raises CancelledError becomes an error result."""

    async def weather(city: str) -> str:
        other = asyncio.create_task(asyncio.sleep(10))
        other.cancel()
        await other
        return city

    driver = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert result(driver, server, [weather], input="CALL weather").stop_reason.stop_reason == "end_turn"
        assert returns(listed(driver, server)) == [("error", INTERRUPTED)]
    driver.close()


def test_async_turn_cancelled_in_async_tool_does_not_run_it_again() -> None:
    """Cancelling a turn cancels its async tool, which never runs again."""

    async def weather(city: str) -> str:
        ran.append(city)
        inside.set()
        await asyncio.Event().wait()
        return city

    async def go(server: EmbeddedServer) -> Any:
        turn = begin(driver, server, [weather], input="CALL weather")
        task = asyncio.ensure_future(turn.result())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await turn.result()

    ran: list[str] = []
    inside = asyncio.Event()
    driver = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert driver.run(go(server)).rounds == 2
        assert returns(listed(driver, server)) == [("error", INTERRUPTED)]
    assert ran == ["Paris"]
    driver.close()


def test_async_turn_cancelled_in_thread_keeps_the_result() -> None:
    """The result of a thread that outlives its cancelled turn is sent later."""
    inside, gate, done = asyncio.Event(), threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def weather(city: str) -> str:
        loops[0].call_soon_threadsafe(inside.set)
        gate.wait(10)
        threading.Timer(0, done.set).start()
        return f"late in {city}"

    async def go(server: EmbeddedServer) -> Any:
        loops.append(asyncio.get_running_loop())
        turn = begin(driver, server, [weather], input="CALL weather")
        task = asyncio.ensure_future(turn.result())
        await inside.wait()
        task.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await loops[0].run_in_executor(None, done.wait, 10)
        return await turn.result()

    driver = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        found = driver.run(go(server))
        assert [run.tool_return for run in found.tool_runs] == ["late in Paris"]
        assert returns(listed(driver, server)) == [("success", "late in Paris")]
    driver.close()


def test_turn_interrupted_approval_is_requested_again(driver: ClientDriver, server: EmbeddedServer) -> None:
    """An interrupted approval callback is called again."""
    faults: list[BaseException] = [Stop()]

    def approve(_: Any) -> bool:
        if faults:
            raise faults.pop()
        return True

    turn = begin(driver, server, approve=approve, input="CALL guarded")
    with pytest.raises(Stop):
        driver.run(turn.result())
    assert driver.run(turn.result()).decisions[0].approve


def test_turn_tool_sending_to_its_own_conversation_sends_error_result(server: EmbeddedServer) -> None:
    """A send to the waiting conversation fails inside the tool only."""
    driver = ClientDriver(is_async=False)
    client = driver.client(base_url=server.base_url)

    def nested(city: str) -> str:
        client.conversations.messages.create(server.conversation_id, input=city, streaming=False)
        return "never"

    found = result(driver, server, [nested], input="CALL nested")
    assert found.tool_runs[0].status == "error"
    assert "waiting for approval" in str(found.tool_runs[0].tool_return)
    assert kinds(listed(driver, server)).count("user") == 1
    driver.close()


def test_turn_concurrent_iteration_raises(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A second concurrent iteration raises, and the turn can continue."""

    def twice(turn: Any) -> Any:
        return [turn.result() for _ in turn]

    async def twice_async(turn: Any) -> None:
        async for _ in turn:
            await turn.result()

    tool = Weather()
    turn = begin(driver, server, [tool.weather], input="CALL weather")
    with pytest.raises(LettaError, match="is already being iterated"):
        driver.run(twice_async(turn) if driver.is_async else twice(turn))
    assert driver.run(turn.result()).rounds == 2
    assert tool.cities == ["Paris"]
    assert kinds(listed(driver, server)).count("user") == 1


def test_async_turn_result_after_left_loop_continues() -> None:
    """`result()` continues immediately after a loop was left."""

    async def go(turn: Any) -> Any:
        async for _ in turn:
            break
        return await turn.result()

    driver = ClientDriver(is_async=True)
    with EmbeddedServer() as server:
        assert driver.run(go(begin(driver, server, [Weather().weather], input="CALL weather"))).rounds == 2
    driver.close()
