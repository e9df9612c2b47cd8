"""Speed and memory, measured side by side with what others do: `python -m tests.bench`, read in docs/benchmarks.md."""
