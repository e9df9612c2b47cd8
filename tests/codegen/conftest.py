"""What the tests of the generator share: packages that are made once, and where hypothesis remembers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.codegen.building import make
from tests.codegen.features import FEATURES

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "letta-ext-hypothesis")
settings.register_profile("letta", deadline=None)
settings.load_profile("letta")


@pytest.fixture(scope="session")
def feature_package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The package of a feature, made when it is first asked for. All of them are in one folder."""
    folder = tmp_path_factory.mktemp("features")

    @cache
    def package(name: str) -> Path:
        return make(FEATURES[name].data, folder)[0]

    return package
