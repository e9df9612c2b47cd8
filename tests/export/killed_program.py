"""A program that exports and can kill itself: `killed_program.py BASE_URL DIRECTORY FORMAT ROWS PROCESSES PAGE_SIZE`.

It prints the rows of each progress. ROWS is the number from which it kills itself with SIGKILL, or 0.
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Any

from letta_ext import Letta
from letta_ext.export import ExportProgress, export_steps


def main() -> None:
    base_url, directory, format, rows, processes, page_size = sys.argv[1:]

    def progress(found: ExportProgress) -> None:
        print(found.rows, flush=True)
        if 0 < int(rows) <= found.rows:
            os.kill(os.getpid(), signal.SIGKILL)

    arguments: dict[str, Any] = {"format": format, "page_size": int(page_size), "rows_per_part": int(page_size) * 3}
    with Letta(base_url=base_url) as client:
        if processes == "0":
            export_steps(client, directory, progress=progress, **arguments)
            return
        arguments |= {"start_date": datetime(2026, 1, 1, tzinfo=UTC), "end_date": "2026-01-01T00:10", "shards": 4}
        with ProcessPoolExecutor(int(processes)) as executor:
            export_steps(client, directory, progress=progress, executor=executor, **arguments)


if __name__ == "__main__":
    main()
