"""Python names for the document's names."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Callable, Iterable

from openapi_python_client import strings

_WORDS = (
    "str int float bool list dict datetime Any Literal ClassVar Decoders Forms Tag ABSENT classmethod "
    "array lazy_array mapping nullable or_text parse_instant Lazy"
)
_IN_ANNOTATIONS = frozenset(_WORDS.split())
"""What the body of a model's class uses by its bare name: a field called `str` would hide the type."""

MODEL_NAMES = _IN_ANNOTATIONS | frozenset(
    ["to_dict", "from_dict", "to_json", "from_json", "from_parts", "fields_set", "extra_fields", "self"]
)
"""What a field of a model cannot be called: it gets a trailing underscore."""

_RESERVED_CLASSES = (
    "ABSENT AbstractAsyncContextManager AbstractContextManager Any AsyncGenerator Callable ClassVar DECODERS Decoders "
    "FAULTS Final Forms Generator Lazy Literal MAKERS MEMBERS Mapping Model None Operation Page RAW Request Sequence "
    "Stream TYPE_CHECKING Tag True "
    "TypeAlias TypedDict NotRequired UNSET Unknown Unpack Unset"
)
RESERVED_CLASSES = frozenset(_RESERVED_CLASSES.split())
"""What generated modules import or define by that name: a component of such a name gets another."""

RESERVED_UNIONS = frozenset({"Array", "Event", "Instant", "Response"})
"""What a union cannot be called: its functions would have the name of one that endpoint modules define or import."""


LONGEST = 120
"""Characters of a name that becomes a file's: file systems allow 255 bytes, and names are joined."""


def usable(name: str) -> bool:
    """Whether a name can be one of Python's and of a file."""
    return name.isidentifier() and len(name.encode()) <= LONGEST


def class_name(name: str) -> str:
    """The class for a name, as openapi-python-client spells it."""
    return str(strings.ClassName(unicodedata.normalize("NFKC", name), "Model"))


def module_name(name: str) -> str:
    """The module of a class, as openapi-python-client spells it."""
    # Python reads a name in its normal form; a file is called as it is written.
    return str(strings.PythonIdentifier(unicodedata.normalize("NFKC", name), "field_"))


def param_name(component: str) -> str:
    """The TypedDict of a component."""
    # A class that would have a keyword's name ends in an underscore, which datamodel-code-generator takes out.
    return f"{component.rstrip('_')}Param"


def like_name(component: str) -> str:
    """The alias of what a request takes for a component: its TypedDict or its model."""
    return f"{component.rstrip('_')}Like"


def identifiers(names: Iterable[str], reserved: frozenset[str] = MODEL_NAMES) -> dict[str, str]:
    """A Python identifier for each wire name: the name itself wherever Python and the model allow it.

    Keywords and reserved names get a trailing underscore, what is no identifier a clean form; the results are unique.
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
    """Puts numbers behind names that are taken, each from where the last search for the same name has ended.

    Args:
        joint: What stands between a name and its number.
    """

    def __init__(self, joint: str = "") -> None:
        self.joint = joint
        self.next: dict[str, int] = {}

    def unique(self, base: str, free: Callable[[str], bool]) -> str:
        """Return the name itself, or with the first number that makes it free."""
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
