"""The shape of an answer: what must be the same on every server. Ids, dates and texts are not; their kinds are."""

from __future__ import annotations

import json
import re
from typing import Any, Final

UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ID: Final = re.compile(rf"(?:([a-z_]+)-)?{UUID}|(call)_[0-9a-f]{{12}}|(chatcmpl)-[0-9a-f]{{32}}")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)?")

WORDS: Final = frozenset(
    (  # noqa: SIM905 - a list of strings would be a page long
        "approval_request_id approve code error_type feedback finish_reason has_feedback message_type method model "
        "model_handle origin provider_category provider_name role run_type seq_id source status step_count "
        "stop_reason type version"
    ).split()
)
"""The keys whose values are the API's own words and numbers, so that they must be equal."""

OWN: Final = frozenset({"traceback"})
"""The keys whose texts are a matter of the server's insides."""

MEASURED: Final = frozenset({"tool_execution_ns", "llm_request_ns", "step_ns", "context_tokens"})
"""The keys whose numbers were measured."""


LATE: Final = frozenset({"total_duration_ns"})
"""The keys that the real server fills some moment after a run has ended."""

UNORDERED: Final = frozenset({"tools"})
"""The keys whose lists are in whatever order the database has them."""


class Shapes:
    """Finds the shapes of one session's answers. Each id is numbered where it first appears, and keeps its number.

    Args:
        names: what is called differently on each server, and what to call it.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._numbers: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def of(self, value: Any, key: str = "") -> Any:
        """The shape of a JSON value under a key: objects keep their keys in order, lists their length."""
        if key in LATE and (value is None or isinstance(value, int)):
            return None
        if isinstance(value, dict):
            return {self._id(name) if ID.fullmatch(name) else name: self.of(each, name) for name, each in value.items()}
        if isinstance(value, list):
            shapes = [self.of(each, key) for each in value]
            return sorted(shapes, key=json.dumps) if key in UNORDERED else shapes
        if isinstance(value, str):
            return self._text(value, key)
        if value is None or key in WORDS or (isinstance(value, bool) and key not in OWN):
            return value
        return type(value).__name__

    def anonymous(self, value: Any) -> str:
        """The shape of a value by itself, as text: its ids are numbered anew."""
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
        """An error's text, up to the first thing in it that is this server's own."""
        return re.split(r"run-|conv-|agent-|step-|message-|call_|scenario-|\[|'|Traceback", text)[0].rstrip()

    def _id(self, id: str) -> str:
        if id not in self._numbers:
            kind = id.rpartition("_")[0] if id.startswith("call_") else ID.fullmatch(id)[1] or "uuid"  # type: ignore[index]  # every id matches
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._numbers[id] = f"<{kind} {self._counts[kind]}>"
        return self._numbers[id]


def collapsed(events: list[Any]) -> list[Any]:
    """Events of which those that only say more of the same are left out."""
    found: list[Any] = []
    for event in events:
        plain = json.dumps({**event, "seq_id": bool(event.get("seq_id"))} if isinstance(event, dict) else event)
        if not found or found[-1][0] != plain:
            found.append((plain, {**event, "seq_id": bool(event.get("seq_id"))} if isinstance(event, dict) else event))
    return [event for _, event in found]
