"""Models are types of pydantic and of FastAPI: fields, return values and response models."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any, get_args

import anyio
import httpx
import pytest
from fastapi import Body, FastAPI
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import to_jsonable_python

from letta_api import models, unions
from letta_api.model import Model, Unknown
from letta_api.models import AssistantMessage, LettaResponse, MessageCreate, Step
from letta_api.unions import Message, MessageInput, StreamEvent, UnknownMessage, message_from_dict

from .recorded import recordings

ASSISTANT = {"id": "message-1", "message_type": "assistant_message", "date": "2026-01-01T00:00:00Z", "content": "hi"}
NEW = {"id": "message-2", "message_type": "hologram_message", "date": "2026-01-01T00:00:00Z", "beam": 1}


class Report(BaseModel):
    """A model of pydantic with fields of ours."""

    step: Step
    messages: list[Message] = []
    last: Message | None = None


REPORT: dict[str, Any] = {"step": {"id": "step-1", "new": 1}, "messages": [ASSISTANT, NEW], "last": ASSISTANT}
app = FastAPI()


@app.get("/annotated")
def annotated() -> Step:
    """Return a model."""
    return Step.from_dict(REPORT["step"])


@app.get("/response-model", response_model=list[Message], response_model_exclude_none=True)
def response_model() -> Any:
    """Return models of a union."""
    return [message_from_dict(ASSISTANT), message_from_dict(NEW)]


@app.get("/untyped", response_model=None)
def untyped() -> Any:
    """Return models that FastAPI has no type for."""
    return {"messages": [message_from_dict(ASSISTANT), message_from_dict(NEW)]}


@app.get("/dictionary")
def dictionary() -> dict[str, Any]:
    """Return models in a dictionary."""
    return {"messages": [message_from_dict(ASSISTANT), message_from_dict(NEW)]}


@app.post("/body", response_model_exclude_unset=True)
def body(step: Annotated[Step, Body()], message: Annotated[MessageInput, Body()]) -> Report:
    """Accept models."""
    assert isinstance(message, MessageCreate)
    return Report(step=step)


def request(method: str, path: str, **arguments: Any) -> httpx.Response:
    """Send a request to the application."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
            return await client.request(method, path, **arguments)

    return anyio.run(send)


def classes() -> Iterator[type[Model | Unknown]]:
    """Yield every class of models and of unknown members."""
    for module in (models, unions):
        for name in dir(module):
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, (Model, Unknown)):
                yield value


def test_field_of_pydantic_model_decodes_and_serializes() -> None:
    """A field is decoded from JSON, accepts an instance, and is dumped and decoded again."""
    report = Report.model_validate(REPORT)
    assert report.step == Step.from_dict(REPORT["step"])
    assert report.messages[0] == report.last == message_from_dict(ASSISTANT)
    assert isinstance(report.messages[1], UnknownMessage)
    assert report.messages[1].raw == NEW
    assert Report(step=report.step, messages=report.messages).step is report.step
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert Report.model_validate(report.model_dump()) == report
    assert report.model_dump(mode="json", exclude_unset=True) == REPORT
    assert report.model_dump(include={"step": {"id"}}) == {"step": {"id": "step-1"}}


@pytest.mark.parametrize("recording", [r for r in recordings() if r.status == 200], ids=lambda each: each.name)
def test_recorded_value_round_trips_through_pydantic(recording: Any) -> None:
    """A union of messages and a response decode as they do without pydantic."""
    for raw in recording.values:
        if isinstance(raw, dict) and "message_type" in raw:
            adapter: TypeAdapter[Any] = TypeAdapter(StreamEvent)
            decoded = recording.module.decode_event(raw) if recording.streamed else message_from_dict(raw)
        elif isinstance(raw, dict) and "usage" in raw:
            adapter, decoded = TypeAdapter(LettaResponse), LettaResponse.from_dict(raw)
        else:
            continue
        assert adapter.validate_python(raw) == decoded
        assert adapter.validate_json(adapter.dump_json(decoded, exclude_unset=True)) == decoded


@pytest.mark.parametrize("mode", ["json", "python"])
def test_model_in_a_field_of_type_any_is_dumped(mode: Any) -> None:
    """Every class is dumped where pydantic knows no type: in a field of type Any, an object or a dictionary."""
    adapter: TypeAdapter[Any] = TypeAdapter(dict[str, list[Any]])
    step = Step.from_dict({"id": "step-1", "new": 1, "origin": None})
    for message in (message_from_dict(ASSISTANT), message_from_dict(NEW), step):
        expected = message.model_dump(mode=mode)
        assert adapter.dump_python({"found": [message]}, mode=mode) == {"found": [expected]}
        assert to_jsonable_python(message) == message.model_dump(mode="json")
        left = adapter.dump_python({"found": [message]}, mode=mode, exclude_none=True)["found"][0]
        assert left == message.model_dump(mode=mode, exclude_none=True)


def test_models_are_members_of_a_discriminated_union() -> None:
    """`Field(discriminator=…)` selects the class by the constant of its field, from JSON and from an instance."""
    members = [each for each in get_args(Message) if issubclass(each, Model)]
    assert AssistantMessage in members
    union: Any = reduce(operator.or_, members)
    tagged: Any = create_model("Tagged", message=(union, Field(discriminator="message_type")))
    decoded = tagged.model_validate({"message": ASSISTANT})
    assert decoded.message == message_from_dict(ASSISTANT)
    assert tagged.model_validate_json(decoded.model_dump_json()) == decoded
    assert tagged(message=decoded.message).message is decoded.message
    assert tagged.model_json_schema()["properties"]["message"]["discriminator"]["propertyName"] == "message_type"
    with pytest.raises(ValidationError, match="hologram_message"):
        tagged.model_validate({"message": NEW})


def test_malformed_field_is_a_validation_error_with_its_path() -> None:
    """pydantic reports a malformed value with the path in the model."""
    with pytest.raises(ValidationError, match=r"step\n.*messages\[0\]\.id: is required and missing"):
        Report.model_validate({"step": {"id": "step-1", "messages": [{}]}})


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_json_schema_of_every_class_is_valid(mode: Any) -> None:
    """Each class has a JSON schema whose references resolve; that of a model has its fields."""
    for cls in classes():
        schema = TypeAdapter(cls).json_schema(mode=mode)
        Draft202012Validator.check_schema(schema)
        if issubclass(cls, Model) and cls is not Model:
            assert [*schema["properties"]] == [*cls._field_table], cls
    for recording in recordings():
        if recording.status == 200 and recording.streamed:
            validator = Draft202012Validator(TypeAdapter(StreamEvent).json_schema(mode=mode))
            for raw in recording.values:
                validator.validate(raw)
            break


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/annotated", {**Step(id="step-1").model_dump(), "new": 1}),
        ("/response-model", [ASSISTANT, NEW]),
    ],
)
def test_model_is_a_response_of_fastapi(path: str, expected: Any) -> None:
    """A model is a return value and a response model of FastAPI."""
    response = request("GET", path)
    assert (response.status_code, response.json()) == (200, expected)


@pytest.mark.parametrize("path", ["/untyped", "/dictionary"])
def test_model_is_a_return_value_without_a_type(path: str) -> None:
    """FastAPI encodes models that an endpoint returns without a response model, or in a dictionary."""
    known, unknown = request("GET", path).json()["messages"]
    assert AssistantMessage.from_dict(known) == message_from_dict(ASSISTANT)
    assert unknown == NEW


def test_model_is_a_body_of_fastapi() -> None:
    """FastAPI decodes models of a request, and responds with 422 to a malformed one."""
    message = {"role": "user", "content": "hi"}
    response = request("POST", "/body", json={"step": REPORT["step"], "message": message})
    assert (response.status_code, response.json()) == (200, {"step": REPORT["step"]})
    response = request("POST", "/body", json={"step": {}, "message": message})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "step"]
    assert "id: is required and missing" in response.json()["detail"][0]["msg"]


def test_openapi_document_of_fastapi_has_our_schemas() -> None:
    """`/openapi.json` refers to a named schema for each model."""
    document = request("GET", "/openapi.json").json()
    schemas = document["components"]["schemas"]
    content = document["paths"]["/annotated"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Step"}
    assert schemas["Step"]["properties"]["messages"]["anyOf"][0]["items"]["$ref"].endswith("/InternalMessage")
    assert schemas["AssistantMessage"]["required"] == ["id", "content", "date"]


def test_models_do_not_import_pydantic() -> None:
    """Decoding and dumping a model imports no pydantic."""
    code = (
        "import sys; from letta_api.models import Step; step = Step.from_dict({'id': 'step-1'});"
        "step.model_dump_json(); print([name for name in sys.modules if name.startswith('pydantic')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
