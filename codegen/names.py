"""Python names for the names of the document."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from openapi_python_client import strings

from codegen.errors import SpecError

_MODEL_BODY = (
    "str int float bool list dict datetime Any Literal ClassVar Decoders Discriminator ABSENT "
    "array lazy_array mapping nullable or_text parse_instant Alias JoinedText Received received_tag"
)
_MODEL_METHODS = (
    "to_dict from_dict to_json from_json fields_set extra_fields model_dump model_dump_json model_copy model_construct "
    "model_validate model_validate_json model_fields_set model_extra"
)
MODEL_NAMES = frozenset([*_MODEL_BODY.split(), *_MODEL_METHODS.split(), "self"])
"""Reserved field names: names that the body of a model class uses, and public attributes of models."""


def _template_names() -> Iterable[str]:
    """Yield the names that modules with components import or define, as their templates state them."""
    for template in ("endpoint_module", "model", "union"):
        text = (Path(__file__).parent / "templates" / f"{template}.py.jinja").read_text(encoding="utf-8")
        for imported in re.findall(r"^ *from \S+ import (.+)$", text, re.MULTILINE):
            yield from imported.split(", ")
        yield from re.findall(r"^(\w+): Final", text, re.MULTILINE)


_TYPED_DICT_NAMES = "Any Iterable Literal Mapping NotRequired Sequence TypeAlias TypedDict TYPE_CHECKING"
RESERVED_CLASSES = frozenset([*_template_names(), *_TYPED_DICT_NAMES.split(), "False", "None", "True"])
"""Reserved component names: names that a generated module imports or defines."""


MAX_NAME_BYTES = 120
"""The largest length of a name. File systems allow 255 bytes, and file names can join two names."""


def usable(name: str) -> bool:
    """Return whether a name is valid as a Python identifier and as a file name."""
    return name.isidentifier() and len(name.encode()) <= MAX_NAME_BYTES


def check_new_name(name: object, taken: frozenset[str], place: str) -> None:
    """Check the name of an attribute that is not a property.

    Raises:
        SpecError: If it is not a public Python name, or is one of the names that are taken.
    """
    valid = isinstance(name, str) and usable(name) and not keyword.iskeyword(name)
    if valid and name not in taken and not str(name).startswith("_"):
        return
    raise SpecError(place, f"must be a Python name that the object does not have, got {name!r}")


@lru_cache(4096)
def class_name(name: str) -> str:
    """Return the class name for a name, as openapi-python-client spells it."""
    return str(strings.ClassName(unicodedata.normalize("NFKC", name), "Model"))


@lru_cache(4096)
def module_name(name: str) -> str:
    """Return the module name of a class, as openapi-python-client spells it."""
    # Python normalizes identifiers, file systems do not normalize file names.
    return str(strings.PythonIdentifier(unicodedata.normalize("NFKC", name), "field_"))


def param_name(component: str) -> str:
    """Return the name of a component's TypedDict."""
    # datamodel-code-generator removes the underscore that follows a keyword.
    return f"{component.rstrip('_')}Param"


def like_name(component: str) -> str:
    """Return the name of the alias for a component's TypedDict or model."""
    return f"{component.rstrip('_')}Like"


def identifiers(names: Iterable[str], reserved: frozenset[str] = MODEL_NAMES) -> dict[str, str]:
    """Return a unique Python identifier for each wire name, equal to the wire name if possible.

    Keywords and reserved names get a trailing underscore. Invalid characters become underscores.
    """
    cleaned = {name: _clean(name, reserved) for name in names}
    taken = {name for name, clean in cleaned.items() if clean == name}
    numbers = Numbers("_")
    out: dict[str, str] = {}
    for name, clean in cleaned.items():
        out[name] = clean if clean == name else numbers.unique(clean, lambda each: each not in taken)
        taken.add(out[name])
    return out


class Numbers:
    """A source of unique names: a name that is taken gets a number.

    Args:
        joint: The separator between a name and its number. Defaults to "".
    """

    def __init__(self, joint: str = "") -> None:
        self.joint = joint
        self.next: dict[str, int] = {}

    def unique(self, base: str, free: Callable[[str], bool]) -> str:
        """Return the name, with the next number that makes it free if it is taken."""
        if base not in self.next:
            self.next[base] = 2
            if free(base):
                return base
        while True:
            name = f"{base}{self.joint}{self.next[base]}"
            self.next[base] += 1
            if free(name):
                return name


def _clean(name: str, reserved: frozenset[str]) -> str:
    clean = unicodedata.normalize("NFKC", name)
    clean = "".join(c if ("_" + c).isidentifier() else "_" for c in clean).lstrip("_")
    if not clean or not clean.isidentifier():
        clean = f"field_{clean}".rstrip("_") if clean else "field"
    return clean + "_" if keyword.iskeyword(clean) or clean in reserved else clean
