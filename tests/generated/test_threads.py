"""Threads that read JSON text at the same time, before any parser was built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("msgspec", reason="without it, no parsers are built")

RECORDINGS: Final = Path(__file__).parents[1] / "fixtures" / "recordings"

READING: Final = """
import sys, threading, time
from letta_api.models import LettaResponse

def profile(frame, event, argument):
    if frame.f_globals["__name__"] == "msgspec._utils":
        time.sleep(0.0001)  # lets other threads run while this one examines a type

threading.setprofile(profile)
text = open(sys.argv[1]).read()

def read():
    found.append(len(LettaResponse.from_json(text).messages))

found = []
threads = [threading.Thread(target=read) for _ in range(20)]
for each in threads:
    each.start()
    time.sleep(0.002)  # each finds the types at another stage
for each in threads: each.join()
assert found == [found[0]] * 20, found
"""


def test_concurrent_first_use_does_not_crash() -> None:
    """Threads build decoders under a lock; msgspec crashes if two examine a type at once."""
    command = [sys.executable, "-X", "faulthandler", "-c", READING, str(RECORDINGS / "send_json.body")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
