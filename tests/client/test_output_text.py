"""`output_text`: the text of the agent in a response, in the result of a stream and in that of a turn."""

from __future__ import annotations

import pytest

from letta_api.models import LettaResponse
from letta_ext.testing import Call, EmbeddedServer, Turn

from .helpers import ClientDriver

OPTIONS = [
    {"streaming": False},
    {"streaming": True},
    {"stream_tokens": True},
    {"background": True, "stream_tokens": True},
]


def weather(city: str) -> str:
    """Return the weather.

    Args:
        city: The city.
    """
    return f"sunny in {city}"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_output_text_is_the_text_of_the_agent(driver: ClientDriver, options: dict[str, bool]) -> None:
    """A response and the result of a stream have the text of all assistant messages, and nothing of the reasoning."""
    with EmbeddedServer() as server:
        server.state.script.when("hi", Turn(text="Hello, you.", reasoning="A greeting."))
        client = driver.client(base_url=server.base_url)
        found = driver.run(client.conversations.messages.create(server.conversation_id, input="hi", **options))
        response = found if isinstance(found, LettaResponse) else driver.run(found.result())
        assert response.output_text == "Hello, you."
        if not isinstance(found, LettaResponse):
            again = driver.run(client.conversations.messages.create(server.conversation_id, input="hi", **options))
            assert "".join(driver.items(again.text())) == response.output_text


def test_output_text_of_a_turn_has_the_texts_of_all_rounds(driver: ClientDriver) -> None:
    """The result of a turn with tools has the text of each round on lines of its own."""
    with EmbeddedServer() as server:
        turns = Turn(text="Let me look.", calls=[Call("weather", {"city": "Rome"})]), Turn(text="It is sunny.")
        server.state.script.when("weather", *turns)
        client = driver.client(base_url=server.base_url)
        turn = client.conversations.messages.run_tools(server.conversation_id, input="weather?", tools=[weather])
        result = driver.run(turn.result())
        texts = [message.content for message in result.messages if message.message_type == "assistant_message"]
        assert result.output_text == "\n".join(texts)
        assert result.output_text.endswith("It is sunny.")


def test_output_text_without_assistant_messages_is_empty() -> None:
    """A response without a message of the assistant has an empty text."""
    stop = {"message_type": "stop_reason", "stop_reason": "end_turn"}
    assert LettaResponse.from_dict({"messages": [], "stop_reason": stop, "usage": {}}).output_text == ""
