"""Lazy imports: each module of a package is imported on first access to one of its names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(
    package: str, names: Mapping[str, str | None]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], tuple[str, ...]]:
    """Return `__getattr__`, `__dir__` and `__all__` for a package.

    Args:
        package: The package's `__name__`.
        names: The module that defines each name, or None if the name is the module.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  # assigned in the package's namespace
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = names[name]
        value: Any = import_module(f".{module or name}", package)
        if module is not None:
            value = getattr(value, name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807  # likewise
        return sorted({*vars(sys.modules[package]), *names})

    return __getattr__, __dir__, tuple(names)
