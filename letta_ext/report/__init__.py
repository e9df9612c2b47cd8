"""Reports: one HTML file with the time line, tokens, cost, errors and messages of a run or a period.

```python
from letta_ext import Letta
from letta_ext.report import write_report

with Letta() as client:
    write_report(client, "run.html", run_id="run-…")
```
"""

from __future__ import annotations

from .data import ReportLimits
from .prices import ModelPrice, PriceTable, default_prices, load_prices
from .write import render_report, write_report

__all__ = [
    "ModelPrice",
    "PriceTable",
    "ReportLimits",
    "default_prices",
    "load_prices",
    "render_report",
    "write_report",
]
