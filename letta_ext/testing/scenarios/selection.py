"""Selects the scenario of a server: a built-in one, a file, or a prepared one."""

from __future__ import annotations

from pathlib import Path

from .. import arguments
from ..scenario_file import load
from ..store.clock import Clock
from ..store.state import State
from .builtin import SCENARIOS, BuiltinScenario, Scenario, build


def select_scenario(scenario: BuiltinScenario | Scenario | Path | str, clock: Clock | None = None) -> Scenario:
    """Return a scenario.

    Args:
        scenario: A prepared scenario, the name of a built-in one, or the path of a file.
        clock: Source of the time. Defaults to a `TickingClock`, or to the clock of the prepared scenario.

    Raises:
        TypeError: If the argument has another type.
        ValueError: If the scenario does not exist, or the file is invalid.
        OSError: If the file cannot be read.
    """
    if isinstance(scenario, Scenario):
        if clock is not None:
            scenario.state.clock = clock
        return scenario
    if not isinstance(scenario, (str, Path)):
        raise TypeError(f"scenario must be a name, a path or a Scenario, got {arguments.short_repr(scenario)}")
    state = State() if clock is None else State(clock=clock)
    for name in SCENARIOS:
        if scenario == name:
            return build(name, state)
    if not _is_file(Path(scenario)):
        names = ", ".join(SCENARIOS)
        raise ValueError(
            f"scenario must be one of {names}, or the path of a file, got {arguments.short_repr(str(scenario))}"
        )
    return load(Path(scenario), state)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long or invalid
        return False
