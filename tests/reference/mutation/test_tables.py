"""The tables of faults: they are complete, each fault can be planted and undone, and the checks do not know them."""

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

# The numbers of the collection of real faults; numbers in between do not exist.
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


# Contents of the tables.


def test_no_two_faults_have_one_name() -> None:
    """Names are unique, and consist of short words and numbers joined by dashes."""
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []
    assert [name for name in NAMES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)] == []


def test_there_are_many() -> None:
    """There are at least two hundred faults written by hand."""
    assert len(FAULTS) >= 200


def test_faults_name_existing_rows() -> None:
    """Faults name existing rows, and generic faults cover every row."""
    assert set(chain.from_iterable(fault.rows for fault in FAULTS)) <= set(OPS)
    assert set(chain.from_iterable(fault.rows for fault in generic())) == set(OPS)


def test_a_fault_has_a_sentence_and_a_source() -> None:
    """Each fault has a sentence and a source; a fault from the collection is never marked as ours."""
    assert all(fault.what == fault.what.strip() != "" for fault in ALL)
    assert all(fault.source == fault.source.strip() != "" for fault in ALL)
    assert [fault.name for fault in FAULTS if fault.source == "ours" and number(fault)] == []


def number(fault: Fault) -> str | None:
    """Return the entry of the collection that a fault belongs to, if any."""
    found = re.match(r"b(\d{3})-", fault.name)
    return f"B{found[1]}" if found else None


def test_each_entry_of_the_collection_is_planted_or_absent() -> None:
    """Each entry of the collection is either planted or listed as absent, and there are no others."""
    planted = {entry for fault in FAULTS if (entry := number(fault))}
    assert len(COLLECTION) == 121
    assert planted | set(ABSENT) == COLLECTION
    assert planted & set(ABSENT) == set()


def test_each_absent_entry_has_a_reason() -> None:
    """Each absent entry has a reason of several words."""
    assert all(len(reason.split()) > 3 for reason in ABSENT.values())


# Planting.


class State:
    """A snapshot of `ndgrad`: everything in its modules, down to the code of each function.

    Two snapshots are equal if nothing differs. Functions are compared by their code and their closures, because
    operators are made again when a fault ends. Objects that are neither ndgrad's nor containers are compared by
    identity.
    """

    def __init__(self) -> None:
        self._known: dict[int, Hashable] = {}
        modules = [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "ndgrad"]
        self.parts = {module.__name__: self._attributes(vars(module)) for module in modules}

    def _attributes(self, names: Any) -> Hashable:
        skipped = {"__builtins__", "__dict__", "__weakref__", "__annotations__", "__doc__"}
        return tuple((str(name), self._fingerprint(thing)) for name, thing in names.items() if name not in skipped)

    def _fingerprint(self, thing: Any) -> Hashable:
        if id(thing) not in self._known:
            self._known[id(thing)] = "further up"  # a class refers to functions that refer to the class
            self._known[id(thing)] = self._new(thing)
        return self._known[id(thing)]

    def _new(self, thing: Any) -> Hashable:
        match thing:
            case FunctionType():
                held = [cell.cell_contents for cell in thing.__closure__ or ()]
                return (
                    thing.__code__,
                    self._fingerprint(thing.__defaults__),
                    self._fingerprint(thing.__kwdefaults__),
                    self._each(held),
                )
            case property():
                return self._each([thing.fget, thing.fset])
            case staticmethod() | classmethod():
                return self._fingerprint(thing.__func__)
            case partial():
                return self._each([thing.func, thing.args, thing.keywords])
            case dict():
                return tuple((self._fingerprint(key), self._fingerprint(value)) for key, value in thing.items())
            case list() | tuple() | set():
                return self._each(thing)
            case int() | float() | str() | None:
                return thing
            case ModuleType():
                return thing.__name__
            case _ if ours(thing):
                return id(thing), self._attributes(vars(thing))
        return id(thing)

    def _each(self, things: Any) -> Hashable:
        return tuple(self._fingerprint(thing) for thing in things)


def ours(thing: Any) -> bool:
    """Whether a class or an object is ndgrad's and has attributes."""
    module = thing.__module__ if isinstance(thing, type) else type(thing).__module__
    return module.split(".")[0] == "ndgrad" and hasattr(thing, "__dict__")


class Left(Exception):  # noqa: N818 - not an error: it leaves a context
    """Raised to leave a context."""


@cache
def untouched() -> State:
    """Take the snapshot before any fault."""
    return State()


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_a_fault_plants_and_undoes_itself(fault: Fault) -> None:
    """A planted fault changes something in ndgrad, and afterwards, even after an error, nothing is changed."""
    before = untouched()
    with suppress(Left), fault.plant():
        planted = State()
        raise Left
    assert planted.parts != before.parts
    assert State().parts == before.parts


def test_the_smallest_fault_is_a_ten_millionth() -> None:
    """The smallest fault changes the gradient of exp by a relative 1e-7 and leaves the value right."""
    fault = every()["exp-0-factor"]
    right, wrong = Value(2.0), Value(2.0)
    exp(right).backward()
    with fault.plant():
        y = exp(wrong)
        y.backward()
    assert y.data == np.exp(2.0)
    assert wrong.grad / right.grad - 1 == pytest.approx(1e-7, rel=1e-6)


# Knowledge of the faults.

MAY_IMPORT = (
    "mutation/",
    "report/",
    "commands/faults.py",
    "__main__.py",
)  # they plant faults and report the results


def imported(path: Path) -> Iterator[str]:
    """Yield the modules and names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def test_the_checks_do_not_know_the_faults() -> None:
    """No strategy, plan, generator, session, training task, check or verdict imports a fault, nor does ndgrad."""
    rooms = [Path(package.__path__[0]) for package in (reference, ndgrad)]
    files = {path.relative_to(room.parent).as_posix(): path for room in rooms for path in room.rglob("*.py")}
    importing = [
        name
        for name, path in files.items()
        if any({"faults", "mutation"} & set(module.split(".")) for module in imported(path))
    ]
    assert [name for name in importing if not name.removeprefix("reference/").startswith(MAY_IMPORT)] == []
    assert "reference/mutation/detection.py" in importing
    assert len(files) > 60
    assert not [name for name, path in files.items() if any(module.startswith(".") for module in imported(path))]
