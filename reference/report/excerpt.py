"""Extracts pieces of our own source that run elsewhere, with the imports and definitions that they need.

It parses the source of loaded modules and runs none of it.
"""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import symtable
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

_OURS = __name__.partition(".")[0]


class Excerpts:
    """Collects the imports and definitions that pieces of source need."""

    def __init__(self) -> None:
        self.definitions: list[str] = []  # each after the ones it uses
        self._imports: dict[str, set[str]] = defaultdict(set)
        self._seen: set[tuple[str, str]] = set()

    def add(self, source: str, module: ModuleType) -> None:
        """Add everything in a module that a piece of its source uses, directly or indirectly.

        Raises:
            LookupError: the piece uses a name that neither the module nor Python defines.
        """
        for name in sorted(_used(source) - vars(builtins).keys()):
            if (module.__name__, name) not in self._seen:
                self._seen.add((module.__name__, name))
                self._add_name(name, module)

    def _add_name(self, name: str, module: ModuleType) -> None:
        statement = _statements(module).get(name)
        match statement:
            case None:
                raise LookupError(f"{module.__name__} does not define {name}, so it cannot be copied from there")
            case ast.ImportFrom(module=str(origin)) if origin.partition(".")[0] == _OURS:
                self.add(name, import_module(origin))
            case ast.Import(names=aliases):
                self._imports[""].add(_import_of(name, aliases))
            case ast.ImportFrom(module=str(origin), names=aliases):
                self._imports[origin].add(_import_of(name, aliases))
            case _:
                source = _source(statement, module)
                self.add(source, module)
                self.definitions.append(f"{source}\n")

    @property
    def imports(self) -> list[str]:
        """The imports, one line for each module."""
        whole = [f"import {name}" for name in sorted(self._imports[""])]
        return whole + [
            f"from {m} import {', '.join(sorted(names))}" for m, names in sorted(self._imports.items()) if m
        ]


def _used(source: str) -> set[str]:
    """Return the names that a piece of source uses but does not define."""
    return _outside(symtable.symtable(source, "a piece of source", "exec"))


def _outside(table: symtable.SymbolTable) -> set[str]:
    outside = {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global() and not s.is_assigned()}
    return outside.union(*map(_outside, table.get_children()))


@cache  # so that all pieces come from one text, even if the file changes meanwhile
def _text(module: ModuleType) -> str:
    return inspect.getsource(module)


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(_text(module))


@cache
def _statements(module: ModuleType) -> Mapping[str, ast.stmt]:
    """Return the statement that defines each name of a module."""
    return {name: statement for statement in _tree(module).body for name in _defined_names(statement)}


def _defined_names(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from map(_name, aliases)
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _name(alias: ast.alias) -> str:
    return alias.asname or alias.name


def _import_of(name: str, aliases: list[ast.alias]) -> str:
    return next(ast.unparse(alias) for alias in aliases if _name(alias) == name)


def _source(statement: ast.stmt, module: ModuleType) -> str:
    """Return a statement's lines, with decorators and comments."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
    return "\n".join(_text(module).splitlines()[first - 1 : statement.end_lineno])


@cache
def entries(module: ModuleType, name: str) -> Mapping[str, str]:
    """Return the source of each entry of a table, a dictionary with strings as keys."""
    match _statements(module).get(name):
        case ast.Assign(value=ast.Dict() as table) | ast.AnnAssign(value=ast.Dict() as table):
            pairs = zip(table.keys, table.values, strict=True)
            return {str(key.value): ast.unparse(value) for key, value in pairs if isinstance(key, ast.Constant)}
    raise LookupError(f"{name} is not a table of {module.__name__}")


# Lambdas.


def inline(function: FunctionType, operands: Sequence[str], options: Mapping[str, str]) -> str | None:
    """Inline a call of a lambda: return its body with the arguments in place of its parameters.

    Args:
        function: the lambda.
        operands: the expressions of the positional arguments.
        options: the expressions of the keyword arguments.

    Returns:
        An expression; None if the lambda does not accept these arguments.
    """
    try:
        bound = inspect.signature(function).bind(
            *map(_parse, operands), **{name: _parse(option) for name, option in options.items()}
        )
    except TypeError:
        return None
    bound.apply_defaults()
    substitutions = {name: _expression(argument) for name, argument in bound.arguments.items()}
    return ast.unparse(_Substitution(substitutions).visit(copy.deepcopy(_lambda(function).body)))


def source_of(function: FunctionType) -> str:
    """Return the source of a lambda, which must be the only one that begins on its line."""
    return ast.unparse(_lambda(function))


@cache
def _lambda(function: FunctionType) -> ast.Lambda:
    lambdas = (node for node in ast.walk(_tree(sys.modules[function.__module__])) if isinstance(node, ast.Lambda))
    (node,) = (node for node in lambdas if node.lineno == function.__code__.co_firstlineno)
    return node


def _parse(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def _expression(argument: Any) -> Any:
    """Convert a bound argument to an expression: one, several, several by name, or a default of the lambda."""
    if isinstance(argument, (ast.expr, dict)):
        return argument
    if isinstance(argument, tuple):
        return ast.Tuple(list(map(_expression, argument)))
    return _parse(repr(argument))


class _Substitution(ast.NodeTransformer):
    """Replaces names by expressions.

    Args:
        substitutions: the expressions by name; a dictionary of expressions for `**options`.
    """

    def __init__(self, substitutions: Mapping[str, Any]) -> None:
        self._substitutions = substitutions

    def visit_Name(self, node: ast.Name) -> Any:
        """Replace a use of a parameter."""
        return self._substitutions.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> Any:
        """Expand `**options` into keyword arguments."""
        self.generic_visit(node)
        unpacked: list[Any] = [keyword.value for keyword in node.keywords if keyword.arg is None]
        own = [keyword for keyword in node.keywords if keyword.arg is not None]
        node.keywords = [*own, *(ast.keyword(*option) for options in unpacked for option in options.items())]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Write slices between brackets with colons, and a single index without a comma."""
        self.generic_visit(node)
        if isinstance(node.slice, ast.Tuple):
            entries = [_with_colons(entry) for entry in node.slice.elts]
            alone = len(entries) == 1 and not isinstance(entries[0], ast.Tuple)
            node.slice = entries[0] if alone else ast.Tuple(entries)
        return node


def _with_colons(index: ast.expr) -> ast.expr:
    match index:
        case ast.Call(func=ast.Name(id="slice"), args=ends):
            return ast.Slice(*(None if ast.unparse(end) == "None" else end for end in ends))
    return index
