"""The op row: all facts about an op, except how an engine computes it and its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.ops.inputs import Inputs, unary


@dataclass(frozen=True)
class Domain:
    """The numbers that an operand may hold.

    Args:
        name: for reports.
        least: the exclusive lower bound.
        numbers: ordinary numbers, the simplest first; short, so that a case can be recomputed by hand.
        edges: numbers that test the limits: zeros of both signs, the domain's ends and beyond, tiny and large numbers.
        nonzero: whether 0 is excluded.
        as_numbers: whether operands are mostly written as Python numbers, as exponents are.
    """

    name: str
    least: float
    numbers: tuple[float, ...]
    edges: tuple[float, ...]
    nonzero: bool = False
    as_numbers: bool = False

    def holds(self, x: np.ndarray) -> bool:
        """Whether all numbers of an array lie in the domain."""
        return bool((x > self.least).all()) and not (self.nonzero and not x.all())


_EIGHTHS = (1.0, 2.0, -1.0, 0.5, -2.0, 3.0, -0.5, 1.5, *(k / 8 for k in range(-31, 32, 2)))
_EDGES = (0.0, -0.0, 1.0, -1.0, 2.0, 1e-12, -1e-12, 1000.0, -1000.0)

# fmt: off
REAL     = Domain("real",      -math.inf, _EIGHTHS, _EDGES)
FACTORS  = Domain("factors",   -math.inf, (*_EIGHTHS, *[0.0] * 10), _EDGES)  # a product's rule has a case of its own for zeros
NONZERO  = Domain("not 0",     -math.inf, _EIGHTHS, _EDGES, nonzero=True)
POSITIVE = Domain("above 0",   0.0,       tuple(x for x in _EIGHTHS if x > 0), _EDGES)
ABOVE_M1 = Domain("above -1",  -1.0,      tuple(x for x in _EIGHTHS if x > -1), (*_EDGES, -1.0))
POWERS   = Domain("exponents", -math.inf, (2.0, 3.0, -1.0, 0.5, 1.0, -2.0, 1.5, 0.25), (0.5, 0.0, 2.0, -1.0, 0.5, 1.0), as_numbers=True)
# fmt: on


@dataclass(frozen=True, eq=False)
class Kink:
    """The points of an op with several subgradients, and the convention that selects one.

    Args:
        convention: which slope is taken, in words.
        at: `at(*operands, **options)` gives booleans, true at the kink.
        examples: programs that meet the kink, each as its line, with the gradient of each leaf.
        settled: whether all releases of PyTorch agree on the convention. If they do not, any subgradient is accepted.
    """

    convention: str
    at: Callable[..., Any]
    examples: tuple[tuple[str, list[Any]], ...]
    settled: bool = True


@dataclass(frozen=True, eq=False)
class Op:
    """An op row.

    Args:
        name: its name in programs; NumPy's name if NumPy has the op.
        definition: the value, `definition(*operands, **options)`, in NumPy: on arrays of floats, and on exact
            numbers by dispatch. It may avoid overflow; it contains no gradient rule.
        domains: the domain of each operand; the last holds for all further operands.
        inputs: the shapes and options of valid calls.
        refuses: shapes and options that NumPy refuses, as every engine must.
        aliases: other names that engines have for it.
        kink: the slope that is taken at kinks and ties.
        selects: whether it only selects among its operands' numbers, and so never rounds.
        signed: whether the sign of a 0 in the result is defined. It depends on the processor which of two zeros NumPy
            takes for the larger, and whether a sum begins with 0.
        finite: whether it is tested with finite numbers only. BLAS may leave out a product with 0, so that 0 times
            infinity is 0 in one library, and NaN in the other.
        logarithmic: whether it takes exponentials of its operand, or of a residual of its backward pass. They round as
            if something had been added to the logarithm, by as much near 0 as far from it.
        usual: the usual formula of its gradients, `usual(g, y, *operands, **options)`, if that loses digits somewhere. An
            engine that loses no more is imprecise, and not wrong.
        written: how sessions write it, if the usual spellings (a method, NumPy's function, the engine's function) are
            incomplete or wrong. `{0}` and `{1}` stand for operands, `{operands}` for all of them, `{options}` for all
            options by name, and an option's name for that option. The operand of a method is always a value.
    """

    name: str
    definition: Callable[..., Any]
    domains: tuple[Domain, ...] = (REAL,)
    inputs: Inputs = unary()  # noqa: RUF009 - immutable
    refuses: Inputs | None = None
    aliases: tuple[str, ...] = ()
    kink: Kink | None = None
    selects: bool = False
    signed: bool = True
    finite: bool = False
    logarithmic: bool = False
    usual: Callable[..., Any] | None = None
    written: tuple[str, ...] = ()

    def domain(self, position: int) -> Domain:
        """The domain of the operand at a position."""
        return self.domains[min(position, len(self.domains) - 1)]
