"""schemathesis generates requests from the specification and validates the embedded server's responses.

The requests are seeded and limited: a sample by default, more with LETTA_STRESS=full. These checks are off:

- Rejection of an invalid key: like a Letta without a password, the server accepts any key.
- Acceptance of all valid data: some restrictions, such as dates, ids and exclusive fields, are stated only in
  descriptions. The specification allows a 400 or a 422 for them. A `limit` beyond 64 bits is not generated as valid.
- Rejection of all invalid data without a 500: Letta accepts some, such as a negative `starting_after`, and fails for
  others, such as a negative `limit`. The embedded server does the same. Its responses must match the specification.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import letta_api.operations
from letta_ext.testing import DOCUMENTED_STEP, EmbeddedServer
from letta_ext.testing.api.specification import source

from .conftest import SAMPLED, print_figure

pytestmark = SAMPLED

EXAMPLES: Final = 100 if os.environ.get("LETTA_STRESS") == "full" else 5
TIMEOUT: Final = 5.0


def load_document() -> dict[str, Any]:
    """Return the specification without the format of `completed_at`, which Letta sends without an offset."""
    document = source()
    del document["components"]["schemas"]["Run"]["properties"]["completed_at"]["format"]
    return document


SCHEMA: Final = schemathesis.openapi.from_dict(load_document())
OPERATIONS: Final = {
    found.ok().definition.raw["operationId"]: found.ok()
    for found in SCHEMA.get_all_operations()
    if isinstance(found, Ok)
}
RESPONSE_CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def select_existing(case: Any, server: EmbeddedServer, *, default: bool) -> None:
    """Select existing objects in the path of a case."""
    path_ids = case.path_parameters
    if "step_id" in path_ids:
        path_ids["step_id"] = DOCUMENTED_STEP
    elif "run_id" in path_ids:
        path_ids["run_id"] = next(iter(server.state.runs))
    elif case.operation.method == "delete":  # other cases do not need these objects
        for name in path_ids:
            path_ids[name] = create_deletable(name.removesuffix("_id"), server)
    elif "agent_id" in path_ids:
        path_ids["agent_id"] = server.agent_id
    else:
        path_ids["conversation_id"] = "default" if default else server.conversation_id
    avoid_silence(case)


def create_deletable(kind: str, server: EmbeddedServer) -> str:
    """Return the id of a new agent or conversation."""
    query = {"agent_id": server.agent_id} if kind == "conversation" else None
    body = {"model": "openai-proxy/gpt-4o-mini"} if kind == "agent" else None
    response = httpx.post(f"{server.base_url}/v1/{kind}s/", params=query, json=body)
    return str(response.raise_for_status().json()["id"])


def avoid_silence(case: Any) -> None:
    """Change a request to resume that would be silent: one beyond the last event, or with a batch size of one."""
    if isinstance(case.body, dict) and case.operation.path.endswith("/stream"):
        after, size = case.body.get("starting_after"), case.body.get("batch_size")
        if isinstance(after, (int, float)) and after > 0:
            case.body["starting_after"] = int(after) % 5
        if size == 1:
            case.body["batch_size"] = 2


def without_nul(value: Any) -> Any:
    """Return a value of a query without NUL, for which Letta's database fails, and the embedded server responds 400."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(each) for key, each in value.items()}
    return [without_nul(each) for each in value] if isinstance(value, list) else value


class Figure(NamedTuple):
    """The tests of a module that passed, and the status codes of their responses."""

    passed: list[str]
    statuses: Counter[int]


@pytest.fixture(scope="module")
def figure(request: pytest.FixtureRequest) -> Iterator[Figure]:
    """Count the responses, and print the counts at the end of the module."""
    found = Figure([], Counter())
    yield found
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(found.statuses.items()))
    print_figure(
        request,
        f"SCHEMATHESIS operations without a failure {len(found.passed)} / {2 * len(OPERATIONS)} (each with valid and "
        f"with invalid data), {sum(found.statuses.values())} requests ({counts})",
    )
    # A server that rejects every request would conform as well.
    complete = len(found.passed) == 2 * len(OPERATIONS)
    assert not complete or found.statuses[200] > found.statuses.total() / 10


@pytest.fixture(scope="module")
def server() -> Any:
    # The docs scenario contains a step and a run, and `default` selects its agent.
    with EmbeddedServer("docs", check=False) as running:
        yield running


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_response_matches_specification(
    operation: str, mode: GenerationMode, server: EmbeddedServer, figure: Figure
) -> None:
    """The responses to generated requests match the specification."""
    valid = mode is GenerationMode.POSITIVE
    statuses: Counter[int] = Counter()
    excluded = [ignored_auth, positive_data_acceptance, negative_data_rejection]

    @seed(20260101)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=mode), existing=st.booleans())
    def send(case: Any, existing: bool) -> None:
        if valid and existing and case.path_parameters:
            select_existing(case, server, default=sum(statuses.values()) % 2 == 1)
        else:
            avoid_silence(case)
        if case.query:
            case.query = without_nul(case.query)
        limit = (case.query or {}).get("limit")
        if valid and isinstance(limit, int) and limit >= 2**63:
            case.query["limit"] = 2**63 - 1  # Letta's database fails for a larger integer
        response = case.call(base_url=server.base_url, timeout=TIMEOUT)
        statuses[response.status_code] += 1
        if valid:
            case.validate_response(response, excluded_checks=excluded)
        else:
            case.validate_response(response, checks=RESPONSE_CHECKS)

    send()
    figure.passed.append(operation)
    figure.statuses.update(statuses)
    assert not [str(request) for request in server.requests if request.problems]


def test_specification_operations_match_client() -> None:
    """The generated requests cover all operations of the client."""
    assert OPERATIONS.keys() == letta_api.operations.OPERATIONS.keys()
