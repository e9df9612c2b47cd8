"""The modules that do I/O. The sync modules are derived from the async ones by `codegen/unasync.py`."""
