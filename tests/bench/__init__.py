"""Speed and memory, measured side by side with other implementations: `python -m tests.bench`."""
