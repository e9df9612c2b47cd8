"""Lets `params.py` take a model wherever it takes the TypedDict of the same component.

Of `Thing` and `ThingParam` it makes `ThingLike`, either of them, and refers to that. To a checker it is the union of
both. At run time it is the TypedDict: importing `params.py` loads no model, and who checks values against its
annotations knows a model by its name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

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
            _written(aliases),
            "",
        ]
    )


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
