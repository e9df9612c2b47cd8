"""Redaction of secrets in log lines, spans and errors."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import httpx

from .._types import NotGiven, is_mapping, is_sequence

V = TypeVar("V")

REDACTED: Final = "***"

MAX_HEAD: Final = 64
"""The number of characters of a secret that a regular expression matches; the rest is compared one by one."""

MIN_LENGTH: Final = 6
"""The minimum length of a secret, in characters. Redacting every `1` of a log line would make it unreadable."""

FORMER_KEYS: Final = "letta_ext.former_keys"
"""The extension of a request with earlier API keys of its client, which a server may still send back."""

ELLIPSIS: Final = "…"
"""The end of a truncated text, which can end within a secret."""

PUBLIC_HEADERS: Final = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "host"})
"""Headers that never contain a secret."""

_SECRET = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature|session", re.IGNORECASE)
_BASE64 = {  # each non-alphanumeric character of base64, also for URLs, percent-encoded or escaped in JSON
    "+": r"(?:[+\-]|%(?:25)*2[Bb])",
    "/": r"(?:\\*[/_]|%(?:25)*2[Ff])",
    "=": r"(?:=|%(?:25)*3[Dd])",
}
_BASE64_REST = f"(?:[A-Za-z0-9]|{'|'.join(_BASE64.values())})*"


def is_secret(name: str) -> bool:
    """Return whether a header or query parameter of this name contains a secret."""
    return _SECRET.search(name) is not None


def format_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Format headers or query parameters on one line, with secrets redacted."""
    return ", ".join(f"{name}={REDACTED if is_secret(name) else repr(value)}" for name, value in pairs)


def secrets_of(pairs: Iterable[tuple[str, Any]]) -> frozenset[str]:
    """Return the secret values of headers or query parameters, with and without the scheme of a credential."""
    found: set[str] = set()
    for name, value in pairs:
        if is_secret(name) and value:
            found |= _secret_forms(str(value))
    return _of_min_length(found)


def secrets_of_request(request: httpx.Request, *, all_values: bool = False) -> frozenset[str]:
    """Return the secrets of a request, and the passwords of the configured proxies.

    Args:
        request: The request as it was sent, with the headers, credentials and cookies of its HTTP client.
        all_values: Whether to include the values of all names. Pass True for exceptions of the transport, which
            never need a value. Error responses need some, such as the project's name. Defaults to False.
    """
    pairs: list[tuple[str, str]] = [
        (name, value) for name, value in request.headers.multi_items() if name not in PUBLIC_HEADERS
    ]
    pairs += request.url.params.multi_items()
    found: set[str] = set(request.extensions.get(FORMER_KEYS, ()))
    for name, value in pairs:
        if value and (all_values or is_secret(name)):
            found |= _secret_forms(value)
    addresses = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    for address in (str(request.url.copy_with(query=None, fragment=None)), *addresses):
        found |= secrets_of_url(address)
    return _of_min_length(found)


def secrets_of_url(address: str) -> set[str]:
    """Return the user info and the password of an address, percent-encoded and decoded."""
    userinfo = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if not userinfo:
        return set()
    password = userinfo.partition(":")[2] or userinfo
    return {userinfo, password, unquote(userinfo), unquote(password)}


def _secret_forms(value: str) -> set[str]:
    """Return a value, its credential without the scheme, the decoded credential, and the values of cookies."""
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


def _of_min_length(found: Iterable[str]) -> frozenset[str]:
    return frozenset(text for text in found if len(text) >= MIN_LENGTH)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Redact secrets in a text.

    A secret is found verbatim, percent-encoded, escaped as in JSON, HTML or a Python repr, and in base64, alone or
    after a user name. In a truncated text, the beginning of a secret before the ellipsis is found.
    """
    known = secrets if isinstance(secrets, frozenset) else frozenset(secrets)
    if not known:
        return text
    text = _redact_forms(text, known)
    if ELLIPSIS in text:
        for secret in known:
            for length in range(min(len(secret) - 1, MAX_HEAD), MIN_LENGTH - 1, -1):
                text = text.replace(secret[:length] + ELLIPSIS, REDACTED + ELLIPSIS)
    return text


def _redact_forms(text: str, secrets: frozenset[str]) -> str:
    """Redact all encodings of secrets in a text."""
    pattern = _pattern(secrets)
    long = [secret for secret in secrets if len(secret) > MAX_HEAD]
    parts: list[str] = []
    done = 0
    while (found := pattern.search(text, done)) is not None:
        parts += text[done : found.start()], REDACTED
        done = max([found.end(), *(_end_of_secret(text, found.start(), secret) for secret in long)])
    return "".join(parts) + text[done:]


def _end_of_secret(text: str, start: int, secret: str) -> int:
    """Return the end of a long secret, or of the part of it, that starts at an index of a text. Return 0 without it."""
    found = _head_pattern(secret[:MAX_HEAD]).match(text, start)
    if found is None:
        return 0
    end = found.end()
    for character in secret[MAX_HEAD:]:
        following = _compiled_character(character).match(text, end)
        if following is None:
            break
        end = following.end()
    return end


@lru_cache(maxsize=8)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern for all encodings of secrets. Longer secrets come first, since they can contain others.

    It contains only the head of a long secret, since compiling takes about 1 ms for each character.
    """
    longest = sorted(secrets, key=len, reverse=True)
    texts = dict.fromkeys(_text_pattern(secret[:MAX_HEAD]) for secret in longest)
    return re.compile("|".join([*texts, *(form for each in longest for form in _base64_patterns(each))]))


@lru_cache(maxsize=32)
def _head_pattern(head: str) -> re.Pattern[str]:
    return re.compile(_text_pattern(head))


@lru_cache(maxsize=512)
def _compiled_character(character: str) -> re.Pattern[str]:
    return re.compile(_character_pattern(character))


def _text_pattern(secret: str) -> str:
    return "".join(map(_character_pattern, secret))


@lru_cache(maxsize=512)
def _character_pattern(character: str) -> str:
    """Return a pattern for one character, verbatim or escaped one or more times."""
    encoded = character.encode("utf-8", "surrogatepass")
    percent = "".join(rf"%(?:25)*(?i:{byte:02x})" for byte in encoded)
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


def _base64_patterns(secret: str) -> list[str]:
    """Return patterns for a secret within base64. Its offset modulo 3 determines the encoding."""
    encoded = secret.encode("utf-8", "surrogatepass")
    found: list[str] = []
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + encoded).decode().rstrip("=")
        complete = text[-(-8 * offset // 6) : len(text) - (0 if (offset + len(encoded)) % 3 == 0 else 1)]
        if len(complete) >= MIN_LENGTH:
            core = "".join(_BASE64.get(character, character) for character in complete)
            found.append(f"{core}{_BASE64_REST}")
    return found


def redact_json(value: Any, secrets: frozenset[str]) -> Any:
    """Redact secrets in the strings and keys of a JSON value. Without secrets, return the value itself."""
    if not secrets or not _contains(value, secrets):
        return value
    return _redact_strings(value, secrets)


def make_redactor(request: httpx.Request) -> Callable[[Any], Any]:
    """Return a function that redacts the secrets of a request in a JSON value."""
    return lambda value: redact_json(value, secrets_of_request(request))


def _contains(value: Any, secrets: frozenset[str]) -> bool:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            if redact(each, secrets) != each:
                return True
        elif is_mapping(each):
            stack += [*each.keys(), *each.values()]
        elif is_sequence(each):
            stack += each
    return False


def _redact_strings(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if is_mapping(value):
        return {_redact_strings(key, secrets): _redact_strings(item, secrets) for key, item in value.items()}
    if is_sequence(value):
        return [_redact_strings(item, secrets) for item in value]
    return value


def merge_headers(*headers: Mapping[str, V]) -> dict[str, V]:
    """Merge headers case-insensitively. Later sources take precedence."""
    found: dict[str, tuple[str, V]] = {}
    for source in headers:
        for name, value in source.items():
            found[name.lower()] = (name, value)
    return dict(found.values())


def separate_omitted(headers: Mapping[str, str | NotGiven]) -> tuple[dict[str, str], frozenset[str]]:
    """Return the headers that have a value, and the lowercase names of those that are `omit`."""
    given = {name: value for name, value in headers.items() if not isinstance(value, NotGiven)}
    return given, frozenset(name.lower() for name, value in headers.items() if isinstance(value, NotGiven))
