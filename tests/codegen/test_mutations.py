"""Mutated documents are read, or refused with a place that exists."""

from __future__ import annotations

import copy
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codegen.document import parse, unescape
from codegen.errors import SpecError, SpecErrors
from codegen.pipeline import read
from codegen.prune import relax
from tests.codegen.building import imported, make, stress_in_full
from tests.codegen.examples import run_everything
from tests.codegen.found import ALL
from tests.codegen.positions import whole_document
from tests.codegen.refused import UNSUPPORTED
from tests.stress.figures import FULL, SEED, figure

DOCUMENTS = [
    whole_document(),
    *(feature.data for feature in ALL.values()),
    *(data for data, _ in UNSUPPORTED.values()),
]
JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "#", "#/info", "#/nowhere", "#/components/schemas/Widget", "object",
    "null", [], [[]], [None], [True], [{}], {}, {"a": {}}, {"$ref": 5}, {"$ref": "#/info"}, {"type": "object"},
    {"type": ["string", "null"]}, {"const": None}, {"enum": [None]}, {"allOf": [{}]}, {"anyOf": [{"type": "null"}]},
    {"propertyName": 5}, {"mapping": {"a": []}}, {"content": 5}, {"format": []}, {"required": [5]},
]  # fmt: skip
WORDS = (
    "type format enum const items properties additionalProperties anyOf oneOf allOf discriminator $ref required not if "
    "parameters schema content deprecated description default tags operationId requestBody responses in name style "
    "x-letta-lazy x-letta-streaming x-letta-pagination x-letta-idempotency"
)

MUTATIONS = 20_000 if FULL else 400
WRITTEN = 400 if FULL else 12


def mutated(lots: random.Random) -> dict[str, Any]:
    """Return one of the documents with one to three changes."""
    data: dict[str, Any] = copy.deepcopy(lots.choice(DOCUMENTS))
    for _ in range(lots.choice([1, 1, 1, 2, 3])):
        places = [at for at in _places(data, ()) if at]
        *path, last = lots.choice(places)
        owner: Any = data
        for key in path:
            owner = owner[key]
        match lots.randrange(4):
            case 0 | 1:
                owner[last] = copy.deepcopy(lots.choice(JUNK))
            case 2:
                del owner[last]
            case _:
                target = owner[last] if isinstance(owner[last], dict) else data
                target[lots.choice(WORDS.split())] = copy.deepcopy(lots.choice(JUNK))
    return data


def _places(node: Any, at: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield at
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield from _places(node[key], (*at, key))


def there(data: Any, place: str) -> bool:
    """Return whether a place exists in a document."""
    node = data
    for part in place.split("/")[1:]:
        key = unescape(part)
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return False
    return place.startswith("#")


def faults_of(data: dict[str, Any]) -> list[SpecError]:
    try:
        read(data)
    except SpecErrors as several:
        return several.faults
    except SpecError as fault:
        return [fault]
    return []


@stress_in_full
def test_mutated_document_is_read_or_refused_with_place() -> None:
    """Only SpecError with a place in the document is raised, and relax terminates."""
    lots = random.Random(SEED)
    taken = relaxed = refused = 0
    for _ in range(MUTATIONS):
        try:
            data = parse(json.dumps(mutated(lots)), "a document")
        except SpecError:
            continue
        faults = faults_of(data)
        assert [fault.place for fault in faults if not there(data, fault.place)] == []
        if not faults:
            taken += 1
            continue
        try:
            left, skips = relax(data, read)
        except SpecError as fault:
            refused += 1
            place = fault.place
        else:
            relaxed += 1
            place = "#"
            assert faults_of(left) == []
            assert [skip.place for skip in skips if not there(data, skip.place)] == []
        assert there(data, place)
    figure(
        "mutated documents",
        f"{MUTATIONS:,}: {taken:,} read whole, {relaxed:,} in part, {refused:,} refused with a place",
    )


@stress_in_full
def test_mutated_document_package_runs() -> None:
    """A package that was generated imports, decodes and sends."""
    lots = random.Random(SEED + 1)
    made = 0
    while made < WRITTEN:
        try:
            data, _ = relax(parse(json.dumps(mutated(lots)), "a document"), read)
        except SpecError:
            continue
        with tempfile.TemporaryDirectory() as folder:
            package, _ = make(data, Path(folder))
            with imported(package) as api:
                run_everything(data, api)
        made += 1
    figure("packages of mutated documents", f"{made} made, imported and run")


@pytest.mark.parametrize("place", ["#", "#/components/schemas", "#/paths/~1x~1{id}/get/parameters/0"])
def test_there_finds_only_existing_places(place: str) -> None:
    """The helper that judges places finds only existing ones."""
    data = {"components": {"schemas": {}}, "paths": {"/x/{id}": {"get": {"parameters": [{}]}}}}
    assert there(data, place)
    assert not there(data, place + "/1")
