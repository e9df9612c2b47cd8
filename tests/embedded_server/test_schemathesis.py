"""schemathesis reads the specification, makes requests of it, and holds the embedded server's answers against it.

Seeded and bounded: a sample by default, more with LETTA_STRESS=full. What it is not asked to check, and why:

- that a wrong key is refused: like a Letta of one's own without a password, this server takes any;
- that whatever a schema allows is accepted: that a text is a date, an id of somebody's, or one of two fields that
  exclude each other, is said in words, and refusing it with 400 or 422 is what the specification says too;
- that whatever a schema does not allow is refused, and without a 500: the real server takes some of it (a negative
  `starting_after`) and breaks on some (a negative `limit`), and this one does as it does. What is answered must be
  described all the same.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Final

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

from .conftest import SAMPLED

pytestmark = SAMPLED

EXAMPLES: Final = 100 if os.environ.get("LETTA_STRESS") == "full" else 5
PATIENCE: Final = 5.0


def described() -> dict[str, Any]:
    """The specification, without the format of the one date that the real server sends without an offset."""
    document = source()
    del document["components"]["schemas"]["Run"]["properties"]["completed_at"]["format"]
    return document


SCHEMA: Final = schemathesis.openapi.from_dict(described())
OPERATIONS: Final = {
    found.ok().definition.raw["operationId"]: found.ok()
    for found in SCHEMA.get_all_operations()
    if isinstance(found, Ok)
}
DESCRIBED: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PASSED: list[str] = []
STATUSES: Counter[int] = Counter()


def aimed(case: Any, server: EmbeddedServer) -> None:
    """Let a case mean what is there, and nothing that is silent for ever, as resuming past the end of a run is."""
    given_ids = case.path_parameters
    if "step_id" in given_ids:
        given_ids["step_id"] = DOCUMENTED_STEP
    elif "run_id" in given_ids:
        given_ids["run_id"] = next(iter(server.state.runs))
    elif case.operation.method == "delete":  # what other cases do not need
        for name in given_ids:
            given_ids[name] = deletable(name.removesuffix("_id"), server)
    elif "agent_id" in given_ids:
        given_ids["agent_id"] = server.agent_id
    else:
        given_ids["conversation_id"] = "default" if len(STATUSES) % 2 else server.conversation_id
    bound(case)


def deletable(kind: str, server: EmbeddedServer) -> str:
    """The id of a new agent or conversation."""
    query = {"agent_id": server.agent_id} if kind == "conversation" else None
    body = {"model": "openai-proxy/gpt-4o-mini"} if kind == "agent" else None
    response = httpx.post(f"{server.base_url}/v1/{kind}s/", params=query, json=body)
    return str(response.raise_for_status().json()["id"])


def bound(case: Any) -> None:
    """Keep a case from waiting: for an event that never comes, or for a batch of one, which is read for ever."""
    if isinstance(case.body, dict) and case.operation.path.endswith("/stream"):
        after, size = case.body.get("starting_after"), case.body.get("batch_size")
        if isinstance(after, (int, float)) and after > 0:
            case.body["starting_after"] = int(after) % 5
        if size == 1:
            case.body["batch_size"] = 2


@pytest.fixture(scope="module")
def server() -> Any:
    # The documentation's scenario: its step and its run are there, and `default` means somebody.
    with EmbeddedServer("docs", check=False) as running:
        yield running


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_answers_are_as_described(operation: str, mode: GenerationMode, server: EmbeddedServer) -> None:
    valid = mode is GenerationMode.POSITIVE
    excluded = [ignored_auth, positive_data_acceptance, negative_data_rejection]

    @seed(20260101)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=mode), aim=st.booleans())
    def ask(case: Any, aim: bool) -> None:
        if valid and aim and case.path_parameters:
            aimed(case, server)
        else:
            bound(case)
        response = case.call(base_url=server.base_url, timeout=PATIENCE)
        STATUSES[response.status_code] += 1
        if valid:
            case.validate_response(response, excluded_checks=excluded)
        else:
            case.validate_response(response, checks=DESCRIBED)

    ask()
    PASSED.append(operation)
    assert not [str(request) for request in server.requests if request.problems]


def test_figure(capsys: pytest.CaptureFixture[str]) -> None:
    told = ", ".join(f"{status}: {count}" for status, count in sorted(STATUSES.items()))
    with capsys.disabled():
        print(
            f"\nSCHEMATHESIS operations without a failure {len(PASSED)} / {2 * len(OPERATIONS)} (each with valid and "
            f"with invalid data), {sum(STATUSES.values())} requests ({told})"
        )
    assert STATUSES[200] > 0
    assert OPERATIONS.keys() == letta_api.operations.OPERATIONS.keys()
