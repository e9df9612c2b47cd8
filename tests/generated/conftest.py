"""Hypothesis settings. The example database is outside the checkout."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "letta-ext-hypothesis")
settings.register_profile("letta", deadline=None)
settings.load_profile("letta")
