"""Python expressions as syntax trees.

Text of the document enters a tree as a constant only, so it cannot become code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any


def template(text: str, **parts: ast.expr | str | None) -> ast.expr:
    """Return an expression with names replaced by other expressions.

    Args:
        text: Python source, a constant of the generator.
        parts: The replacement of each name: an expression, or an identifier.
    """
    trees = {name: part if isinstance(part, ast.expr) else _identifier(part) for name, part in parts.items()}
    return _replaced(ast.parse(text, mode="eval").body, lambda node: trees.get(node.id, node))


def _identifier(name: object) -> ast.Name:
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"part must be an expression or an identifier, got {name!r}")
    return ast.Name(name)


def constant(value: str | int | bool) -> ast.Constant:
    """Return the expression of a constant."""
    return ast.Constant(value)


def qualified(code: ast.expr, modules: Mapping[str, str]) -> ast.expr:
    """Return an expression whose names are attributes of modules.

    Args:
        code: An expression.
        modules: The module of each name.
    """

    def through(node: ast.Name) -> ast.expr:
        return ast.Attribute(ast.Name(modules[node.id]), node.id) if node.id in modules else node

    return _replaced(code, through)


def printed(code: ast.expr) -> str:
    """Return the source of an expression."""
    return ast.unparse(code)


def _replaced(code: ast.expr, replace: Callable[[ast.Name], ast.expr]) -> ast.expr:
    """Return a copy with names replaced. Replacements are not searched."""
    if isinstance(code, ast.Name):
        return replace(code)
    fields: dict[str, Any] = {
        name: [_part(item, replace) for item in value] if isinstance(value, list) else _part(value, replace)
        for name, value in ast.iter_fields(code)
    }
    return type(code)(**fields)


def _part(node: object, replace: Callable[[ast.Name], ast.expr]) -> object:
    if isinstance(node, ast.comprehension):
        return ast.comprehension(
            node.target, _replaced(node.iter, replace), [_replaced(each, replace) for each in node.ifs], node.is_async
        )
    return _replaced(node, replace) if isinstance(node, ast.expr) else node
