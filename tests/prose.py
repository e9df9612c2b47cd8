"""Check that the words of this project follow its style: plain, present tense, with the field's terms.

Prints each line with a discouraged form and ends with status 1, or prints the number of allowed lines. An allowed line
has its reason in `ALLOWED`; an entry that matches no line is reported too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PATHS: Final = (
    "*.py",
    "*.md",
    "*.jinja",
    "*.toml",
    "*.txt",
    ".ci",
    ":!generated",
    ":!tests/codegen/golden",
    ":!spec/openapi.yaml",
    ":!tests/prose.py",
)

DISCOURAGED: Final = {
    r"\b(go|goes|going|gone) over\b": "iterate",
    r"\bSays (that|what|how|why)\b": "name the subject and its action",
    r"\b(is|are|was|were) no\b": "is not, does not",
    r"\b(told|tells)\b": "name what is passed or reported",
    r"\b(goes|gone|went|going) on\b": "continue, resume",
    r"\b(nobody|somebody)\b": "name the subject",
    r"\b(whoever|whatever|wherever)\b": "name the subject",
    r"the long way": "fallback",
    r"\blets? go of\b": "close, garbage-collect",
    r"\b(stands|stood)\b": "is, is defined",
    r"\banswers?\b": "response, reply",
    r"\bthings?\b": "name the subject",
    r'"""What [^"]*\bis\b': "start with a noun phrase or a verb",
    r"\bso does\b": "state the action",
    r"\bhears? of\b": "receive, observe",
    r"(?-i:\bis none\b)": "is not",
}

ALLOWED: Final[dict[tuple[str, str], str]] = {}
"""The reason of each allowed line, by file and a part of the line."""


def lines() -> list[tuple[str, int, str]]:
    """Return each line of the project's own text with its file and number."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *PATHS],  # noqa: S607  # git is found on the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        (name, number, line)
        for name in filter(None, listed.stdout.split("\0"))
        if (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1)
    ]


def main() -> int:
    """Print the faults; return 1 where there are any."""
    forms = {re.compile(form, re.IGNORECASE): better for form, better in DISCOURAGED.items()}
    used: set[tuple[str, str]] = set()
    faults: list[str] = []
    allowed = 0
    for name, number, line in lines():
        for form, better in forms.items():
            found = form.search(line)
            if found is None:
                continue
            reasons = [key for key in ALLOWED if key[0] == name and key[1] in line]
            if reasons:
                used.update(reasons)
                allowed += 1
            else:
                faults.append(f"{name}:{number}: {found[0]!r}: {better}\n    {line.strip()}")
    faults += [f"{name}: the allowed text {text!r} is not there any more" for name, text in ALLOWED.keys() - used]
    print("\n".join(faults) if faults else f"prose: {allowed} allowed lines, each with a reason")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
