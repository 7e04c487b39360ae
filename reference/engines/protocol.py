"""What an engine is to the rest of this package: whatever takes a program and gives values and gradients.

A reference is an engine that is believed. What either can do beyond that, its abilities say: who has none is
judged, and believed, all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from reference.programs import Program


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an engine made of a program.

    Args:
        values: the value of each step, in order; shorter if one was refused.
        gradients: one for each leaf, in order. None where no gradient arrived.
        second: for a program with directions, the second-order gradients, likewise.
        twice: the gradients after a second pass over the same graph, where the engine accumulates over passes.
        inner: the gradients of the steps' values, where the engine shows them; None where none arrived.
        held: arrays that the engine must neither write into nor hand out: it was given them.
        error: what it raised instead.
    """

    values: tuple[np.ndarray, ...] = ()
    gradients: tuple[Any, ...] = ()
    second: tuple[Any, ...] = ()
    twice: tuple[Any, ...] = ()
    inner: tuple[Any, ...] = ()
    held: tuple[np.ndarray, ...] = field(default=(), repr=False)
    error: Exception | SystemExit | None = None


@dataclass(frozen=True)
class Abilities:
    """What an engine can do beyond values and gradients. What it lacks is not asked of it.

    Args:
        second_order: it differentiates its own gradients, where a program asks for it.
        disturb: it runs a program disturbed. What then moves far is ill-conditioned.
        precision: it computes in another precision than the operands'.
        path: it goes on, at each step, from another engine's values.
        inner: it gives the gradients of the steps' values on request.
        subnormal: it keeps numbers below the smallest normal one; else it takes 0 for them.
        few_shapes: it compiles for each shape that is new to it, and is given programs of few shapes.
    """

    second_order: bool = False
    disturb: bool = False
    precision: bool = False
    path: bool = False
    inner: bool = False
    subnormal: bool = True
    few_shapes: bool = False


@dataclass(frozen=True)
class Noise:
    """A disturbance: of each operand as it is used, and of each number that is kept for the backward pass.

    Each is multiplied by 1 + size or 1 - size, by chance, for each element and each use by itself. How far results
    move, divided by `size`, is how much they magnify rounding: the condition of the computation, forward and backward.
    What is kept is disturbed too, for a formula such as 1 - tanh² magnifies the rounding of the result that it reads.
    An op that only selects is not disturbed, for it would select otherwise; logarithms are added to as well.

    Args:
        size: the relative disturbance.
        seed: of the signs. The same seed disturbs alike.
    """

    size: float
    seed: int


class Engine(Protocol):
    """An interpreter of programs."""

    @property
    def name(self) -> str:
        """What reports call it, with its version."""
        ...

    @property
    def ops(self) -> Sequence[str]:
        """The ops that it knows, by the names of the op table."""
        ...

    @property
    def abilities(self) -> Abilities:
        """What it can do beyond values and gradients."""
        ...

    def run(self, program: Program) -> Outcome:
        """Run a program. What the engine raises is part of the outcome."""
        ...

    def again(self, program: Program) -> Outcome:
        """Run a program once more, to see that it answers the same. What only the first run is asked for may go."""
        ...


class Reference(Engine, Protocol):
    """An engine that is believed. It is asked for no more than its abilities."""

    @property
    def known(self) -> Mapping[str, str]:
        """Where it is known to be poor, so that an engine may be better: in words, by op."""
        ...

    @property
    def conventions(self) -> frozenset[str]:
        """The ops at whose kinks it takes other slopes than their rows say. There any slope will do."""
        ...

    def begin(self) -> None:
        """Make this process fit to run many small programs."""
        ...

    def run(
        self,
        program: Program,
        *,
        noise: Noise | None = None,
        precision: str | None = None,
        path: Sequence[Any] | None = None,
        inner: bool = False,
    ) -> Outcome:
        """Run a program.

        Args:
            program: what to run.
            noise: a disturbance (ability `disturb`).
            precision: `float32` or `float64`, in which everything is computed; by default as the operands are (ability
                `precision`).
            path: values of the steps that another engine found: each step goes on from these in place of its own
                (ability `path`).
            inner: whether the gradients of the steps are wanted, too (ability `inner`).
        """
        ...
