"""The shape of a response: the part that is equal on all servers. Ids, dates and texts are replaced by their type."""

from __future__ import annotations

import json
import re
from typing import Any, Final

UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ID: Final = re.compile(rf"(?:([a-z_]+)-)?{UUID}|(call)_[0-9a-f]{{12}}|(chatcmpl)-[0-9a-f]{{32}}")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)?")

WORDS: Final = frozenset(
    (  # noqa: SIM905  # a list of strings would take a page
        "approval_request_id approve code error_type feedback finish_reason has_feedback last_stop_reason "
        "message_type method model model_handle origin provider_category provider_name role run_type seq_id "
        "source status step_count stop_reason type version"
    ).split()
)
"""Keys whose values belong to the API and must be equal."""

SERVER_SPECIFIC: Final = frozenset({"traceback"})
"""Keys whose texts depend on the implementation of the server."""

MEASURED: Final = frozenset({"tool_execution_ns", "llm_request_ns", "step_ns", "context_tokens"})
"""Keys whose numbers are measurements."""


LATE: Final = frozenset({"total_duration_ns"})
"""Keys that the real server sets some time after a run has ended."""

UNORDERED: Final = frozenset({"tools"})
"""Keys whose lists have an undefined order."""


class Shapes:
    """Replaces the values of one session's responses. Each id gets a number at its first occurrence and keeps it.

    Args:
        names: Values that differ between servers, with their placeholders.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._numbers: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def of(self, value: Any, key: str = "") -> Any:
        """Return the shape of a JSON value. Objects keep the order of their keys, and lists their length."""
        if key in LATE and (value is None or isinstance(value, int)):
            return None
        if isinstance(value, dict):
            return {self._id(name) if ID.fullmatch(name) else name: self.of(each, name) for name, each in value.items()}
        if isinstance(value, list):
            if key in UNORDERED:
                # Ids are numbered in order of occurrence, so sort by shapes without numbers first.
                return [self.of(each, key) for each in sorted(value, key=self.anonymous)]
            return [self.of(each, key) for each in value]
        if isinstance(value, str):
            return self._text(value, key)
        if value is None or key in WORDS or (isinstance(value, bool) and key not in SERVER_SPECIFIC):
            return value
        return type(value).__name__

    def anonymous(self, value: Any) -> str:
        """Return the shape of a single value as text, with newly numbered ids."""
        return json.dumps(Shapes(self._names).of(value))

    def _text(self, text: str, key: str) -> str:
        if text in self._names:
            return f"<{self._names[text]}>"
        if ID.fullmatch(text):
            return self._id(text)
        if found := INSTANT.fullmatch(text):
            return f"<instant{' in microseconds' if found[1] else ''}{' ' + found[2] if found[2] else ''}>"
        if key in WORDS:
            return text
        if key == "detail":
            return self.sentence(text)
        return "<text>" if text else ""

    def sentence(self, text: str) -> str:
        """Return the text of an error up to the first value of this server."""
        return re.split(r"run-|conv-|agent-|step-|message-|call_|scenario-|\[|'|Traceback", text)[0].rstrip()

    def _id(self, id: str) -> str:
        if id not in self._numbers:
            kind = id.rpartition("_")[0] if id.startswith("call_") else ID.fullmatch(id)[1] or "uuid"  # type: ignore[index]  # every id matches
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._numbers[id] = f"<{kind} {self._counts[kind]}>"
        return self._numbers[id]


def collapse(events: list[Any]) -> list[Any]:
    """Return the events without consecutive duplicates."""
    found: list[Any] = []
    for event in events:
        plain = json.dumps({**event, "seq_id": bool(event.get("seq_id"))} if isinstance(event, dict) else event)
        if not found or found[-1][0] != plain:
            found.append((plain, {**event, "seq_id": bool(event.get("seq_id"))} if isinstance(event, dict) else event))
    return [event for _, event in found]
