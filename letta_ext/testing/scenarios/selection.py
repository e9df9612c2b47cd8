"""The stage that a server starts with: one that was set, a scene by its name, or a scene file."""

from __future__ import annotations

from pathlib import Path

from .. import arguments
from ..scene_file import load
from ..store.clock import Clock
from ..store.state import State
from .builtin import SCENARIOS, BuiltinScenario, Scenario, build


def select_scenario(scene: BuiltinScenario | Scenario | Path | str, clock: Clock | None = None) -> Scenario:
    """Return a stage: one that was set, or the one of a scene's name, or of a scene file.

    Args:
        scene: the stage, the name or the path.
        clock: where the time comes from; by default from a :class:`TickingClock`, or the stage's own.

    Raises:
        TypeError: it is none of these.
        ValueError: there is no such scene, or the file is none.
        OSError: the file cannot be read.
    """
    if isinstance(scene, Scenario):
        if clock is not None:
            scene.state.clock = clock
        return scene
    if not isinstance(scene, (str, Path)):
        raise TypeError(f"scene must be a name, a path or a Stage, got {arguments.shown(scene)}")
    state = State() if clock is None else State(clock=clock)
    for name in SCENARIOS:
        if scene == name:
            return build(name, state)
    if not _is_file(Path(scene)):
        known = ", ".join(SCENARIOS)
        raise ValueError(f"no scene {arguments.shown(str(scene))}; there are {known}, or the path of a scene file")
    return load(Path(scene), state)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False
