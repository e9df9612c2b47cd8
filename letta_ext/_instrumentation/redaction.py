"""Secrets in log lines and errors: which values are secret, and how they are left out. Nothing here does I/O."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import httpx

from .._types import is_mapping, is_sequence

REDACTED: Final = "***"

SHORTEST: Final = 6
"""Characters of a value below which it is no secret: taking every `1` out of a line would make it unreadable."""

CUT_OFF: Final = "…"
"""The end of a text that was shortened, perhaps within a secret."""

ORDINARY: Final = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "host"})
"""Headers whose values are never secret."""

_SECRET = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature|session", re.IGNORECASE)
_BASE64 = r"[A-Za-z0-9+/_=-]*"


def is_secret(name: str) -> bool:
    """Whether the value of a header or a query parameter of this name is not for other eyes."""
    return _SECRET.search(name) is not None


def shown_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Headers or query parameters on one line, the secrets left out."""
    return ", ".join(f"{name}={REDACTED if is_secret(name) else repr(value)}" for name, value in pairs)


def secrets_of(pairs: Iterable[tuple[str, Any]]) -> frozenset[str]:
    """The secret values among headers or query parameters, also without the scheme in front of a credential."""
    found: set[str] = set()
    for name, value in pairs:
        if is_secret(name) and value:
            found |= _parts(str(value))
    return _long_enough(found)


def secrets_of_request(request: httpx.Request, *, all_values: bool = False) -> frozenset[str]:
    """Return the secrets that a request carries, and the passwords in the addresses of proxies.

    Args:
        request: The request as it was sent, with the headers, the credentials and the cookies of its HTTP client.
        all_values: Whether values under names that do not sound secret count, too. A server may well name the project
            of a request; a fault of the transport has no reason to quote any value.
    """
    pairs: list[tuple[str, str]] = [
        (name, value) for name, value in request.headers.multi_items() if name not in ORDINARY
    ]
    pairs += request.url.params.multi_items()
    found: set[str] = set()
    for name, value in pairs:
        if value and (all_values or is_secret(name)):
            found |= _parts(value)
    addresses = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    for address in (str(request.url.copy_with(query=None, fragment=None)), *addresses):
        found |= secrets_of_url(address)
    return _long_enough(found)


def secrets_of_url(address: str) -> set[str]:
    """Return the password in an address, also without its percent-encoding; with its user name if it has one."""
    userinfo = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if not userinfo:
        return set()
    password = userinfo.partition(":")[2] or userinfo
    return {userinfo, password, unquote(userinfo), unquote(password)}


def _parts(value: str) -> set[str]:
    """A value, the credential behind its scheme, what that encodes, and the values of cookies."""
    credential = value.rpartition(" ")[2]
    found = {value, value.strip(), credential}
    if value[:6].lower() == "basic ":
        try:
            decoded = base64.b64decode(credential, validate=True).decode()
        except ValueError:
            decoded = ""
        found |= {decoded, decoded.partition(":")[2]}
    if ";" in value or "=" in value:
        found |= {pair.partition("=")[2].strip().strip('"') for pair in value.split(";")}
    return found


def _long_enough(found: Iterable[str]) -> frozenset[str]:
    return frozenset(text for text in found if len(text) >= SHORTEST)


def without(text: str, secrets: Iterable[str]) -> str:
    """The text with these values left out, wherever they stand.

    A value is found as it is, percent-encoded, escaped as in JSON, HTML or the repr of a string, and in base64, alone
    or behind a user name; where the text was shortened, the beginning of a value is found in front of its end.
    """
    known = secrets if isinstance(secrets, frozenset) else frozenset(secrets)
    if not known:
        return text
    text = _pattern(known).sub(REDACTED, text)
    if CUT_OFF in text:
        for secret in known:
            for length in range(len(secret) - 1, SHORTEST - 1, -1):
                text = text.replace(secret[:length] + CUT_OFF, REDACTED + CUT_OFF)
    return text


@lru_cache(maxsize=8)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """What finds these values in all their forms; the longest first, which may hold others."""
    longest = sorted(secrets, key=len, reverse=True)
    return re.compile("|".join([*map(_spelled, longest), *(form for each in longest for form in _encoded(each))]))


def _spelled(secret: str) -> str:
    return "".join(map(_character, secret))


@lru_cache(maxsize=512)
def _character(character: str) -> str:
    """One character, as it is or escaped, once or more often."""
    octets = character.encode("utf-8", "surrogatepass")
    percent = "".join(rf"%(?:25)*(?i:{octet:02x})" for octet in octets)
    units = character.encode("utf-16-be", "surrogatepass")
    escaped = "".join(rf"\\+u(?i:{units[at]:02x}{units[at + 1]:02x})" for at in range(0, len(units), 2))
    number = ord(character)
    entity = rf"&(?:amp;)*#(?:0*{number}|[xX]0*(?i:{number:x}));"
    named = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}.get(character)
    forms = [re.escape(character), percent, escaped, rf"\\+{re.escape(character)}", entity]
    if number < 256:
        forms.append(rf"\\+x(?i:{number:02x})")
    if named:
        forms.append(f"&(?:amp;)*{named};")
    if character == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"


def _encoded(secret: str) -> list[str]:
    """The value in base64, whatever stands in front of it: each of the three ways that its octets can fall."""
    octets = secret.encode("utf-8", "surrogatepass")
    found: list[str] = []
    for ahead in range(3):
        text = base64.b64encode(b"\0" * ahead + octets).decode().rstrip("=")
        whole = text[-(-8 * ahead // 6) : len(text) - (0 if (ahead + len(octets)) % 3 == 0 else 1)]
        if len(whole) >= SHORTEST:
            core = re.escape(whole).replace(r"\+", r"[+\-]").replace("/", "[/_]")
            found.append(f"{core}{_BASE64}")
    return found


def without_deep(value: Any, secrets: frozenset[str]) -> Any:
    """A JSON value with these secrets left out of its strings and keys. It is returned as it is if there are none."""
    if not secrets or not _holds(value, secrets):
        return value
    return _replaced(value, secrets)


def redactor(request: httpx.Request) -> Callable[[Any], Any]:
    """Return a function that leaves the secrets of a request out of a JSON value."""
    return lambda value: without_deep(value, secrets_of_request(request))


def _holds(value: Any, secrets: frozenset[str]) -> bool:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            if without(each, secrets) != each:
                return True
        elif is_mapping(each):
            pending += [*each.keys(), *each.values()]
        elif is_sequence(each):
            pending += each
    return False


def _replaced(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return without(value, secrets)
    if is_mapping(value):
        return {_replaced(key, secrets): _replaced(item, secrets) for key, item in value.items()}
    if is_sequence(value):
        return [_replaced(item, secrets) for item in value]
    return value


def merged(*headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of several sources, the later before the earlier; their names are the same in any case."""
    found: dict[str, tuple[str, str]] = {}
    for source in headers:
        for name, value in source.items():
            found[name.lower()] = (name, value)
    return dict(found.values())
