"""Faults are planted at seams: they do not depend on the layout of `ndgrad` or the names of its local variables."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ndgrad
import reference

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

PLANTING = """
import sys
import ndgrad
from reference.mutation import every

assert ndgrad.__file__.startswith(sys.argv[1]), ndgrad.__file__
for fault in every().values():
    with fault.plant():
        pass
print(len(every()), "planted")
"""


def test_every_fault_can_be_planted_in_rewritten_source(tmp_path: Path) -> None:
    """Each fault can be planted and removed in a copy of `ndgrad` with another line width and other local variables."""
    copy = shutil.copytree(Path(ndgrad.__file__).parent, tmp_path / "ndgrad", ignore=shutil.ignore_patterns("*.pyc"))
    for path in copy.rglob("*.py"):
        path.write_text(renamed(path.read_text(encoding="utf-8")), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--isolated", "-q", "--line-length=70", copy], check=True)
    rooms = os.pathsep.join([str(tmp_path), str(Path(reference.__path__[0]).parent)])
    done = subprocess.run(
        [sys.executable, "-c", PLANTING, tmp_path],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": rooms}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.endswith(" planted\n")


# Renaming.


def renamed(source: str) -> str:
    """Rename the local variables of all functions in a program. Comments are lost."""
    return ast.unparse(ast.fix_missing_locations(Renaming().visit(ast.parse(source))))


class Renaming(ast.NodeTransformer):
    """Renames local variables of functions, but not parameters, functions, classes, imports or errors."""

    def __init__(self) -> None:
        self.names: Mapping[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit the children with the names that hold in the scope."""
        outside = self.names
        if isinstance(node, SCOPES):
            node = self._but_for_the_body(node)
        if isinstance(node, (*SCOPES, *COMPREHENSIONS)):
            self.names = self._inside(node)
        for field in ("body", "generators", "elt", "key", "value") if self.names is not outside else node._fields:
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                setattr(node, field, [self.visit(x) if isinstance(x, ast.AST) else x for x in inner])
            elif isinstance(inner, ast.AST):
                setattr(node, field, self.visit(inner))
        self.names = outside
        return node

    def _but_for_the_body(self, node: Any) -> Any:
        """Visit defaults, decorators and bases, which belong to the enclosing scope."""
        for field in set(node._fields) - {"body"}:
            inner = getattr(node, field)
            if isinstance(inner, list):
                setattr(node, field, [self.visit(x) if isinstance(x, ast.AST) else x for x in inner])
            elif isinstance(inner, ast.AST):
                setattr(node, field, self.visit(inner))
        return node

    def _inside(self, node: Any) -> Mapping[str, str]:
        """Return the new names that hold in a scope: outer ones that it does not bind itself, and its own."""
        bound = set(bindings(node))
        outer = {name: new for name, new in self.names.items() if name not in bound} | {"": ""}
        own = bound - fixed(node) if isinstance(node, FUNCTIONS) else set()
        return outer | {name: f"{name}_renamed" for name in own}


def bindings(node: Any) -> Iterator[str]:
    """Yield the names that a scope binds: parameters and stored names, but not those of inner scopes."""
    yield from parameters(node)
    inside = [node.body] if isinstance(node, ast.Lambda) else getattr(node, "body", getattr(node, "generators", []))
    yield from (name for x in inside for name in stored(x))


def stored(node: ast.AST) -> Iterator[str]:
    """Yield the names stored in a part of a scope."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    if not isinstance(node, SCOPES):
        children = (x.target for x in ast.walk(node) if isinstance(x, ast.NamedExpr))
        yield from (
            name
            for child in (children if isinstance(node, COMPREHENSIONS) else ast.iter_child_nodes(node))
            for name in stored(child)
        )


def parameters(node: Any) -> set[str]:
    """Return a function's parameters."""
    args = getattr(node, "args", None)
    return {x.arg for x in ast.walk(args) if isinstance(x, ast.arg)} if isinstance(args, ast.arguments) else set()


def fixed(node: Any) -> set[str]:
    """Return the names that are not renamed: parameters, functions, classes, imports, errors, nonlocals."""
    inside = [x for statement in node.body for x in ast.walk(statement)]
    definitions = {x.name for x in inside if isinstance(x, (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler)) and x.name}
    imports = {(x.asname or x.name).partition(".")[0] for x in inside if isinstance(x, ast.alias)}
    others = {name for x in inside if isinstance(x, (ast.Global, ast.Nonlocal)) for name in x.names}
    return parameters(node) | definitions | imports | others


def test_local_variables_are_renamed_and_nothing_else() -> None:
    """Local variables are renamed, also where they are captured, but not in scopes that bind the same name.

    Parameters, functions, keywords and names that an inner function assigns are not renamed.
    """
    before = """
def f(a, *, b=1):
    c = a + b
    def g(d, c=c):
        e = c + d
        return e
    h = lambda c: c + a
    total = [x * c for x in range(b)]
    def again():
        nonlocal total
        total = [c]
    again()
    try:
        return g(1, c=2), h(c), dict(c=c), total
    except ValueError as error:
        return error
"""
    after = """
def f(a, *, b=1):
    c_renamed = a + b

    def g(d, c=c_renamed):
        e_renamed = c + d
        return e_renamed
    h_renamed = lambda c: c + a
    total = [x * c_renamed for x in range(b)]

    def again():
        nonlocal total
        total = [c_renamed]
    again()
    try:
        return (g(1, c=2), h_renamed(c_renamed), dict(c=c_renamed), total)
    except ValueError as error:
        return error
"""
    assert renamed(before).strip() == after.strip()
