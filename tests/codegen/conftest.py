"""Fixtures of the generator tests, and hypothesis settings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from openapi_python_client import Project

from codegen import openapi_client_driver
from codegen.parser import Parsed
from tests.codegen.building import make
from tests.codegen.found import ALL
from tests.codegen.kinds import make_tree

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "letta-ext-hypothesis")
settings.register_profile("letta", deadline=None)
settings.load_profile("letta")


class _Compiled(BytecodeCache):
    """An in-memory cache of compiled templates, which saves 0.1 seconds per run."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def _compiled_templates() -> Iterator[None]:
    real, compiled = openapi_client_driver.open_project, _Compiled()

    def opened(parsed: Parsed, out: Path) -> Project:
        project = real(parsed, out)
        project.env.bytecode_cache = compiled
        return project

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi_client_driver, "open_project", opened)
        yield


@pytest.fixture(scope="session")
def feature_package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that generates the package of a feature once. All are in one folder."""
    folder = tmp_path_factory.mktemp("features")

    @cache
    def package(name: str) -> Path:
        return make(ALL[name].data, folder)[0]

    return package


@pytest.fixture(scope="session")
def kinds_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the library of a document that has every kind of operation; see `kinds.py`."""
    folder = tmp_path_factory.mktemp("kinds")
    make_tree(folder)
    return folder
