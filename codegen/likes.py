"""Lets `params.py` take a model wherever it takes the TypedDict of the same component.

Of `Thing` and `ThingParam` it makes `ThingLike`, either of them, and refers to that. To a checker it is the union of
both. At run time it is the TypedDict: importing `params.py` loads no model, and who checks values against its
annotations knows a model by its name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from codegen.faults import GeneratorFailure
from codegen.names import like_name, param_name

IMPORTS = "from typing import TYPE_CHECKING, TypeAlias\n"
BLOCK = """
if TYPE_CHECKING:
    from . import models

{unions}
else:
    # Whoever reads annotations at run time finds the TypedDicts alone, so that importing this module loads no model.
{names}

"""


def with_likes(code: str, models: Iterable[str]) -> str:
    """The module with an alias for each of the models that it has a TypedDict of, and with references to these.

    TypedDicts come first, where nothing is evaluated; the aliases are made of them, and other aliases of these.
    """
    body = ast.parse(code).body
    defined = {_defines(statement) for statement in body}
    made = {param_name(model): model for model in sorted(models) if param_name(model) in defined}
    if not made:
        return code
    likes = _Likes({name: like_name(model) for name, model in made.items()})
    objects: list[ast.stmt] = []
    aliases: list[ast.stmt] = []
    group = objects
    for statement in body:
        if not isinstance(statement, ast.Expr):  # what is said of an alias stands behind it
            late = isinstance(statement, ast.AnnAssign) and _defines(statement) not in made
            group = aliases if late else objects
        group.append(likes.visit(statement))
    indent = "    "
    unions = [f"{indent}{like_name(m)}: TypeAlias = models.{m} | {name}" for name, m in made.items()]
    names = [f"{indent}{like_name(m)} = {name}" for name, m in made.items()]
    header, _, _ = code.partition("\n")  # a comment, which no syntax tree holds
    future = next(n for n, statement in enumerate(objects) if isinstance(statement, ast.ImportFrom)) + 1
    return "\n".join(
        [
            header,
            _written(objects[:future]),
            IMPORTS,
            _written(objects[future:]),
            BLOCK.format(unions="\n".join(unions), names="\n".join(names)),
            _written(_in_order(aliases)),
            "",
        ]
    )


def _in_order(aliases: list[ast.stmt]) -> list[ast.stmt]:
    """The aliases, each behind those that it is made of, so that none has to name another in quotes.

    A string within an alias is evaluated where the alias is used, which need not be where its names are.
    """
    groups: dict[str, list[ast.stmt]] = {}
    for statement in aliases:
        name = _defines(statement)
        groups.setdefault(name or next(reversed(groups)), []).append(statement)  # what is said of one stands behind it
    needs: dict[str, list[str]] = {}
    for name, group in groups.items():
        for statement in group:
            if isinstance(statement, ast.AnnAssign) and statement.value is not None:
                statement.value = _Unquoted().visit(statement.value)
                names = {each.id for each in ast.walk(statement.value) if isinstance(each, ast.Name)}
                needs[name] = sorted(names & groups.keys())
    try:
        return [statement for name in TopologicalSorter(needs).static_order() for statement in groups[name]]
    except CycleError as fault:  # which `read` has refused
        raise GeneratorFailure(f"aliases of params.py are defined by each other: {fault.args[1]}") from fault


class _Unquoted(ast.NodeTransformer):
    """Takes what is annotated out of quotes."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        if not (isinstance(node.value, ast.Name) and node.value.id == "Literal"):
            node.slice = self.visit(node.slice)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.parse(node.value, mode="eval").body if isinstance(node.value, str) else node


def _written(body: list[ast.stmt]) -> str:
    return ast.unparse(ast.Module(body, []))


def _defines(statement: ast.stmt) -> str | None:
    match statement:
        case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(name)) | ast.Assign(targets=[ast.Name(name)]):
            return name
        case _:
            return None


class _Likes(ast.NodeTransformer):
    """Puts the new names where something is annotated, and only there."""

    def __init__(self, likes: dict[str, str]) -> None:
        self.likes = likes

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                statement.annotation = self.visit(statement.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        # `TypedDict(...)`, which awkward keys ask for, evaluates its values: before what they name is there.
        for inner in ast.walk(node.value):
            if isinstance(inner, ast.Dict):
                inner.values = [ast.Constant(ast.unparse(self.visit(value))) for value in inner.values]
                break
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        if isinstance(node.value, ast.Name) and node.value.id == "Literal":
            return node
        node.slice = self.visit(node.slice)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            return ast.Constant(ast.unparse(self.visit(ast.parse(node.value, mode="eval"))))
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.likes.get(node.id, node.id))
