"""Programs written for letta-client give the same with this client: only their import lines differ."""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from letta_ext.testing import Call, Cut, EmbeddedServer, Respond, Turn

PROGRAMS = Path(__file__).parent / "programs"
CLIENTS = ("letta_client", "letta_ext")


@pytest.fixture(params=CLIENTS)
def package(request: pytest.FixtureRequest) -> str:
    """Return the package that a program imports."""
    return str(request.param)


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """Return a server with one agent and one conversation."""
    with EmbeddedServer() as started:
        yield started


@pytest.fixture
def client(package: str, server: EmbeddedServer) -> Iterator[Any]:
    """Return a client of the package."""
    with importlib.import_module(package).Letta(base_url=server.base_url, api_key="k") as made:
        yield made


def load(name: str, package: str) -> ModuleType:
    """Return a program, with its imports of this client replaced by those of a package."""
    source = (PROGRAMS / f"{name}.py").read_text("utf-8")
    lines = [line.replace("letta_ext", package) if "import" in line else line for line in source.splitlines()]
    module = ModuleType(f"{name}_with_{package}")
    sys.modules[module.__name__] = module  # dataclasses and pydantic look up the module of a class
    exec(compile("\n".join(lines), f"{name}.py", "exec"), vars(module))  # noqa: S102  # a program of this directory
    return module


def test_load_replaces_every_import(package: str) -> None:
    """A program imports from one of the clients only."""
    for file in PROGRAMS.glob("*.py"):
        values = vars(load(file.stem, package)).values()
        sources = {value.__module__.partition(".")[0] for value in values if isinstance(value, type)}
        other = {"letta_client"} if package == "letta_ext" else {"letta_ext", "letta_api"}
        assert not sources & other


def test_relay_streams_events_and_returns_models(package: str, server: EmbeddedServer) -> None:
    """A FastAPI application relays events as lines, and returns steps as they were received."""

    async def use() -> None:
        async with importlib.import_module(package).AsyncLetta(base_url=server.base_url, api_key="k") as client:
            transport = httpx.ASGITransport(load("relay", package).make_app(client))
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
                question = {"conversation_id": server.conversation_id, "text": "hello"}
                response = await http.post("/ask", json=question)
                *events, done, _ = [line.removeprefix("data: ") for line in response.text.split("\n\n")]
                kinds = [json.loads(event)["message_type"] for event in events]
                assert kinds[-2:] == ["stop_reason", "usage_statistics"]
                assert done == "[DONE]"
                step = (await client.steps.list(agent_id=server.agent_id)).items[0]
                shown = (await http.get(f"/steps/{step.id}")).json()
                assert (shown["id"], shown["status"], shown["total_tokens"]) == (step.id, "success", step.total_tokens)
                report = (await http.get(f"/reports/{step.id}")).json()
                assert (report["step"]["id"], report["note"]) == (step.id, "checked")
                missing = await http.get("/steps/step-00000000-0000-4000-8000-000000000000")
                assert missing.status_code == 404

    asyncio.run(use())


def test_generator_yields_text_and_notes(package: str, client: Any, server: EmbeddedServer) -> None:
    """A pipeline yields pieces of text in order, and ends with the stop reason."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    pieces = list(load("generator", package).run_chat_completion(client, server.conversation_id, messages))
    assert pieces[-1] == "[end_turn]"
    assert "".join(piece for piece in pieces if piece[0] not in "<[") == "Hello! How can I help you? "


def test_reader_edits_message_as_tokens_arrive(package: str, server: EmbeddedServer) -> None:
    """A reader of a background stream shows growing text, and records where the stream is."""

    async def use() -> Any:
        module = load("reader", package)
        chat = module.Chat()
        async with importlib.import_module(package).AsyncLetta(base_url=server.base_url, api_key="k") as client:
            return chat, await module.on_message(client, chat, server.conversation_id, "hello")

    chat, reply = asyncio.run(use())
    assert reply.finished
    assert reply.text == chat.edits[-1] == "Hello! How can I help you? "
    assert chat.notices == ["end_turn"]
    assert reply.run_id.startswith("run-")
    assert reply.seq_id > 5


def test_reader_gets_whole_reply_after_interruption(package: str, server: EmbeddedServer) -> None:
    """The reply is complete although the connection is lost. letta-client raises an error of httpx."""
    server.faults.add(Cut(events=4), on="conversations.messages.create")

    async def use() -> Any:
        module = load("reader", package)
        async with importlib.import_module(package).AsyncLetta(base_url=server.base_url, api_key="k") as client:
            return await module.on_message(client, module.Chat(), server.conversation_id, "hello")

    if package == "letta_client":
        with pytest.raises(httpx.RemoteProtocolError):
            asyncio.run(use())
        return
    reply = asyncio.run(use())
    assert (reply.finished, reply.text) == (True, "Hello! How can I help you? ")


def test_evaluation_scores_cases_and_rates_steps(package: str, client: Any, server: EmbeddedServer) -> None:
    """Each case has a conversation of its own, its tokens and its steps."""
    server.script.when("capital", "Rome.")
    module = load("evaluation", package)
    cases = [module.Case("What is the capital of Italy?", "Rome"), module.Case("hello", "Paris")]
    scores = module.evaluate(client, server.agent_id, cases)
    assert [(score.question, score.passed, score.steps) for score in scores] == [
        ("What is the capital of Italy?", True, 1),
        ("hello", False, 1),
    ]
    assert all(score.tokens > 0 for score in scores)
    assert sorted(step.feedback for step in client.steps.list(agent_id=server.agent_id).items) == [
        "negative",
        "positive",
    ]


def test_evaluation_counts_refused_request_as_failed(package: str, client: Any, server: EmbeddedServer) -> None:
    """An error response of the server fails one case only."""
    server.faults.add(Respond(400), on="conversations.messages.create")
    module = load("evaluation", package)
    cases = [module.Case("hello", "Hello!"), module.Case("hello", "Hello!")]
    assert sorted(score.passed for score in module.evaluate(client, server.agent_id, cases, workers=1)) == [False, True]


def test_tool_bot_returns_results_of_calls(package: str, client: Any, server: EmbeddedServer) -> None:
    """The bot runs the requested tool, and the agent continues with its result."""
    server.script.when("Rome", Turn(calls=[Call("get_weather", {"city": "Rome"})]), "It is sunny in Rome.")
    asked: list[str] = []

    def get_weather(city: str) -> dict[str, str]:
        asked.append(city)
        return {"city": city, "sky": "clear"}

    module = load("tool_bot", package)
    said = module.talk(client, server.conversation_id, "Weather in Rome?", {"get_weather": get_weather})
    assert (asked, said[-1]) == (["Rome"], "It is sunny in Rome.")


def test_tool_bot_reports_failure_of_tool(package: str, client: Any, server: EmbeddedServer) -> None:
    """An exception of a tool becomes an error that the agent sees."""
    server.script.when("Rome", Turn(calls=[Call("get_weather", {"city": "Rome"})]), "I could not find out.")
    module = load("tool_bot", package)
    assert module.talk(client, server.conversation_id, "Weather in Rome?", {})[-1] == "I could not find out."
    sent = server.requests[-1].body
    assert sent["messages"][0]["approvals"][0]["status"] == "error"


def test_export_writes_lines_of_json(package: str, client: Any, server: EmbeddedServer, tmp_path: Path) -> None:
    """The export has one line for each conversation, message and step."""
    list(client.conversations.messages.create(server.conversation_id, input="hello"))
    counts = load("export", package).export(client, server.agent_id, tmp_path)
    rows = {
        path.stem: [json.loads(line) for line in path.read_text("utf-8").splitlines()] for path in tmp_path.iterdir()
    }
    assert (
        counts == {"conversations": 1, "messages": 2, "steps": 1} == {name: len(found) for name, found in rows.items()}
    )
    assert [row["message_type"] for row in rows["messages"]] == ["user_message", "assistant_message"]
    assert rows["conversations"][0]["id"] == server.conversation_id
    assert rows["steps"][0]["model_handle"]
    assert rows["steps"][0]["request"]


def test_dashboard_returns_models_without_schemas(package: str, client: Any, server: EmbeddedServer) -> None:
    """Models are encoded in dictionaries, generic models and pages, and each user has one conversation."""

    async def use() -> list[Any]:
        transport = httpx.ASGITransport(load("dashboard", package).make_app(client, server.agent_id))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            asked = [(await http.post("/ask", params={"user": "Ann", "text": "hello"})).json() for _ in range(2)]
            paths = ("/history", "/overview", "/steps")
            return [*asked, *[(await http.get(path, params={"user": "Ann"})).json() for path in paths]]

    first, second, history, overview, steps = asyncio.run(use())
    assert first["conversation"] == second["conversation"] != server.conversation_id
    assert [event["message_type"] for event in first["events"]][-2:] == ["stop_reason", "usage_statistics"]
    assert history["count"] == len(history["data"]) == 5
    assert [message["message_type"] for message in history["data"]][-2:] == ["user_message", "assistant_message"]
    assert overview["agent"]["id"] == server.agent_id
    assert overview["last"]["message_type"] == "assistant_message"
    assert sorted(overview["steps"]) == sorted(step["id"] for step in steps["items"])


def test_recovery_denies_calls_and_sends_again(package: str, server: EmbeddedServer) -> None:
    """A conversation that waits for the result of a tool accepts a message after its call is denied."""
    tools = load("tool_bot", package).TOOLS

    async def use() -> list[list[str]]:
        module = load("recovery", package)
        letta = importlib.import_module(package).AsyncLetta(base_url=server.base_url, api_key="k", max_retries=0)
        async with letta as client:
            texts = (("CALL get_weather", tools), ("hello", None))
            return [await module.send(client, server.conversation_id, text, tools) for text, tools in texts]

    pending, sent = asyncio.run(use())
    assert "approval_request_message" in pending
    assert (sent[-2:], "assistant_message" in sent) == (["stop_reason", "usage_statistics"], True)


def test_adapter_survives_pickle_and_its_history_a_file(package: str, server: EmbeddedServer, tmp_path: Path) -> None:
    """A restored model gives the same text, and the history in a file is equal to the one that was written."""
    module = load("adapter", package)
    model = module.ChatModel(server.conversation_id, base_url=server.base_url, api_key="k")
    restored = pickle.loads(pickle.dumps(model))
    (text, history), (again, _) = (each.invoke([("human", "hello")]) for each in (model, restored))
    assert text == again == "Hello! How can I help you? "
    history.save(tmp_path / "history.json")
    found = module.History.load(tmp_path / "history.json")
    assert [type(event).__name__ for event in found.events] == [type(event).__name__ for event in history.events]
    assert found.usage == history.usage
    assert found.notes["first"]["message_type"] == "ping"
    assert json.loads(module.usage_line(found.usage))["total_tokens"] == history.usage.total_tokens
    for each in (model, restored):
        each.client.close()


def test_doubles_work_in_tests_of_users(package: str) -> None:
    """Mocks of the client, errors that tests build, and mocked responses work."""
    module = load("doubles", package)
    assert module.mocked_client() == "step-1: gpt 3"
    assert module.mocked_failure() == "step-2: 404 404"
    assert module.mocked_responses() == ["step-1: gpt 3", "step-2: 404 404"]


def test_models_copy_and_read_their_json(package: str) -> None:
    """A changed copy of a model survives its JSON."""
    assert load("doubles", package).copied_message() == "Bye"
