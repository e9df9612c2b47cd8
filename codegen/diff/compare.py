"""Compares two documents: their operations, and the types that these use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import asdict

from codegen.diff.align import Route, route
from codegen.diff.change import BOTH, READER, SENDER, Change, Level
from codegen.diff.facts import compare_facts
from codegen.diff.limits import compare_limits, limits
from codegen.diff.variants import LIST, MAP, alternatives, is_literal, opened
from codegen.errors import SpecError
from codegen.models import Library
from codegen.names import module_name, param_name
from codegen.operations import Argument, Operation
from codegen.pipeline import Parsed
from codegen.type_reader import TypeReader

ADDITIVE, BREAKING, COSMETIC = Level.ADDITIVE, Level.BREAKING, Level.COSMETIC


def compare(old: Parsed, new: Parsed, *, shared: bool = False) -> list[Change]:
    """Return every difference, most severe first.

    Args:
        old: The old document.
        new: The new document.
        shared: Compare only operations in both documents and the types that these use, independent of names. For
            documents of different origin.
    """
    walk = _Walk(old, new, shared=shared)
    walk.operations()
    if not shared:
        walk.unreached()
    return sorted(dict.fromkeys(walk.found), key=lambda c: -c.level)


class _Walk:
    def __init__(self, old: Parsed, new: Parsed, *, shared: bool) -> None:
        self.old, self.new, self.shared = old, new, shared
        self.readers = TypeReader(old.document, old.source), TypeReader(new.document, new.source)
        # Documents of other origin have no extensions.
        self.facts = not shared or all(any(o.idempotency != "none" for o in side.operations) for side in (old, new))
        self.sources = tuple({o.place: o for o in side.document.operations()} for side in (old, new))
        self.found: list[Change] = []
        self.met: set[tuple[str, str, str]] = set()

    def say(self, level: Level, place: str, what: str, hits: Iterable[str] = (), surface: str = "") -> None:
        self.found.append(Change(level, place, what, tuple(hits), surface))

    # Operations

    def operations(self) -> None:
        by_id = {o.id: o for o in self.new.operations}
        by_path = {_route(o): o for o in self.new.operations}
        matched: set[str] = set()
        for old in self.old.operations:
            new = by_id.get(old.id) or by_path.get(_route(old))
            if new is None:
                if not self.shared:
                    self.say(BREAKING, old.id, "the operation is gone", BOTH, f"no module `{_module(old)}`")
                continue
            matched.add(new.id)
            self.operation(old, new)
        for new in self.new.operations:
            if new.id not in matched and not self.shared:
                self.say(ADDITIVE, new.id, "a new operation", (), f"new module `{_module(new)}`")

    def operation(self, old: Operation, new: Operation) -> None:
        name = old.id
        if old.id != new.id and not self.shared:
            self.say(BREAKING, name, f"is now called {new.id}", BOTH, f"`{_module(old)}` is `{_module(new)}`")
        if _route(old) != _route(new):
            self.say(BREAKING, name, f"{old.method} {old.path} is now {new.method} {new.path}", (SENDER,))
        if (old.summary, old.description) != (new.summary, new.description):
            self.say(COSMETIC, name, "its documentation reads differently")
        documents = self.old.document, self.new.document
        sources = self.sources[0][old.place], self.sources[1][new.place]
        self.found += compare_facts(*sources, documents, name, shared=self.shared)
        for fact in ("idempotency", "pagination"):
            if self.facts and getattr(old, fact) != getattr(new, fact):
                self.say(ADDITIVE, name, f"x-letta-{fact} says otherwise", (SENDER,), f"`operations.{old.constant}`")
        if old.body is not None and new.body is not None:
            self.met.add((old.body, new.body, SENDER))
        self.streams(old, new)
        self.arguments(old, new)
        self.response(old, new)

    def streams(self, old: Operation, new: Operation) -> None:
        if old.streaming and not new.streaming:
            self.say(BREAKING, old.id, "does not return events any more", (READER,), f"no `{_module(old)}.sync_stream`")
        elif new.streaming and not old.streaming:
            self.say(ADDITIVE, old.id, "returns events", (READER,), f"new `{_module(old)}.sync_stream`")
        elif old.streaming and new.streaming:
            facts = [
                (s.stream_condition, s.default, s.terminator, s.resume_operation)
                for s in (old.streaming, new.streaming)
            ]
            if self.facts and facts[0] != facts[1]:
                self.say(BREAKING, old.id, "x-letta-streaming says otherwise", BOTH, f"`operations.{old.constant}`")
            self.types(old.streaming.schema, new.streaming.schema, f"{old.id} events", READER)

    def arguments(self, old: Operation, new: Operation) -> None:
        olds, news = ({_key(a, o): a for a in o.arguments} for o in (old, new))
        for key in [*olds, *(k for k in news if k not in olds)]:
            before, after = olds.get(key), news.get(key)
            place = f"{old.id}({(after or before or olds[key]).wire})"
            if before is None and after is not None:
                level, word = (BREAKING, "required") if after.required else (ADDITIVE, "optional")
                self.say(level, place, f"a new {word} argument", (SENDER,), f"new keyword `{after.name}`")
            elif after is None and before is not None:
                self.say(BREAKING, place, "the argument is gone", (SENDER,), f"no keyword `{before.name}`")
            elif before is not None and after is not None:
                self.argument(before, after, place)

    def argument(self, old: Argument, new: Argument, place: str) -> None:
        if old.name != new.name and not self.shared:
            surface = f"keyword `{new.name}`, no keyword `{old.name}`"
            self.say(BREAKING, place, f"was called {old.wire}", (SENDER,), surface)
        if old.place != new.place:
            self.say(BREAKING, place, f"has moved from the {old.place} to the {new.place}", (SENDER,))
        if old.required != new.required:
            level, word = (BREAKING, "required") if new.required else (ADDITIVE, "optional")
            self.say(level, place, f"is now {word}", (SENDER,), f"{word} keyword `{new.name}`")
        self.texts(asdict(old, recurse=False), asdict(new, recurse=False), place)
        self.default(old.schema, new.schema, place, SENDER)
        # Null differs from an absent value in bodies only.
        self.types(
            old.schema, new.schema, place, SENDER, null=not {"body", "content"}.isdisjoint((old.place, new.place))
        )

    def response(self, old: Operation, new: Operation) -> None:
        place = f"{old.id} response"
        if old.response_schema is None and new.response_schema is not None:
            self.say(ADDITIVE, place, "is JSON now", (READER,), f"new `{_module(new)}.decode_response`")
        elif old.response_schema is not None and new.response_schema is None:
            self.say(BREAKING, place, "is not JSON any more", (READER,), f"no `{_module(old)}.decode_response`")
        elif old.response_schema is not None:
            self.types(old.response_schema, new.response_schema, place, READER)

    # Types

    def types(
        self,
        old: Any,
        new: Any,
        place: str,
        role: str,
        *,
        required: tuple[bool, bool] = (True, True),
        null: bool = True,
    ) -> None:
        """Compare two schemas for senders or readers.

        Args:
            old: The old schema.
            new: The new schema.
            place: The name of the item.
            role: The sender or the reader.
            required: Whether the old and the new item are required.
            null: Whether a change of nullability counts.
        """
        olds, news = alternatives(old, self.old.document), alternatives(new, self.new.document)
        olds, news = opened(olds, news, self.old.document), opened(news, olds, self.new.document)
        if not null:
            olds.pop("null", None)
            news.pop("null", None)
        self.found += compare_limits(limits(old, self.old.document), limits(new, self.new.document), place, role)
        self.pairs(olds, news, place, role)
        gone = [a for a in olds if a not in news]
        come = [a for a in news if a not in olds]
        named = [a for a in gone + come if a.endswith((" (object)", " (union)"))]
        if len(gone) == len(come) == 1 and len(named) == 2:
            return  # a renamed component, which `pairs` reports
        if not gone and not come:
            if self.scalars_break(old, new, role):
                surface = self.annotations(old, new, role, required)
                self.say(BREAKING, place, "is another type in Python", (role,), surface)
            return
        literals = all(is_literal(a) for a in gone + come)
        what = "; ".join(
            [*([f"no longer {', '.join(gone)}"] if gone else []), *([f"also {', '.join(come)}"] if come else [])]
        )
        if gone and come and not literals:
            what = f"was {', '.join(olds)}, is {', '.join(news)}"
        level = _level(role, olds, news, gone, come, literals=literals)
        if not literals and self.scalars_break(old, new, role):
            level = BREAKING
        surface = "its `Literal`" if literals else self.annotations(old, new, role, required)
        self.say(level, place, what, (role,), surface)

    def scalars_break(self, old: Any, new: Any, role: str) -> bool:
        """Return whether the Python type of a scalar changes, such as from `str` to `datetime`."""
        found: list[set[str]] = []
        for reader, schema in zip(self.readers, (old, new), strict=True):
            try:
                type_ = reader.read_schema(schema, "#")
            except SpecError:
                return False  # a component, which is compared separately
            parts = set(type_.parts if role == READER else type_.sent)
            found.append(
                {"Any"} if "Any" in parts else {part for part in parts if part.isidentifier() and part.islower()}
            )
        given, taken = found if role == SENDER else reversed(found)
        if "Any" in taken or not (given and taken):
            return False
        # The annotation `float` includes integers.
        return not given <= (taken | {"int"} if "float" in taken else taken)

    def annotations(self, old: Any, new: Any, role: str, required: tuple[bool, bool]) -> str:
        """Return the change of the annotation in the generated package, or ""."""
        written = []
        for reader, schema, always in zip(self.readers, (old, new), required, strict=True):
            try:
                type_ = reader.read_schema(schema, "#")
            except SpecError:
                return ""  # a component, which is compared separately
            if role == READER:
                written.append(type_.written if always else type_.optional)
            else:
                alike = always or required[0] == required[1]
                written.append(type_.sent_written if alike else f"NotRequired[{type_.sent_written}]")
        if written[0] == written[1]:
            return ""
        for before, after, word in ((*written, "also"), (*reversed(written), "no longer")):
            if after == f"{before} | None":
                return f"{word} `None`"
        return f"{_code(written[0])} is {_code(written[1])}"

    def pairs(self, olds: dict[str, Any], news: dict[str, Any], place: str, role: str) -> None:
        """Compare the items, the values and the components of both sides."""
        for word, suffix in ((LIST, "[]"), (MAP, "{}")):
            if word in olds and word in news:
                self.types(olds[word], news[word], place + suffix, role)
        for kind in (" (object)", " (union)"):
            before = {k: v for k, v in olds.items() if k.endswith(kind)}
            after = {k: v for k, v in news.items() if k.endswith(kind)}
            for key in before.keys() & after.keys():
                self.components(before[key], after[key], role)
            left, right = [k for k in before if k not in after], [k for k in after if k not in before]
            if len(left) == len(right) == 1:
                self.components(before[left[0]], after[right[0]], role)

    def components(self, old: str, new: str, role: str) -> None:
        if (old, new, role) in self.met:
            return
        self.met.add((old, new, role))
        if old != new and not self.shared:
            self.say(BREAKING, old, f"is now called {new}", BOTH, f"`models.{old}` is `models.{new}`")
        before, after = self.old.document.schemas[old], self.new.document.schemas[new]
        self.texts(before, after, old)
        if "discriminator" in before and "discriminator" in after:
            self.union(old, before, after, role)
        elif "properties" in before and "properties" in after:
            self.fields(old, before, after, role)

    def union(self, name: str, old: dict[str, Any], new: dict[str, Any], role: str) -> None:
        before, after = old["discriminator"], new["discriminator"]
        if before["propertyName"] != after["propertyName"]:
            what = f"is discriminated by {after['propertyName']}, no longer by {before['propertyName']}"
            self.say(BREAKING, name, what, BOTH, f"`unions.decode_{module_name(name)}`")
        olds, news = before["mapping"], after["mapping"]
        gone, come = f"it reads as `Unknown{name}`", f"it read as `Unknown{name}` before"
        if role == SENDER:
            gone, come = f"not in `{param_name(name)}`", f"new in `{param_name(name)}`"
        for tag in [t for t in olds if t not in news]:
            self.say(BREAKING, name, f"has no member {tag!r} any more", (role,), gone)
        for tag in [t for t in news if t not in olds]:
            self.say(ADDITIVE, name, f"has a new member {tag!r}", (role,), come)
        for tag in [t for t in olds if t in news]:
            self.components(olds[tag].rsplit("/", 1)[-1], news[tag].rsplit("/", 1)[-1], role)

    def fields(self, name: str, old: dict[str, Any], new: dict[str, Any], role: str) -> None:
        olds, news = old["properties"], new["properties"]
        for key in [k for k in olds if k not in news]:
            self.say(BREAKING, f"{name}.{key}", "the field is gone", (role,), self.place_of(role, key, "no"))
        for key in [k for k in news if k not in olds]:
            needed = key in new.get("required", []) and role == SENDER
            what = "a new required field" if key in new.get("required", []) else "a new optional field"
            self.say(BREAKING if needed else ADDITIVE, f"{name}.{key}", what, (role,), self.place_of(role, key, "new"))
        for key in [k for k in olds if k in news]:
            place = f"{name}.{key}"
            was, is_ = key in old.get("required", []), key in new.get("required", [])
            if was != is_:
                hurts = is_ if role == SENDER else was
                word = "required" if is_ else "optional"
                surface = self.annotations(olds[key], news[key], role, (was, is_))
                self.say(BREAKING if hurts else ADDITIVE, place, f"is now {word}", (role,), surface)
            before, after = (side if isinstance(side, dict) else {} for side in (olds[key], news[key]))
            self.texts(before, after, place)
            self.default(before, after, place, role)
            self.types(olds[key], news[key], place, role, required=(was, is_))

    def place_of(self, role: str, key: str, word: str) -> str:
        return f"{word} {'key' if role == SENDER else 'attribute'} {_code(key)}"

    def texts(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        if old.get("description", "").split() != new.get("description", "").split():
            self.say(COSMETIC, place, "its documentation reads differently")
        if bool(old.get("deprecated")) != bool(new.get("deprecated")):
            what = "is deprecated" if new.get("deprecated") else "is not deprecated any more"
            self.say(ADDITIVE if new.get("deprecated") else COSMETIC, place, what)

    def default(self, old: Any, new: Any, place: str, role: str) -> None:
        said = any("default" in side for side in (old, new) if isinstance(side, dict))
        olds, news = (_default(side) for side in (old, new))
        if said and olds != news:
            # Only requests that omit the argument change.
            level = BREAKING if role == SENDER else COSMETIC
            self.say(level, place, f"its default was {olds!r} and is {news!r}", (role,))

    # What no operation reaches

    def unreached(self) -> None:
        for kind in ("models", "unions", "enums"):
            olds, news = _names(self.old.library, kind), _names(self.new.library, kind)
            met = {name for pair in self.met for name in pair[:2]}
            for name in sorted(olds - news - met):
                self.say(BREAKING, name, f"is gone from {kind}", (READER,), f"no `{kind}.{name}`")
            for name in sorted(news - olds - met):
                self.say(ADDITIVE, name, f"is new in {kind}", (), f"new `{kind}.{name}`")
            for name in sorted((olds & news) - met):
                before, after = self.old.document.schemas[name], self.new.document.schemas[name]
                if kind == "enums":
                    self.types(before, after, name, SENDER)
                elif before != after:
                    self.components(name, name, READER)


def _code(text: str) -> str:
    """Return text of a document as inline code."""
    return f"`{text.replace('`', chr(39))}`"


def _default(schema: Any) -> Any:
    # A constant is its own default.
    return schema.get("default", schema.get("const")) if isinstance(schema, dict) else None


def _names(library: Library, kind: str) -> set[str]:
    return set(getattr(library, kind))


def _route(operation: Operation) -> Route:
    return route(operation.method, operation.path)


def _module(operation: Operation) -> str:
    return f"api.….{operation.module}"


def _key(argument: Argument, operation: Operation) -> tuple[str, str]:
    """Return the key of an argument: its name, or its position in the path."""
    if argument.place != "path":
        return "option", argument.wire
    return "path", str(re.findall(r"{([^}]*)}", operation.path).index(argument.wire))


def _level(
    role: str, olds: dict[str, Any], news: dict[str, Any], gone: list[str], come: list[str], *, literals: bool
) -> Level:
    """Return the severity of a change of type: removed values affect senders, added values affect readers."""
    if role == SENDER:
        return BREAKING if gone and not _wider(gone, news) else ADDITIVE
    if literals and len(olds) == len(news) == 1:
        return BREAKING  # a required discriminator
    if literals:
        return ADDITIVE if come else COSMETIC  # readers accept any value
    if gone and all(is_literal(a) for a in gone) and set(come) <= {"string", "integer"}:
        return ADDITIVE
    return BREAKING if come and not _wider(come, olds) else ADDITIVE


def _wider(some: list[str], others: dict[str, Any]) -> bool:
    """Return whether each alternative is a special case of an alternative of the other side."""
    kinds = {"'": "string", '"': "string", "integer": "number", "instant": "string"}
    return "any JSON" in others or all((kinds.get(a) or kinds.get(a[:1])) in others for a in some)
