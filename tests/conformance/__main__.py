"""Compares the embedded server with a real one: ``python -m tests.conformance --help``."""

from __future__ import annotations

import sys

from .differential import main

sys.exit(main())
