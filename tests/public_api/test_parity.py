"""The two clients have the same names and signatures, and all that was promised is there."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import letta_ext
from codegen.document import load
from codegen.paths import SPEC
from codegen.unasync import sync_name, to_sync
from letta_api import operations
from letta_api.operations import Operation
from letta_ext import AsyncLetta, Letta, RequestOptions

LIBRARY: Final = Path(letta_ext.__file__).parent
CALLS_OF_RESOURCES_FILE = Path(__file__).parents[1] / "typing" / "resources.py"
CALLS_FILE = Path(__file__).parents[1] / "typing" / "calls.py"

WITHOUT_TWIN: Final = {
    "AsyncPaginator": "a sync list is its own first page",
    "AsyncChunks": "sync code reads bodies by the generators of httpx and httpcore",
    "AsyncDecodedChunks": "as above",
    "AsyncGuard": "sync code has a generator in place of it",
    "AsyncApprove": "a type alias",
}
ONE_SIDED: Final = {
    "opened": "a TLS handshake of sync code replaces the socket that closing from another thread shuts down",
    "end": "the body of an async response is read without the generators of httpcore",
    "abandon": "as above",
    "is_complete": "as above",
}
PRIMITIVES: Final = ("primitives", "paginator")
"""The hand-written modules that have the same names for async and for sync code."""


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(letta_ext.__path__, "letta_ext."):
        if not found.name.startswith("letta_ext.testing"):
            yield importlib.import_module(found.name)


def pairs() -> dict[str, tuple[type, type]]:
    """Every public class and the one that is its twin in async code, by the name of the former."""
    classes = {
        name: cls
        for module in modules()
        for name, cls in vars(module).items()
        if isinstance(cls, type) and cls.__module__ == module.__name__ and not name.startswith("_")
    }
    twins = {name: cls for name, cls in classes.items() if name.startswith("Async") and name not in WITHOUT_TWIN}
    return {sync_name(name): (classes[sync_name(name)], cls) for name, cls in twins.items()}


PAIRS: Final = pairs()


def members(cls: type) -> dict[str, Any]:
    """The public attributes, and what makes it a context manager or an iterable, under the sync name."""
    special = {"__aiter__", "__anext__", "__aenter__", "__aexit__"}
    special |= {sync_name(name) for name in special}
    names = {name for name in dir(cls) if not name.startswith("_") or name in special}
    return {sync_name(name): inspect.getattr_static(cls, name) for name in names}


def plain(annotation: object) -> str:
    """An annotation as sync code has it."""
    text = re.sub(r"Coroutine\[Any, Any, ", "Awaitable[", str(annotation)).replace("collections.abc.", "")
    return re.sub(r"^(\w*Iterator|Generator)\[(.+?)(?:, None)*\]$", r"Iterator[\2]", to_sync(text))


def shape(function: Callable[..., Any]) -> list[tuple[str, Any, Any, str]]:
    """The parameters of a function, and what it returns, in words common to both surfaces."""
    signature = inspect.signature(function)
    parameters = [
        (name, each.kind, each.default, plain(each.annotation)) for name, each in signature.parameters.items()
    ]
    return [*parameters, ("return", None, None, plain(signature.return_annotation))]


def sections(text: str | None) -> dict[str, str]:
    """The parts of a docstring by their headings."""
    parts = re.split(r"^(Args|Returns|Raises|Attributes):$", inspect.cleandoc(text or ""), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_are_pairs_to_compare() -> None:
    assert {"Letta", "SyncPage", "Stream", "RawResponse", "BaseClient", "Transport", "NetworkBackend"} <= PAIRS.keys()
    assert len(PAIRS) > 30


@pytest.mark.parametrize("name", PAIRS)
def test_both_surfaces_have_the_same_signatures(name: str) -> None:
    one, other = (members(cls) for cls in PAIRS[name])
    assert one.keys() - ONE_SIDED.keys() == other.keys() - ONE_SIDED.keys()
    for member in sorted(one.keys() & other.keys()):
        assert type(one[member]).__name__ == sync_name(type(other[member]).__name__), member
        if inspect.isfunction(one[member]):
            assert shape(one[member]) == shape(other[member]), member
            overloads = [[shape(each) for each in typing.get_overloads(side[member])] for side in (one, other)]
            assert overloads[0] == overloads[1], member


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_the_primitives_of_both_have_the_same_signatures(kind: str) -> None:
    one, other = (importlib.import_module(f"letta_ext.{side}_{kind}") for side in ("sync", "async"))
    own = {name: value for name, value in vars(other).items() if getattr(value, "__module__", None) == other.__name__}
    for name, there in own.items():
        if name.startswith("_") or name in WITHOUT_TWIN or not callable(there):
            continue
        found = getattr(one, sync_name(name))
        assert list(inspect.signature(found).parameters) == list(inspect.signature(there).parameters), name


def test_the_constructors_are_one() -> None:
    assert shape(Letta.__init__)[:-1] == shape(AsyncLetta.__init__)[:-1]
    parameters = [name for name in inspect.signature(Letta.__init__).parameters if name != "self"]
    assert re.findall(r"^ {4}(\w+):", sections(Letta.__doc__)["Args"], re.MULTILINE) == parameters


@pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)
def test_all_that_is_public_is_documented(module: Any) -> None:
    assert module.__doc__
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            assert value.__doc__, name
        elif inspect.isclass(value) and not getattr(value, "_is_protocol", False):
            assert value.__doc__, name
            for member, function in vars(value).items():
                function = getattr(function, "fget", None) or getattr(function, "func", None) or function
                if inspect.isfunction(function) and not member.startswith("_"):
                    inherited = any(getattr(base, member, None) is not None for base in value.__mro__[1:-1])
                    assert function.__doc__ or inherited, f"{name}.{member}"


# The calls of the API.

CALLS: Final[dict[str, Operation]] = {each.id: each for each in operations.OPERATIONS.values()}


def method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client


@pytest.fixture(params=[Letta, AsyncLetta])
def client(request: pytest.FixtureRequest) -> Any:
    return request.param(base_url="http://letta.test")


def test_every_operation_of_the_document_is_there() -> None:
    document = load(SPEC)
    assert CALLS.keys() == {each["operationId"] for path in document["paths"].values() for each in path.values()}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_shows_what_it_takes(client: Any, name: str) -> None:
    operation = CALLS[name]
    function = method(client, name)
    shown = inspect.signature(function).parameters
    listing = {"checkpoint", "prefetch"} if operation.pagination else set[str]()
    assert set(shown) == {*operation.path_parameters, *operation.parameters, *listing, *RequestOptions.__annotations__}
    assert list(shown)[: len(operation.path_parameters)] == list(operation.path_parameters)
    needed = {each.name for each in shown.values() if each.default is inspect.Parameter.empty}
    assert needed == {*operation.path_parameters, *operation.required}
    for view in ("with_raw_response", "with_streaming_response"):
        resource, _, last = name.rpartition(".")
        for path in (f"{view}.{name}", f"{resource}.{view}.{last}" if resource else f"{view}.{last}"):
            assert list(inspect.signature(method(client, path)).parameters) == list(shown), path


@pytest.mark.parametrize("name", CALLS)
def test_a_call_documents_what_it_takes(client: Any, name: str) -> None:
    operation = CALLS[name]
    text = sections(method(client, name).__doc__)
    listing = ["checkpoint", "prefetch"] if operation.pagination else []
    told = re.findall(r"^ {4}(\w+):", text["Args"], re.MULTILINE)
    assert sorted(told) == sorted([*operation.path_parameters, *operation.parameters, *listing])
    assert "RequestOptions" in text["Args"]
    assert f"`{operation.method} {operation.path}`" in " ".join(text[""].split())
    for error in ("APIError", "TypeError", "ValueError"):
        assert f"{error}:" in text["Raises"]


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_pinned_by_type(name: str) -> None:
    if not name.startswith(("steps", "conversations.messages")):
        sync, _, rest = CALLS_OF_RESOURCES_FILE.read_text().partition("async def resources_async")
        assert f"client.{name}(" in sync
        assert f"client.{name}(" in rest
        return
    source = CALLS_FILE.read_text()
    sync, _, rest = source.partition("async def steps_async")
    steps_async, _, rest = rest.partition("\ndef conversations(")
    conversations, _, rest = rest.partition("async def conversations_async")
    conversations_async = rest.partition("\ndef pages(")[0]
    short = name.removeprefix("conversations.")
    for part in (sync, steps_async) if name.startswith("steps") else (conversations, conversations_async):
        assert f"{short}(" in part


# What was promised.

CONSTRUCTOR = [
    *("api_key", "project", "project_id", "environment", "base_url", "timeout", "max_retries"),
    *("default_headers", "default_query", "http_client"),
]
CLIENT = [
    *("close", "is_closed", "with_options", "with_raw_response", "with_streaming_response", "base_url"),
    *("get", "post", "put", "patch", "delete", "steps", "conversations"),
]
PAGE = ["items", "has_next_page", "next_page_info", "get_next_page", "iter_pages", "checkpoint"]
STREAM = ["messages", "text", "result", "close", "run_id", "last_seq_id"]
PER_CALL = ["extra_headers", "extra_query", "extra_body", "timeout"]
NAMES = [
    *("Letta", "AsyncLetta", "Client", "AsyncClient", "Stream", "AsyncStream", "Timeout", "RequestOptions"),
    *("SyncPage", "AsyncPage", "SyncArrayPage", "AsyncArrayPage", "AsyncPaginator", "Checkpoint"),
    *("RetryPolicy", "StreamLimits", "Hooks", "BusyPolicy", "NOT_GIVEN", "NotGiven", "not_given", "omit", "Omit"),
    *("ENVIRONMENTS", "DEFAULT_TIMEOUT", "DEFAULT_MAX_RETRIES", "DEFAULT_CONNECTION_LIMITS"),
    *("DefaultHttpxClient", "DefaultAsyncHttpxClient", "APIResponse", "AsyncAPIResponse", "__version__"),
    *("LettaError", "APIError", "APIStatusError", "APIConnectionError", "APITimeoutError", "ListChangedError"),
    *("ConversationBusyError", "PendingApprovalError", "RunExpiredError", "RunError", "StreamInterrupted"),
    *("EventTooLargeError", "StreamTimeoutError", "TooManyRoundsError"),
]


@pytest.mark.parametrize("cls", [Letta, AsyncLetta])
def test_what_was_promised_of_the_client(cls: Any) -> None:
    assert set(CONSTRUCTOR) <= inspect.signature(cls).parameters.keys()
    for name in CLIENT:
        assert hasattr(cls, name), name
    assert {"run_tools", "follow"} <= set(dir(cls(base_url="http://letta.test").conversations.messages))


def test_what_was_promised_of_pages_and_streams() -> None:
    for cls in (letta_ext.SyncPage, letta_ext.AsyncPage):
        assert set(PAGE) <= {*dir(cls), *typing.get_type_hints(cls)}
    for stream in (letta_ext.Stream, letta_ext.AsyncStream):
        assert set(STREAM) <= set(dir(stream))
    assert set(PER_CALL) <= RequestOptions.__annotations__.keys()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_promised_of_the_package(name: str) -> None:
    assert name in letta_ext.__all__
    assert getattr(letta_ext, name) is not None


def test_the_clients_can_be_imported_from_their_module() -> None:
    assert importlib.import_module("letta_ext.client").Letta is Letta
    assert importlib.import_module("letta_ext.client").AsyncLetta is AsyncLetta


@pytest.mark.parametrize("kind", [Letta, AsyncLetta])
def test_a_client_is_shown_by_its_kind_and_address(kind: type[Letta | AsyncLetta]) -> None:
    """Also one of a class of the caller's."""
    own = type("Own", (kind,), {})
    assert repr(own(base_url="http://letta.test")) == f"{kind.__name__}(base_url='http://letta.test')"


def test_all_that_is_exported_exists_and_is_sorted() -> None:
    assert len(set(letta_ext.__all__)) == len(letta_ext.__all__)
    for name in letta_ext.__all__:
        assert hasattr(letta_ext, name), name
    assert letta_ext.Timeout is httpx.Timeout
