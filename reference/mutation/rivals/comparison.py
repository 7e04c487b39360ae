"""The comparison: which checker finds which fault, and how often each complains about the right engine."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any

import numpy as np

from reference.mutation import Fault
from reference.mutation.rivals import cases
from reference.mutation.rivals.composed import composed
from reference.mutation.rivals.wrapper import Case


@dataclass(frozen=True)
class Checker:
    """One of the checkers.

    Args:
        package: the distribution that has it.
        module: of this package, which imports that one: where its `check(case, **options)` stands.
        options: what tells two checkers of a module apart.
    """

    package: str
    module: str
    options: Mapping[str, Any]

    def check(self, case: Case) -> None:
        """Check a case. What it has against it, it raises."""
        import_module(f"{__package__}.{self.module}").check(case, **self.options)

    @property
    def version(self) -> str:
        """The version of its package."""
        return version(self.package).partition("+")[0]


# fmt: off
CHECKERS: Mapping[str, Checker] = {
    #                             package     module         options
    "gradcheck":          Checker("torch",    "torch",       {"fast": False}),
    "gradcheck, fast":    Checker("torch",    "torch",       {"fast": True}),
    "JAX check_grads":    Checker("jax",      "jax",         {}),
    "HIPS check_grads":   Checker("autograd", "autograd",    {}),
    "differences of sum": Checker("numpy",    "differences", {}),
}
GROUPS: Mapping[str, Callable[[], Sequence[Case]]] = {
    "ordinary": cases.ordinary,
    "scaled":   cases.scaled,
    "programs": cases.random_programs,
}
# fmt: on


def available(name: str) -> bool:
    """Whether a checker's package is installed."""
    return find_spec(CHECKERS[name].package) is not None


def passes(name: str, case: Case) -> bool:
    """Whether a checker has nothing against a case. Whatever is raised is a complaint, also if the engine raised it."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            CHECKERS[name].check(case)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True


# Faults.


@dataclass(frozen=True)
class Row:
    """What the checkers make of a fault.

    Args:
        fault: which.
        visible: whether it is theirs to see: whether it changes what they are handed.
        caught: for each checker the first case by which it finds the fault; None if it passes all that it passes on
            the right engine as well.
    """

    fault: Fault
    visible: bool
    caught: Mapping[str, Case | None]


def compare(faults: Sequence[Fault], names: Sequence[str] | None = None) -> Iterator[Row]:
    """Give the checkers, by default all that are available, a right engine with one of these faults at a time.

    All are given the same cases: those of the rows that the fault spoils, and then those for the engine as a whole. A
    case that a checker complains about though the engine is right does not count: it would be thrown away, or loosened.
    """
    chosen = list(names) if names is not None else list(filter(available, CHECKERS))
    for fault in faults:
        visible = _is_visible(fault)
        yield Row(fault, visible, {name: _caught(name, fault) if visible else None for name in chosen})


def _caught(name: str, fault: Fault) -> Case | None:
    for op in (*fault.rows, None):
        trusted = _trusted(name, op)
        with fault.plant():
            catching = next((case for case in trusted if not passes(name, case)), None)
        if catching:
            return catching
    return None


@cache
def _trusted(name: str, op: str | None) -> list[Case]:
    """The cases for a row, or for the engine as a whole, that a checker passes on the right engine."""
    return [case for case in (cases.of_row(op) if op else composed()) if passes(name, case)]


def _is_visible(fault: Fault) -> bool:
    """Whether a fault shows in what checkers are handed: it spoils rows, or a function's value or pullbacks.

    Faults of optimizers and of initial weights do not, nor do those of modes, of shared memory, of writes to data.
    """
    if fault.rows:
        return True
    probes = list(zip(cases.probes(), _right_outputs(), strict=True))
    with fault.plant(), np.errstate(all="ignore"):
        return any(a != b for case, right in probes for a, b in zip_longest(_outputs(case), right))


@cache
def _right_outputs() -> list[list[Any]]:
    with np.errstate(all="ignore"):
        return [list(_outputs(case)) for case in cases.probes()]


def _outputs(case: Case) -> Iterator[Any]:
    """A case's value, what its pullback gives, and what the pullback of that gives, to the bit."""
    cotangents = [np.ones_like(a) for a in case.arrays]
    try:
        y = case.value(*case.arrays)
        yield _bit_pattern(y)
        yield from map(_bit_pattern, case.pullback(np.cos(y), *case.arrays))
        yield from map(_bit_pattern, case.second_pullback(cotangents, np.cos(y), *case.arrays))
    except Exception as error:  # noqa: BLE001 - a refusal is as much to be seen as a number
        yield type(error)


def _bit_pattern(array: np.ndarray) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.tobytes()


# False alarms.


@dataclass(frozen=True)
class Alarms:
    """How often a checker complains about the right engine.

    Args:
        group: what kind of cases it was given; one of `GROUPS`.
        checker: which.
        cases: how many.
        false: those that it complained about.
    """

    group: str
    checker: str
    cases: int
    false: tuple[Case, ...]


def false_alarms(names: Sequence[str] | None = None) -> Iterator[Alarms]:
    """Give the checkers, by default all that are available, the right engine, group by group."""
    chosen = list(names) if names is not None else list(filter(available, CHECKERS))
    for group, draw in GROUPS.items():
        group_cases = draw()
        for name in chosen:
            yield Alarms(group, name, len(group_cases), tuple(case for case in group_cases if not passes(name, case)))
