"""Exports of steps and messages to JSON lines or Parquet, which continue after a kill."""

from __future__ import annotations

from .client_settings import ClientFactory
from .errors import ExportError, ExportLockedError, ExportMismatchError, ExportStorageError
from .functions import export_messages, export_steps
from .progress import ExportProgress, ExportSummary

__all__ = [
    "ClientFactory",
    "ExportError",
    "ExportLockedError",
    "ExportMismatchError",
    "ExportProgress",
    "ExportStorageError",
    "ExportSummary",
    "export_messages",
    "export_steps",
]
