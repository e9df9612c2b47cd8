"""The fact `x-letta-asks`: what a client may ask of the server besides the operations that it offers.

The answers are read as plain JSON: they have no models, and no functions are made for them.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from attrs import frozen

from codegen.document import Document, escape
from codegen.errors import Gathering, SpecError
from codegen.names import module_name, usable
from codegen.operations import PATH, TABLE, Operation

FACT = "x-letta-asks"


@frozen
class Asked:
    """One question: a GET that changes nothing."""

    id: str
    path: str
    ids: tuple[str, ...]

    @property
    def constant(self) -> str:
        """Its name in the operations table."""
        return module_name(self.id).upper()

    @property
    def code(self) -> str:
        """Its row there."""
        return (
            f"Operation({self.id!r}, method='GET', path={self.path!r}, path_parameters={self.ids!r}, "
            "parameters=frozenset(), repeat='always')"
        )


def read_asked(document: Document, operations: Collection[Operation]) -> list[Asked]:
    """Every question that the document names.

    Raises:
        SpecErrors: questions are not understood.
    """
    facts = document.data.get(FACT, {})
    if not isinstance(facts, dict):
        raise SpecError(f"#/{FACT}", "is no object of paths by name")
    taken = {TABLE, *(operation.constant for operation in operations)}
    found: list[Asked] = []
    gathering = Gathering()
    for name, path in facts.items():
        with gathering.block():
            found.append(_asked(name, path, taken))
            taken.add(found[-1].constant)
    gathering.done()
    return found


def _asked(name: object, path: object, taken: set[str]) -> Asked:
    place = f"#/{FACT}/{escape(str(name))}"
    if not isinstance(name, str) or not usable(module_name(name)) or module_name(name).upper() in taken:
        raise SpecError(place, "has a name that makes no Python name of its own")
    if not isinstance(path, str) or not PATH.fullmatch(path):
        raise SpecError(place, "is no path of segments and {placeholders}, with everything else percent-encoded")
    ids = tuple(re.findall(r"\{([^{}]+)\}", path))
    if not all(map(usable, ids)) or len(set(ids)) != len(ids):
        raise SpecError(place, f"has placeholders that are no Python names of their own: {', '.join(ids)!a:.60}")
    return Asked(name, path, ids)
