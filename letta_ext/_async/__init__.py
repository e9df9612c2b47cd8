"""What does I/O, for async code. The sync modules are derived from these by `codegen/unasync.py`."""
