"""Pieces of our own source, made fit to stand elsewhere: with the imports and the definitions that they need.

It knows Python's grammar, and modules that are there to be read. Nothing of what it reads is run here.
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
    """What source of ours needs to run elsewhere, gathered piece by piece."""

    def __init__(self) -> None:
        self.definitions: list[str] = []  # each after those that it uses
        self._imports: dict[str, set[str]] = defaultdict(set)
        self._met: set[tuple[str, str]] = set()

    def add(self, source: str, module: ModuleType) -> None:
        """Add what a piece of a module's source uses of the module, what that uses, and so on.

        Raises:
            LookupError: it uses a name that is neither the module's nor Python's.
        """
        for name in sorted(_used(source) - vars(builtins).keys()):
            if (module.__name__, name) not in self._met:
                self._met.add((module.__name__, name))
                self._add_name(name, module)

    def _add_name(self, name: str, module: ModuleType) -> None:
        statement = _statements(module).get(name)
        match statement:
            case None:
                raise LookupError(
                    f"{name} is nothing that {module.__name__} defines, so it cannot be copied from there"
                )
            case ast.ImportFrom(module=str(origin)) if origin.partition(".")[0] == _OURS:
                self.add(name, import_module(origin))
            case ast.Import(names=aliases):
                self._imports[""].add(_imported(name, aliases))
            case ast.ImportFrom(module=str(origin), names=aliases):
                self._imports[origin].add(_imported(name, aliases))
            case _:
                source = _source(statement, module)
                self.add(source, module)
                self.definitions.append(f"{source}\n")

    @property
    def imports(self) -> list[str]:
        """The imports, a module a line."""
        whole = [f"import {name}" for name in sorted(self._imports[""])]
        return whole + [
            f"from {m} import {', '.join(sorted(names))}" for m, names in sorted(self._imports.items()) if m
        ]


def _used(source: str) -> set[str]:
    """The names that a piece of source uses, and does not define."""
    return _outside(symtable.symtable(source, "a piece of source", "exec"))


def _outside(table: symtable.SymbolTable) -> set[str]:
    outside = {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global() and not s.is_assigned()}
    return outside.union(*map(_outside, table.get_children()))


@cache  # so that all is cut from one text, though the file may change meanwhile
def _text(module: ModuleType) -> str:
    return inspect.getsource(module)


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(_text(module))


@cache
def _statements(module: ModuleType) -> Mapping[str, ast.stmt]:
    """What defines each of a module's names."""
    return {name: statement for statement in _tree(module).body for name in _defined(statement)}


def _defined(statement: ast.stmt) -> Iterator[str]:
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


def _imported(name: str, aliases: list[ast.alias]) -> str:
    return next(ast.unparse(alias) for alias in aliases if _name(alias) == name)


def _source(statement: ast.stmt, module: ModuleType) -> str:
    """The statement's lines, with decorators and comments."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
    return "\n".join(_text(module).splitlines()[first - 1 : statement.end_lineno])


@cache
def entries(module: ModuleType, name: str) -> Mapping[str, str]:
    """What is written in a table, a dictionary by texts: each entry's source, by its key."""
    match _statements(module).get(name):
        case ast.Assign(value=ast.Dict() as table) | ast.AnnAssign(value=ast.Dict() as table):
            pairs = zip(table.keys, table.values, strict=True)
            return {str(key.value): ast.unparse(value) for key, value in pairs if isinstance(key, ast.Constant)}
    raise LookupError(f"{name} is no table of {module.__name__}")


# Lambdas.


def filled(function: FunctionType, operands: Sequence[str], options: Mapping[str, str]) -> str | None:
    """Write what a lambda does, with what it is given in the place of its parameters.

    Args:
        function: the lambda.
        operands: the expressions that it is given by their places.
        options: those that it is given by name.

    Returns:
        An expression; None if the lambda does not take these.
    """
    try:
        bound = inspect.signature(function).bind(
            *map(_parsed, operands), **{name: _parsed(option) for name, option in options.items()}
        )
    except TypeError:
        return None
    bound.apply_defaults()
    given = {name: _expression(argument) for name, argument in bound.arguments.items()}
    return ast.unparse(_Filling(given).visit(copy.deepcopy(_lambda(function).body)))


def written(function: FunctionType) -> str:
    """The source of a lambda, the only one that begins on its line."""
    return ast.unparse(_lambda(function))


@cache
def _lambda(function: FunctionType) -> ast.Lambda:
    lambdas = (node for node in ast.walk(_tree(sys.modules[function.__module__])) if isinstance(node, ast.Lambda))
    (node,) = (node for node in lambdas if node.lineno == function.__code__.co_firstlineno)
    return node


def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def _expression(argument: Any) -> Any:
    """What a parameter was bound to: an expression, several, several by name, or what the lambda has as default."""
    if isinstance(argument, (ast.expr, dict)):
        return argument
    if isinstance(argument, tuple):
        return ast.Tuple(list(map(_expression, argument)))
    return _parsed(repr(argument))


class _Filling(ast.NodeTransformer):
    """Puts expressions in the place of names.

    Args:
        given: the expressions; a dictionary of them for what is handed on as `**options`.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def visit_Name(self, node: ast.Name) -> Any:
        """Each use of a parameter."""
        return self._given.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> Any:
        """What is handed on as `**options` becomes an option each."""
        self.generic_visit(node)
        handed: list[Any] = [keyword.value for keyword in node.keywords if keyword.arg is None]
        own = [keyword for keyword in node.keywords if keyword.arg is not None]
        node.keywords = [*own, *(ast.keyword(*option) for options in handed for option in options.items())]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """In brackets, slices have colons, and one index alone no comma."""
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
