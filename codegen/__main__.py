"""The generator's command line."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from codegen.atomic_replace import check_target
from codegen.errors import (
    GeneratorFailure,
    InstallationError,
    OccupiedError,
    SpecError,
    SpecErrors,
    VendorError,
)
from codegen.paths import OUT, ROOT, SPEC
from codegen.printable import printable, printable_lines
from codegen.toolchain import INSTALL, require_tools

if TYPE_CHECKING:
    from codegen.prune import Skip

CLEAN, DIFFERENT, FAILED = 0, 1, 2

YOUNG_OBJECTS = 100_000
"""The number of new objects before a garbage collection. Most objects of a run live until its end."""

UNUSED_MODULES = ("httpx._main", "trio", "h2", "socksio", "zstandard", "brotli", "brotlicffi")
"""Optional parts of httpx, which openapi-python-client imports to download documents. They take a sixth of a second."""

EPILOG = """\
examples:
  python -m codegen generate                        after an edit of the document or a template
  python -m codegen diff HEAD                       the effect of an edit of the document on users
  python -m codegen diff v1.0 --format markdown     changes since a tag, for a pull request
  python -m codegen vendor ../service/src --package acme.clients.letta

exit status:
  0  done, or no difference
  1  a difference, as the --help of each command describes
  2  the document, a file, a tool or the command line is invalid; nothing was written

See `python -m codegen COMMAND --help` and codegen/README.md.
"""

FAULTY = "2  the document, a file, a tool or the command line is invalid; nothing was written"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status, which `--help` explains."""
    given = make_parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except SpecError as fault:
        faults = fault.faults if isinstance(fault, SpecErrors) else [fault]
        # Places in the document are one line; messages about files can have several.
        return _failed(*(printable(str(each)) if each.place.startswith("#") else str(each) for each in faults))
    except ImportError as fault:
        return _failed(f"{fault}\n{INSTALL}")
    except (GeneratorFailure, InstallationError, OccupiedError, VendorError, OSError) as fault:
        return _failed(str(fault))
    except Exception:  # noqa: BLE001  # Python's own exit status 1 means a difference here
        traceback.print_exc()
        return _failed("internal error of the generator")


def _failed(*faults: str) -> int:
    """Print why the command failed, and return the exit status."""
    for fault in faults:
        first, *more = printable_lines(fault)
        print("\n".join([f"codegen: {first}", *(f"    {line}" for line in more)]), file=sys.stderr)
    print("codegen: nothing was written", file=sys.stderr)
    return FAILED


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line. Its result has the command's function as `run`."""
    parser = argparse.ArgumentParser(
        prog="python -m codegen",
        description="Generates the package letta_api from the OpenAPI document, compares documents, and vendors it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def command(name: str, text: str, run: object, more: str, *statuses: str) -> argparse.ArgumentParser:
        epilog = "exit status:\n" + "".join(f"  {status}\n" for status in (*statuses, FAULTY))
        description = f"{text[0].upper()}{text[1:]}.\n\n{more}"
        added = commands.add_parser(name, help=text, description=description, epilog=epilog)
        added.formatter_class = argparse.RawDescriptionHelpFormatter
        added.set_defaults(run=run)
        return added

    made = command(
        "generate",
        "generate the package and replace it in one step",
        _generate,
        "The package is generated in a temporary folder: if anything fails, the package stays unchanged.",
        "0  done",
    )
    _document(made)
    made.add_argument("--force", action="store_true", help="replace the package even if files in it were edited")

    checked = command(
        "check",
        "compare the package with the output of the document, byte for byte",
        _check,
        "Nothing is written. Each file that differs, is missing or is unexpected is listed.",
        "0  nothing differs",
        "1  the package differs from the output of the document",
    )
    _document(checked)

    compared = command(
        "diff",
        "list the differences between two documents, whom they affect, and the version bump",
        _diff,
        "A change is breaking, additive or cosmetic, for senders of requests or readers of responses;\n"
        "its effect on the generated package follows the dash.",
        "0  compared",
        "1  there is a change of the level of --fail-on or above",
    )
    compared.add_argument("old", metavar="OLD", help="a file, a git revision, or REVISION:PATH")
    compared.add_argument(
        "new", metavar="NEW", nargs="?", default=str(SPEC), help="the same (default: spec/openapi.yaml)"
    )
    compared.add_argument(
        "--format", choices=("text", "markdown"), default="text", help="markdown is for a pull request"
    )
    compared.add_argument(
        "--shared",
        action="store_true",
        help="compare documents of different origin: only operations in both, matched by path",
    )
    compared.add_argument("--lenient", action="store_true", help="skip unsupported parts, and list them")
    compared.add_argument(
        "--fail-on", choices=("breaking", "additive"), help="exit with 1 on a change of this level or above"
    )

    copied = command(
        "vendor",
        "copy the package into another code base, or check a copy",
        _vendor,
        "The copy needs attrs and httpx only, and checks itself with the standard library:\n"
        "`python -m A.B.C --check` lists edited files.",
        "0  copied; or, with --check, the copy is unchanged and up to date",
        "1  with --check: the copy was edited, or is out of date",
    )
    copied.add_argument("dest", metavar="DEST", type=Path, help="the import root of the other code base")
    copied.add_argument("--package", metavar="A.B.C", help="the name of the copy there (default: letta_api)")
    copied.add_argument(
        "--spec", type=Path, metavar="FILE", help="the document, to check that DIR was generated from it"
    )
    copied.add_argument("--force", action="store_true", help="replace the copy even if files in it were edited")
    copied.add_argument("--check", action="store_true", help="copy nothing: list edited and out-of-date files")
    copied.add_argument(
        "--source", type=Path, default=OUT, metavar="DIR", help="the package (default: generated/letta_api)"
    )
    return parser


def _document(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--spec", type=Path, default=SPEC, metavar="FILE", help="the document (default: spec/openapi.yaml)"
    )
    command.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="the package (default: generated/letta_api)"
    )
    command.add_argument(
        "--client", type=Path, metavar="DIR", help="the resource classes (default: letta_ext/resources, without --out)"
    )
    command.add_argument("--lenient", action="store_true", help="skip unsupported parts, and list them")


class _Progress:
    """A progress display for terminals. It prints nothing to a file."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.shown = sys.stderr.isatty()

    def __call__(self, step: str) -> None:
        if self.shown:
            print(f"{self.seconds:6.2f} s  {step}", file=sys.stderr)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def _generate(given: argparse.Namespace) -> int:
    require_tools()
    check_target(given.out, force=given.force)  # before the tools are loaded
    from codegen.pipeline import generate

    progress = _Progress()
    made = generate(given.spec, given.out, given.client, lenient=given.lenient, force=given.force, say=progress)
    _list(made.skips)
    counts = [(made.operations, "operation"), (made.models, "model"), (made.unions, "union"), (made.enums, "enum")]
    left = f"; {counted(len(made.skips), 'part')} skipped" if given.lenient else ""
    _print(
        f"made {counted(made.files, 'file')} in {given.out} in {progress.seconds:.1f} s: "
        f"{', '.join(counted(*each) for each in counts)}{left}"
    )
    return CLEAN


def _print(line: str) -> None:
    """Print a line, with control characters of the document escaped."""
    print(printable(line))


def counted(number: int, word: str) -> str:
    """Return a number with a noun, such as `1 file`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _check(given: argparse.Namespace) -> int:
    require_tools()
    from codegen.pipeline import drift

    progress = _Progress()
    differences = drift(given.spec, given.out, given.client, lenient=given.lenient, say=progress)
    for line in differences:
        _print(line)
    _print(f"checked in {progress.seconds:.1f} s: {counted(len(differences), 'difference')}")
    if differences:
        _print("run `python -m codegen generate` and commit its output; --force discards edits of the package")
    return DIFFERENT if differences else CLEAN


def _diff(given: argparse.Namespace) -> int:
    require_tools()
    from codegen.diff.align import comparable, legible
    from codegen.diff.change import Level
    from codegen.diff.compare import compare
    from codegen.diff.partial_documents import understood
    from codegen.diff.report import as_markdown, as_text
    from codegen.diff.revisions import load_revision
    from codegen.pipeline import read

    names = (given.old, given.new)
    sides = [load_revision(name, default=SPEC, root=ROOT) for name in names]
    left: list[tuple[str, Skip]] = []
    if given.shared:
        if given.lenient:
            sides = understood(names, sides, legible, left)
        sides = [comparable(*sides), comparable(*reversed(sides))]
    if given.lenient:
        sides = understood(names, sides, read, left)
    changes = compare(*map(read, sides), shared=given.shared)
    print((as_markdown if given.format == "markdown" else as_text)(changes, left))
    worst = max((change.level for change in changes), default=Level.COSMETIC)
    return DIFFERENT if given.fail_on and worst >= Level[given.fail_on.upper()] else CLEAN


def _list(skips: Sequence[Skip]) -> None:
    """Print skipped parts, grouped by reason."""
    grouped: dict[tuple[str, str], list[Skip]] = {}
    for skip in skips:
        grouped.setdefault((skip.what, skip.cause), []).append(skip)
    for (what, cause), some in grouped.items():
        _print(f"{what}, because it {cause} ({len(some)}):")
        for skip in some:
            inside = f" (at {skip.at.removeprefix(skip.place)})" if skip.at != skip.place else ""
            _print(f"    {skip.place}{inside}")


def _vendor(given: argparse.Namespace) -> int:
    # Needs no tools: a generated package can be copied in any checkout.
    from codegen.vendor import check_vendored, vendor

    spec = given.spec or (SPEC if given.source.resolve() == OUT.resolve() else None)
    if not given.check:
        package = given.package or given.source.name
        place = vendor(given.source, given.dest, package, spec=spec, force=given.force)
        _print(f"copied to {place}; check it there with `python -m {package} --check`")
        return CLEAN
    wrong = check_vendored(given.source, given.dest, given.package, spec=spec)
    for line in wrong:
        _print(line)
    _print(counted(len(wrong), "difference") if wrong else "the copy is unchanged and up to date")
    return DIFFERENT if wrong else CLEAN


def _run() -> int:
    """Run as a program. Characters that a terminal cannot show are escaped."""
    gc.set_threshold(YOUNG_OBJECTS)
    for module in UNUSED_MODULES:
        sys.modules.setdefault(module, None)  # type: ignore[arg-type]  # None: as if it were not installed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return main()


def _exit(status: int) -> NoReturn:
    """End the process without deleting its objects one by one, which takes a tenth of a second."""
    with suppress(OSError):  # the interpreter reports output that cannot be written
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    _exit(_run())
