"""The sync and async clients have the same members and signatures, including all promised names."""

from __future__ import annotations

import ast
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
TYPING: Final = Path(__file__).parents[1] / "typing"

WITHOUT_COUNTERPART: Final = {
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
"""The handwritten modules that exist for both clients."""


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(letta_ext.__path__, "letta_ext."):
        if not found.name.startswith("letta_ext.testing"):
            yield importlib.import_module(found.name)


def pairs() -> dict[str, tuple[type, type]]:
    """Return each public sync class with its async counterpart, by the name of the sync class."""
    classes = {
        name: cls
        for module in modules()
        for name, cls in vars(module).items()
        if isinstance(cls, type) and cls.__module__ == module.__name__ and not name.startswith("_")
    }
    counterparts = {
        name: cls for name, cls in classes.items() if name.startswith("Async") and name not in WITHOUT_COUNTERPART
    }
    return {sync_name(name): (classes[sync_name(name)], cls) for name, cls in counterparts.items()}


PAIRS: Final = pairs()


def members(cls: type) -> dict[str, Any]:
    """Return the public attributes, and the methods of context managers and iterators, by their sync names."""
    special = {"__aiter__", "__anext__", "__aenter__", "__aexit__"}
    special |= {sync_name(name) for name in special}
    names = {name for name in dir(cls) if not name.startswith("_") or name in special}
    if "__aiter__" in names:
        names -= {"__iter__"}  # async pages define it, to name the remedy
    return {sync_name(name): inspect.getattr_static(cls, name) for name in names}


def to_sync_annotation(annotation: object) -> str:
    """Return an annotation in sync terms."""
    text = re.sub(r"Coroutine\[Any, Any, ", "Awaitable[", str(annotation)).replace("collections.abc.", "")
    return re.sub(r"^(\w*Iterator|Generator)\[(.+?)(?:, None)*\]$", r"Iterator[\2]", to_sync(text))


def sync_signature(function: Callable[..., Any]) -> list[tuple[str, Any, Any, str]]:
    """Return the parameters and the return type of a function in sync terms."""
    signature = inspect.signature(function)
    parameters = [
        (name, each.kind, each.default, to_sync_annotation(each.annotation))
        for name, each in signature.parameters.items()
    ]
    return [*parameters, ("return", None, None, to_sync_annotation(signature.return_annotation))]


def sections(text: str | None) -> dict[str, str]:
    """Return the sections of a docstring by heading."""
    parts = re.split(r"^(Args|Returns|Raises|Attributes):$", inspect.cleandoc(text or ""), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def test_pairs_include_the_known_classes() -> None:
    """The comparison finds the known pairs of classes."""
    assert {"Letta", "SyncPage", "Stream", "RawResponse", "BaseClient", "Transport", "NetworkBackend"} <= PAIRS.keys()
    assert len(PAIRS) > 30


@pytest.mark.parametrize("name", PAIRS)
def test_sync_and_async_classes_have_equal_signatures(name: str) -> None:
    """A sync class and its async counterpart have the same members and signatures."""
    one, other = (members(cls) for cls in PAIRS[name])
    assert one.keys() - ONE_SIDED.keys() == other.keys() - ONE_SIDED.keys()
    for member in sorted(one.keys() & other.keys()):
        assert type(one[member]).__name__ == sync_name(type(other[member]).__name__), member
        if inspect.isfunction(one[member]):
            assert sync_signature(one[member]) == sync_signature(other[member]), member
            overloads = [
                [sync_signature(each) for each in typing.get_overloads(driver[member])] for driver in (one, other)
            ]
            assert overloads[0] == overloads[1], member


@pytest.mark.parametrize("kind", PRIMITIVES)
def test_sync_and_async_primitives_have_equal_parameters(kind: str) -> None:
    """The handwritten sync and async primitives have the same parameters."""
    one, other = (importlib.import_module(f"letta_ext.{driver}_{kind}") for driver in ("sync", "async"))
    own = {name: value for name, value in vars(other).items() if getattr(value, "__module__", None) == other.__name__}
    for name, there in own.items():
        if name.startswith("_") or name in WITHOUT_COUNTERPART or not callable(there):
            continue
        found = getattr(one, sync_name(name))
        assert list(inspect.signature(found).parameters) == list(inspect.signature(there).parameters), name


def test_constructors_are_equal_and_documented() -> None:
    """Both constructors have the same parameters, all of them documented."""
    assert sync_signature(Letta.__init__)[:-1] == sync_signature(AsyncLetta.__init__)[:-1]
    parameters = [name for name in inspect.signature(Letta.__init__).parameters if name != "self"]
    assert re.findall(r"^ {4}(\w+):", sections(Letta.__doc__)["Args"], re.MULTILINE) == parameters


@pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)
def test_public_names_have_docstrings(module: Any) -> None:
    """Each public module, class, function and method has a docstring."""
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


# The methods of the operations.

CALLS: Final[dict[str, Operation]] = {each.id: each for each in operations.OPERATIONS.values()}


def method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client


@pytest.fixture(params=[Letta, AsyncLetta])
def client(request: pytest.FixtureRequest) -> Any:
    return request.param(base_url="http://letta.test")


def test_operations_equal_those_of_the_specification() -> None:
    """The operations table has each operation of the specification."""
    document = load(SPEC)
    assert CALLS.keys() == {each["operationId"] for path in document["paths"].values() for each in path.values()}


@pytest.mark.parametrize("name", CALLS)
def test_method_signature_has_all_parameters_of_operation(client: Any, name: str) -> None:
    """The signature of a method has all parameters of its operation, also in the raw views."""
    operation = CALLS[name]
    function = method(client, name)
    shown = inspect.signature(function).parameters
    listing = {"max_items", "checkpoint", "prefetch"} if operation.pagination else set[str]()
    assert set(shown) == {*operation.path_parameters, *operation.parameters, *listing, *RequestOptions.__annotations__}
    assert list(shown)[: len(operation.path_parameters)] == list(operation.path_parameters)
    needed = {each.name for each in shown.values() if each.default is inspect.Parameter.empty}
    assert needed == {*operation.path_parameters, *operation.required}
    for view in ("with_raw_response", "with_streaming_response"):
        resource, _, last = name.rpartition(".")
        for path in (f"{view}.{name}", f"{resource}.{view}.{last}" if resource else f"{view}.{last}"):
            assert list(inspect.signature(method(client, path)).parameters) == list(shown), path


@pytest.mark.parametrize("name", CALLS)
def test_method_docstring_has_all_parameters_of_operation(client: Any, name: str) -> None:
    """The docstring of a method describes all parameters and errors of its operation."""
    operation = CALLS[name]
    text = sections(method(client, name).__doc__)
    listing = ["max_items", "checkpoint", "prefetch"] if operation.pagination else []
    documented = re.findall(r"^ {4}(\w+):", text["Args"], re.MULTILINE)
    assert sorted(documented) == sorted([*operation.path_parameters, *operation.parameters, *listing])
    assert "RequestOptions" in text["Args"]
    assert f"`{operation.method} {operation.path}`" in " ".join(text[""].split())
    for error in ("APIError", "TypeError", "ValueError"):
        assert f"{error}:" in text["Raises"]


def pinned_methods(client_class: str) -> set[str]:
    """Return the methods whose results tests/typing pins with `assert_type`, in functions that take this client."""
    pinned: set[str] = set()
    for file in TYPING.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if client_class in {ast.unparse(each.annotation) for each in function.args.args if each.annotation}:
                variables: dict[str, str] = {}
                for node in ast.walk(function):
                    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                        variables[node.targets[0].id] = called_method(node.value, variables)
                    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "assert_type":
                        pinned.add(called_method(node.args[0], variables))
    return pinned


def called_method(node: ast.expr, variables: dict[str, str]) -> str:
    """Return the dotted name of the method that an expression calls, with variables replaced by their values."""
    node = node.value if isinstance(node, ast.Await) else node
    node = node.func if isinstance(node, ast.Call) else node
    first, dot, rest = ast.unparse(node).partition(".")
    return f"{variables.get(first, first)}{dot}{rest}"


@pytest.mark.parametrize("client_class", ["Letta", "AsyncLetta"])
def test_each_method_has_a_pinned_type(client_class: str) -> None:
    """The result type of each method is pinned in tests/typing, for both clients."""
    assert {f"client.{name}" for name in CALLS} - pinned_methods(client_class) == set()


# The promised names.

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
def test_client_has_promised_members(cls: Any) -> None:
    """The clients have the promised arguments, members and methods."""
    assert set(CONSTRUCTOR) <= inspect.signature(cls).parameters.keys()
    for name in CLIENT:
        assert hasattr(cls, name), name
    assert {"run_tools", "follow"} <= set(dir(cls(base_url="http://letta.test").conversations.messages))


def test_pages_and_streams_have_promised_members() -> None:
    """Pages, streams and request options have the promised members."""
    for cls in (letta_ext.SyncPage, letta_ext.AsyncPage):
        assert set(PAGE) <= {*dir(cls), *typing.get_type_hints(cls)}
    for stream in (letta_ext.Stream, letta_ext.AsyncStream):
        assert set(STREAM) <= set(dir(stream))
    assert set(PER_CALL) <= RequestOptions.__annotations__.keys()


@pytest.mark.parametrize("name", NAMES)
def test_package_exports_promised_names(name: str) -> None:
    """The package exports the promised names."""
    assert name in letta_ext.__all__
    assert getattr(letta_ext, name) is not None


def test_clients_are_importable_from_client_module() -> None:
    """`letta_ext.client` exports both clients."""
    assert importlib.import_module("letta_ext.client").Letta is Letta
    assert importlib.import_module("letta_ext.client").AsyncLetta is AsyncLetta


@pytest.mark.parametrize("kind", [Letta, AsyncLetta])
def test_client_repr_shows_base_class_and_address(kind: type[Letta | AsyncLetta]) -> None:
    """The repr has the class of the library and the address, also for a subclass."""
    own = type("Own", (kind,), {})
    assert repr(own(base_url="http://letta.test")) == f"{kind.__name__}(base_url='http://letta.test')"


def test_exports_exist_once() -> None:
    """Each exported name exists, and is listed once."""
    assert len(set(letta_ext.__all__)) == len(letta_ext.__all__)
    for name in letta_ext.__all__:
        assert hasattr(letta_ext, name), name
    assert letta_ext.Timeout is httpx.Timeout
