"""Each command on each state of a tree: exit status, message and kept files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegen.__main__ import main
from codegen.atomic_replace import TEMPORARY
from codegen.pipeline import ROOT, drift, generate
from codegen.vendor import vendor
from tests.codegen.building import STRING, contents, document, obj
from tests.codegen.trees import (
    CHECK,
    COMMANDS,
    DIFFERS,
    DONE,
    FAILED,
    GENERATE,
    OTHER_FILE_SYSTEM,
    TREES,
    VENDOR,
    VENDOR_CHECK,
    Place,
    Tree,
    on_another_file_system,
    without_root,
)

README = ROOT / "codegen" / "README.md"


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a document, its package and a vendored copy."""
    folder = tmp_path_factory.mktemp("origin")
    (folder / "openapi.json").write_text(json.dumps(document({"T": obj("", a=STRING)})))
    generate(folder / "openapi.json", folder / "made")
    vendor(folder / "made", folder / "copies", "acme")
    return folder


def is_vendoring(command: str) -> bool:
    return command.startswith("vendor")


def prepared(tree: Tree, command: str, origin: Path, root: Path) -> Place:
    """Prepare a state with a package or a vendored copy."""
    place = Place(root, root / "tree" / "acme", root / "openapi.json")
    shutil.copyfile(origin / "openapi.json", place.spec)
    shutil.copytree(origin / ("copies/acme" if is_vendoring(command) else "made"), place.package)
    shutil.copytree(origin / "made", root / "source")
    tree.prepare(place)
    return place


def arguments(command: str, place: Place) -> list[str]:
    name, *options = command.split()
    if is_vendoring(command):
        where = place.package if "--check" in options else place.package.parent
        package = [] if "--check" in options else ["--package", place.package.name]
        source = ["--source", str(place.root / "source"), "--spec", str(place.spec)]
        return [name, str(where), *package, *source, *options]
    return [name, "--spec", str(place.spec), "--out", str(place.package), *options]


def snapshot(root: Path) -> dict[str, object]:
    """Return every folder, file, link and pipe below a folder with its contents."""
    return {
        path.relative_to(root).as_posix(): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else path.lstat().st_mode
        for path in sorted(root.rglob("*"))
        if "__pycache__" not in path.parts
    }


def run(tree: Tree, given: list[str], place: Place) -> tuple[int, str]:
    """Run a command in a new process and return its exit status and output."""
    extra = tree.env(place) if tree.env else {}
    flags = extra.pop("CODEGEN_TEST_FLAGS", "").split()
    paths = [str(ROOT), str(ROOT / "generated")]
    path = os.pathsep.join([*filter(None, [extra.pop("PYTHONPATH", "")]), *paths])
    command = [*(tree.wrapper() if tree.wrapper else []), sys.executable, "-B", *flags, "-m", "codegen", *given]
    # A user who may not write to the tree needs a folder for what is temporary.
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o777)
        env = {**os.environ, "TMPDIR": temporary, **extra, "PYTHONPATH": path}
        done = subprocess.run(command, cwd=place.root, env=env, capture_output=True, text=True, check=False)
        assert [each.name for each in Path(temporary).iterdir()] == []
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", TREES)
def test_command_on_tree_has_expected_status_and_keeps_files(
    name: str,
    command: str,
    origin: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Status, message and resulting tree are as in the table."""
    tree = TREES[name]
    place = prepared(tree, command, origin, root)
    given = arguments(command, place)
    if tree.env:
        tree.env(place)  # what it writes is part of the state
    if tree.cwd:
        monkeypatch.chdir(tree.cwd(place))
    if tree.home:
        monkeypatch.setenv("HOME", str(tree.home(place)))
    before = snapshot(place.root)
    if tree.alone:
        found, printed = run(tree, given, place)
    else:
        found = main(given)
        printed = "".join(capsys.readouterr())
    status, message = tree.outcome(command)
    assert (found, message in printed) == (status, True), printed
    assert "Traceback" not in printed
    if "check" in command or status == FAILED:
        assert snapshot(place.root) == before
    else:
        assert sorted(path.name for path in place.package.parent.iterdir()) == ["acme"]
        if tree is TREES["the document changed since"]:
            assert main(arguments(CHECK, place)) == DONE
        else:
            made = origin / ("copies/acme" if is_vendoring(command) else "made")
            assert contents(place.package.resolve()) == contents(made)
        assert outside(snapshot(place.root)) == outside(before)


def outside(found: dict[str, object]) -> dict[str, object]:
    """Return the files outside of the package."""
    return {name: held for name, held in found.items() if name.split("/")[0] not in ("tree", "elsewhere")}


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that other users can read, unlike those of pytest."""
    if TREES[request.getfixturevalue("name")].wrapper is not without_root:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        command = [*without_root(), sys.executable, "-c", "import attrs"]
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
            pytest.skip("another user cannot run this Python")
        yield Path(folder)
        for path in Path(folder).rglob("*"):
            if path.is_dir():
                path.chmod(0o755)


@pytest.mark.parametrize("command", [GENERATE, VENDOR])
def test_path_through_parent_is_normalized(command: str, origin: Path, tmp_path: Path) -> None:
    """`pkg/../pkg` is `pkg`, which is replaced and not lost."""
    place = prepared(TREES["as it was made"], command, origin, tmp_path)
    before = snapshot(place.root)
    through = Place(place.root, place.package / ".." / place.package.name, place.spec)
    assert main(arguments(command, through)) == DONE
    assert snapshot(place.root) == before


@pytest.mark.skipif(not on_another_file_system(), reason="needs a second file system")
@pytest.mark.parametrize("command", [GENERATE, VENDOR])
def test_package_is_written_to_other_file_system(command: str, origin: Path) -> None:
    """A package is made in one file system and put into another, over an old one."""
    with tempfile.TemporaryDirectory(dir=OTHER_FILE_SYSTEM) as folder:
        place = prepared(TREES["a file missing"], command, origin, Path(folder))
        assert main(arguments(command, place)) == DONE
        assert main(arguments(VENDOR_CHECK if is_vendoring(command) else CHECK, place)) == DONE


@pytest.mark.parametrize(
    "place", [Path("/"), Path.home(), Path.cwd(), ROOT, ROOT.parent, ROOT / "codegen", ROOT / "codegen" / "new"]
)
@pytest.mark.parametrize("command", [GENERATE, "generate --force"])
def test_folder_that_must_not_be_replaced_is_refused(
    place: Path, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the root, home and current folders nor the checkout are ever replaced."""
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(document()))
    assert main(arguments(command, Place(tmp_path, place, spec))) == FAILED
    assert "Give another folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["class", "class.x", "a.def", "None", "a.__init__", "__main__", "ﬁ", "a" * 200, "a b"])
def test_package_name_that_cannot_be_imported_is_refused(
    name: str, origin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keywords, names of Python's own, and names whose file Python would not look for make no package."""
    given = ["vendor", str(tmp_path / "x"), "--source", str(origin / "made"), "--package", name]
    assert main(given) == FAILED
    assert "must be a dotted name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_package_beside_a_module_of_its_name_is_refused(origin: Path, tmp_path: Path) -> None:
    """A folder `x` would hide the module `x.py`."""
    (tmp_path / "x.py").write_text("")
    assert main(["vendor", str(tmp_path), "--source", str(origin / "made"), "--package", "x"]) == FAILED


def test_vendor_into_source_is_refused(origin: Path, tmp_path: Path) -> None:
    """A package is not copied into itself, and the source is unchanged."""
    shutil.copytree(origin / "made", tmp_path / "made")
    before = snapshot(tmp_path)
    for dest, package in ((tmp_path / "made", "x"), (tmp_path, "made")):
        assert main(["vendor", str(dest), "--source", str(tmp_path / "made"), "--package", package]) == FAILED
        assert snapshot(tmp_path) == before


def test_manifest_with_outside_path_is_refused(origin: Path, tmp_path: Path) -> None:
    """A manifest cannot name files outside of its package."""
    shutil.copytree(origin / "made", tmp_path / "made")
    for name in ("../secret", "/etc/passwd", "a/../../b"):
        manifest = json.loads((tmp_path / "made" / "manifest.json").read_text())
        manifest["files"][name] = "0" * 64
        (tmp_path / "made" / "manifest.json").write_text(json.dumps(manifest))
        assert main(["vendor", str(tmp_path / "x"), "--source", str(tmp_path / "made")]) == FAILED
    assert not (tmp_path / "x").exists()


def test_failed_run_removes_created_folders(origin: Path, tmp_path: Path) -> None:
    """A failed run removes the parent folders that it created."""
    place = Place(tmp_path, tmp_path / "a" / "b" / "api", origin / "openapi.json")
    tree = TREES["a full disk"]
    assert run(tree, arguments(GENERATE, place), place)[0] == FAILED
    assert list(tmp_path.iterdir()) == []


def test_stale_temporary_folder_is_removed(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old temporary folders are removed; recent and foreign ones are kept."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, young, other = (tmp_path / name for name in (f"{TEMPORARY}old", f"{TEMPORARY}young", "other"))
    for folder in (old, young, other):
        (folder / "inside").mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    assert drift(origin / "openapi.json", origin / "made") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([young.name, other.name])


def test_generator_exception_ends_with_status_two(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception in the generator ends with status 2, because status 1 means a difference."""
    monkeypatch.setattr("codegen.pipeline.drift", lambda *_, **__: 1 // 0)
    place = prepared(TREES["as it was made"], CHECK, origin, tmp_path)
    assert main(arguments(CHECK, place)) == FAILED
    assert "internal error of the generator" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["nonsense"], ["check", "--nonsense"], ["vendor"], []])
def test_usage_error_ends_with_status_two(given: list[str]) -> None:
    """Usage errors end with status 2."""
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == FAILED


def test_check_lenient_accepts_lenient_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package that was made with --lenient is checked with --lenient."""
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(document({"T": obj("", a={"not": {}})})))
    place = Place(tmp_path, tmp_path / "api", spec)
    assert main([*arguments(GENERATE, place), "--lenient"]) == DONE
    assert main([*arguments(CHECK, place), "--lenient"]) == DONE
    assert main(arguments(CHECK, place)) == FAILED
    (place.package / "types.py").write_text("")
    assert main([*arguments(CHECK, place), "--lenient"]) == DIFFERS


def table() -> str:
    """Return the README table: the status and message of each state and command."""

    def cell(tree: Tree, command: str) -> str:
        status, message = tree.outcome(command)
        return f"{status} {message}" if message and status else str(status)

    rows = [f"| {name} | {' | '.join(cell(tree, command) for command in COMMANDS)} |" for name, tree in TREES.items()]
    head = f"| the place | {' | '.join(f'`{command}`' for command in COMMANDS)} |"
    return "\n".join([head, "|---" * (len(COMMANDS) + 1) + "|", *rows]) + "\n"


def test_readme_table_matches_trees() -> None:
    """The table of the README equals the tested table."""
    text = README.read_text(encoding="utf-8")
    found = re.search(r"\| the place \|.*?\n(?!\|)", text, re.DOTALL)
    assert found is not None
    if os.environ.get("LETTA_WRITE_GOLDEN"):
        README.write_text(text.replace(found[0], table()), encoding="utf-8")
    assert README.read_text(encoding="utf-8").count(table()) == 1
