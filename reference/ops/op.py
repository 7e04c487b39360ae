"""What an op row is: all there is to know of an op beside how an engine computes it and its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.ops.inputs import Inputs, alone


@dataclass(frozen=True)
class Domain:
    """Where an operand may lie.

    Args:
        name: for reports.
        least: the numbers lie above this one.
        numbers: the ordinary ones, the simplest first; short, so that a case can be redone by hand.
        edges: what is met on purpose: zeros of both signs, the domain's ends and beyond them, the tiny and the large.
        nonzero: whether 0 is outside.
        as_numbers: whether these are mostly written as Python numbers, as exponents are.
    """

    name: str
    least: float
    numbers: tuple[float, ...]
    edges: tuple[float, ...]
    nonzero: bool = False
    as_numbers: bool = False

    def holds(self, x: np.ndarray) -> bool:
        """Whether all numbers of an array lie here."""
        return bool((x > self.least).all()) and not (self.nonzero and not x.all())


_EIGHTHS = (1.0, 2.0, -1.0, 0.5, -2.0, 3.0, -0.5, 1.5, *(k / 8 for k in range(-31, 32, 2)))
_EDGES = (0.0, -0.0, 1.0, -1.0, 2.0, 1e-12, -1e-12, 1000.0, -1000.0)

# fmt: off
REAL     = Domain("real",      -math.inf, _EIGHTHS, _EDGES)
FACTORS  = Domain("factors",   -math.inf, (*_EIGHTHS, *[0.0] * 10), _EDGES)  # a product without a 0 is half the story
NONZERO  = Domain("not 0",     -math.inf, _EIGHTHS, _EDGES, nonzero=True)
POSITIVE = Domain("above 0",   0.0,       tuple(x for x in _EIGHTHS if x > 0), _EDGES)
ABOVE_M1 = Domain("above -1",  -1.0,      tuple(x for x in _EIGHTHS if x > -1), (*_EDGES, -1.0))
POWERS   = Domain("exponents", -math.inf, (2.0, 3.0, -1.0, 0.5, 1.0, -2.0, 1.5, 0.25), (0.5, 0.0, 2.0, -1.0, 0.5, 1.0), as_numbers=True)
# fmt: on


@dataclass(frozen=True, eq=False)
class Kink:
    """Where several slopes could be defended, and which one is taken.

    Args:
        says: the convention, in words.
        at: `at(*operands, **options)`: booleans, true where numbers lie at the kink.
        shown: programs that meet it, each as its line, with the gradient of each leaf.
        settled: whether releases of PyTorch agree on it. Where they do not, any of these slopes will do.
    """

    says: str
    at: Callable[..., Any]
    shown: tuple[tuple[str, list[Any]], ...]
    settled: bool = True


@dataclass(frozen=True, eq=False)
class Op:
    """An op row.

    Args:
        name: what programs call it; NumPy's name where NumPy has it.
        definition: what it computes, `definition(*operands, **options)`, in NumPy: on arrays of floats, and on exact
            numbers by dispatch. It may take care not to overflow; no gradient rule is in it.
        domains: where each operand may lie; the last holds for all further ones.
        inputs: the shapes and options that it is met with.
        refuses: shapes and options that NumPy refuses, and so must every engine.
        aliases: other names that engines have for it.
        kink: which slope is taken at its kinks and ties.
        selects: whether it only chooses among its operands' numbers, and so never rounds.
        signed: whether the sign of a 0 in the result is settled. Which of two zeros is the larger, and whether a sum
            begins with 0, NumPy leaves to the machine.
        finite: whether it is met with finite numbers alone. BLAS may leave out a product by 0, so that 0 times infinity
            is 0 in one library, and NaN in the other.
        logarithmic: whether it takes exponentials of its operand, or of what it keeps for the backward pass. Those
            round as if something had been added to the logarithm, near 0 as much as far from it.
        written: how sessions write it, where the usual ways (a method, NumPy's function, the engine's) are not all or
            not right. `{0}` and `{1}` stand for operands, `{operands}` for all of them, `{options}` for all options
            by name, and an option's name for that one. An operand that a method is called on is a value.
    """

    name: str
    definition: Callable[..., Any]
    domains: tuple[Domain, ...] = (REAL,)
    inputs: Inputs = alone()  # noqa: RUF009 - it is a value, and never changes
    refuses: Inputs | None = None
    aliases: tuple[str, ...] = ()
    kink: Kink | None = None
    selects: bool = False
    signed: bool = True
    finite: bool = False
    logarithmic: bool = False
    written: tuple[str, ...] = ()

    def domain(self, position: int) -> Domain:
        """Where the operand at a position may lie."""
        return self.domains[min(position, len(self.domains) - 1)]
