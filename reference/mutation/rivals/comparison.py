"""The comparison: which checker finds which fault, and how often each rejects the right engine."""

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
    """A checker.

    Args:
        package: its distribution.
        module: the module of this package whose `check(case, **options)` runs it.
        options: these options, which distinguish checkers of one module.
    """

    package: str
    module: str
    options: Mapping[str, Any]

    def check(self, case: Case) -> None:
        """Check a case; raise an error if it fails."""
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
    """Whether a case passes a checker. Any error is a failure, even one raised by the engine."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            CHECKERS[name].check(case)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True


# Faults.


@dataclass(frozen=True)
class Row:
    """The results of the checkers for a fault.

    Args:
        fault: the fault.
        visible: whether it changes anything that checkers test.
        caught: for each checker the first case that catches the fault; None if all cases pass that pass on the right
            engine.
    """

    fault: Fault
    visible: bool
    caught: Mapping[str, Case | None]


def compare(faults: Sequence[Fault], names: Sequence[str] | None = None) -> Iterator[Row]:
    """Run checkers, by default all available ones, on the engine with one of these faults at a time.

    All run the same cases: those of the rows that the fault breaks, and then those for the engine as a whole. A case
    that fails on the right engine does not count, since a user would drop it or loosen its tolerance.
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
    """Return the cases for a row, or for the engine as a whole, that pass the checker on the right engine."""
    return [case for case in (cases.of_row(op) if op else composed()) if passes(name, case)]


def _is_visible(fault: Fault) -> bool:
    """Whether checkers can see a fault: it breaks rows of the op table, or changes a function's value or pullbacks.

    Faults of optimizers, initial weights, modes, shared memory and writes to data are not visible.
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
    """Yield the bits of a case's value, of its pullback's results, and of those of the pullback's pullback."""
    cotangents = [np.ones_like(a) for a in case.arrays]
    try:
        y = case.value(*case.arrays)
        yield _bit_pattern(y)
        yield from map(_bit_pattern, case.pullback(np.cos(y), *case.arrays))
        yield from map(_bit_pattern, case.second_pullback(cotangents, np.cos(y), *case.arrays))
    except Exception as error:  # noqa: BLE001 - an error is an output, too
        yield type(error)


def _bit_pattern(array: np.ndarray) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.tobytes()


# False alarms.


@dataclass(frozen=True)
class Alarms:
    """The false alarms of a checker.

    Args:
        group: the group of cases, one of `GROUPS`.
        checker: the checker's name.
        cases: the number of cases.
        false: the cases that failed on the right engine.
    """

    group: str
    checker: str
    cases: int
    false: tuple[Case, ...]


def false_alarms(names: Sequence[str] | None = None) -> Iterator[Alarms]:
    """Run checkers, by default all available ones, on the right engine, group by group."""
    chosen = list(names) if names is not None else list(filter(available, CHECKERS))
    for group, draw in GROUPS.items():
        group_cases = draw()
        for name in chosen:
            yield Alarms(group, name, len(group_cases), tuple(case for case in group_cases if not passes(name, case)))
