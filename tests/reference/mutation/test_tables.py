"""The tables of faults: complete, each fault plants and undoes itself, and nobody knows them who looks for faults."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import ndgrad
import reference
from ndgrad import Value, exp
from reference.mutation import ABSENT, FAULTS, Fault, every, generic
from reference.ops import OPS

ALL = tuple(every().values())
NAMES = [fault.name for fault in (*FAULTS, *generic())]

# The numbers of the collection of real faults: those between are not in it.
# fmt: off
COLLECTION = {f"B{n:03}" for n in (
    1, 2, 5, 6, 9, 11, 12,                                                       # broadcasting
    16, 17, 18, 19, 21, 25, 28, 30, 31, 35, 36, 37,                              # the graph and the pass back
    40, 41, 42, 44, 45, 50, 55, 56, 58, 61, 62, 64, 65, 70, 72,                  # reductions
    74, 80, 82, 85, 86, 87, 88, 89, 91, 93, 94, 95, 99, *range(100, 104), 105, 106, 107,  # number by number
    109, 112, 114, 116, 117, 118, 120,                                           # indexing
    125, 127, 129, 130, 133, 134, 136, 137, 142,                                 # shapes
    *range(147, 152), 153, 154, 156, 158, 159, 162, 165, 166,                    # products, networks
    168, 172, 174, 176, 179, 180, 182, 184, 185, 187,                            # dtypes, operators
    191, 193, 196, 197, 198,                                                     # state
    204, 205, 206, 208, *range(211, 217), 218, 219, 222, 224, 226, 227,          # optimizers, weights
    *range(229, 234), 237, 239,                                                  # checkers
)}
# fmt: on


# What the tables hold.


def test_no_two_faults_have_one_name() -> None:
    """A fault is asked for by its name: short words and numbers, with dashes between."""
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []
    assert [name for name in NAMES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)] == []


def test_there_are_many() -> None:
    """At least two hundred."""
    assert len(FAULTS) >= 200


def test_faults_spoil_rows_that_are_there() -> None:
    """And there is none that generic faults do not spoil."""
    assert set(chain.from_iterable(fault.rows for fault in FAULTS)) <= set(OPS)
    assert set(chain.from_iterable(fault.rows for fault in generic())) == set(OPS)


def test_a_fault_says_what_is_wrong_and_where_it_was_seen() -> None:
    """In words; and what is ours is no entry of the collection."""
    assert all(fault.what == fault.what.strip() != "" for fault in ALL)
    assert all(fault.source == fault.source.strip() != "" for fault in ALL)
    assert [fault.name for fault in FAULTS if fault.source == "ours" and number(fault)] == []


def number(fault: Fault) -> str | None:
    """The entry of the collection that a fault stands for, if it does for one."""
    found = re.match(r"b(\d{3})-", fault.name)
    return f"B{found[1]}" if found else None


def test_each_entry_of_the_collection_is_planted_or_absent() -> None:
    """None is left out, none is both, and none is made up."""
    planted = {entry for fault in FAULTS if (entry := number(fault))}
    assert len(COLLECTION) == 121
    assert planted | set(ABSENT) == COLLECTION
    assert planted & set(ABSENT) == set()


def test_what_is_absent_has_a_reason() -> None:
    """A sentence, not a word."""
    assert all(len(reason.split()) > 3 for reason in ABSENT.values())


# How they are planted.


class State:
    """What `ndgrad` consists of: all that its modules hold, down to the code of each function.

    Two are equal if nothing differs. Functions are told by their code and by what they hold on to, for operators are
    made anew when a fault goes; what is neither ndgrad's nor a container is told by its identity.
    """

    def __init__(self) -> None:
        self._known: dict[int, Hashable] = {}
        modules = [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "ndgrad"]
        self.parts = {module.__name__: self._named(vars(module)) for module in modules}

    def _named(self, names: Any) -> Hashable:
        skipped = {"__builtins__", "__dict__", "__weakref__", "__annotations__", "__doc__"}
        return tuple((str(name), self._told(thing)) for name, thing in names.items() if name not in skipped)

    def _told(self, thing: Any) -> Hashable:
        if id(thing) not in self._known:
            self._known[id(thing)] = "further up"  # a class holds functions that hold the class
            self._known[id(thing)] = self._new(thing)
        return self._known[id(thing)]

    def _new(self, thing: Any) -> Hashable:
        match thing:
            case FunctionType():
                held = [cell.cell_contents for cell in thing.__closure__ or ()]
                return (
                    thing.__code__,
                    self._told(thing.__defaults__),
                    self._told(thing.__kwdefaults__),
                    self._each(held),
                )
            case property():
                return self._each([thing.fget, thing.fset])
            case staticmethod() | classmethod():
                return self._told(thing.__func__)
            case partial():
                return self._each([thing.func, thing.args, thing.keywords])
            case dict():
                return tuple((self._told(key), self._told(value)) for key, value in thing.items())
            case list() | tuple() | set():
                return self._each(thing)
            case int() | float() | str() | None:
                return thing
            case ModuleType():
                return thing.__name__
            case _ if ours(thing):
                return id(thing), self._named(vars(thing))
        return id(thing)

    def _each(self, things: Any) -> Hashable:
        return tuple(self._told(thing) for thing in things)


def ours(thing: Any) -> bool:
    """Whether a class, or an object of a class, is ndgrad's, and holds things by name."""
    module = thing.__module__ if isinstance(thing, type) else type(thing).__module__
    return module.split(".")[0] == "ndgrad" and hasattr(thing, "__dict__")


class Left(Exception):  # noqa: N818 - it says how a context ended
    """What a context is left by."""


@cache
def untouched() -> State:
    """The state before any fault."""
    return State()


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_a_fault_plants_and_undoes_itself(fault: Fault) -> None:
    """While it lasts something in ndgrad is otherwise; after it, also when an error ends it, nothing is."""
    before = untouched()
    with suppress(Left), fault.plant():
        planted = State()
        raise Left
    assert planted.parts != before.parts
    assert State().parts == before.parts


def test_the_smallest_fault_is_a_ten_millionth() -> None:
    """In double precision: the gradient of exp is off by that and no more, and its value is right."""
    fault = every()["exp-0-factor"]
    right, wrong = Value(2.0), Value(2.0)
    exp(right).backward()
    with fault.plant():
        y = exp(wrong)
        y.backward()
    assert y.data == np.exp(2.0)
    assert wrong.grad / right.grad - 1 == pytest.approx(1e-7, rel=1e-6)


# Who knows them.

KNOWS = (
    "mutation/",
    "report/",
    "commands/faults.py",
    "__main__.py",
)  # they plant them, and tell what came of it


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, and what it imports from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def test_nobody_who_looks_for_faults_knows_them() -> None:
    """No strategy, plan, generator, session, training task, check or verdict imports a fault; nor does ndgrad."""
    rooms = [Path(package.__path__[0]) for package in (reference, ndgrad)]
    files = {path.relative_to(room.parent).as_posix(): path for room in rooms for path in room.rglob("*.py")}
    knowing = [
        name
        for name, path in files.items()
        if any({"faults", "mutation"} & set(module.split(".")) for module in imported(path))
    ]
    assert [name for name in knowing if not name.removeprefix("reference/").startswith(KNOWS)] == []
    assert "reference/mutation/detection.py" in knowing
    assert len(files) > 60
    assert not [name for name, path in files.items() if any(module.startswith(".") for module in imported(path))]
