"""The protocol of engines: an engine takes a program and gives values and gradients.

A reference is an engine that is trusted. Further abilities are optional for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from reference.programs import Program


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of a program in an engine.

    Args:
        values: the value of each step, in order; fewer if a step is refused.
        gradients: the gradient of each leaf, in order; None if there is none.
        second: the second-order gradients of each leaf, for a program with directions.
        twice: the gradients after a second backward pass over the same graph, if the engine accumulates gradients.
        inner: the gradient of each step's value, if the engine gives them; None if there is none.
        held: the arrays passed to the engine, which it must neither write into nor return as gradients.
        error: the error that it raised.
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
    """Abilities of an engine beyond values and gradients. It is not asked for those that it lacks.

    Args:
        second_order: it differentiates its gradients, for programs with directions.
        disturb: it disturbs a program's numbers. Results that then move far are ill-conditioned.
        precision: it computes in another precision than the operands'.
        path: it continues each step from another engine's values.
        inner: it gives the gradients of the steps' values.
        subnormal: it supports subnormal numbers; else it replaces them by 0.
        few_shapes: it compiles for each new shape, and so gets programs of few shapes.
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
    """A disturbance of each operand when it is used, and of each number that is saved for the backward pass.

    Each number is multiplied by 1 + size or 1 - size at random, independently for each element and each use. The move
    of the results divided by `size` is the condition of the computation, forward and backward: how much it magnifies
    rounding. Saved numbers are disturbed, too, for a formula such as 1 - tanh² magnifies the rounding of the saved
    result. An op that only selects is not disturbed, for it would select other numbers. The disturbance is also added
    to logarithms.

    Args:
        size: the relative size of the disturbance.
        seed: the seed of the random signs.
    """

    size: float
    seed: int


class Engine(Protocol):
    """An interpreter of programs."""

    @property
    def name(self) -> str:
        """Its name in reports, with its version."""
        ...

    @property
    def ops(self) -> Sequence[str]:
        """The supported ops, by the names of the op table."""
        ...

    @property
    def abilities(self) -> Abilities:
        """Its abilities beyond values and gradients."""
        ...

    def run(self, program: Program) -> Outcome:
        """Run a program. The outcome holds an error that the engine raises."""
        ...

    def again(self, program: Program) -> Outcome:
        """Run a program again, to check that the answer is the same. It may leave out checks of the first run."""
        ...


class Reference(Engine, Protocol):
    """An engine that is trusted. It is only asked for its abilities."""

    @property
    def known(self) -> Mapping[str, str]:
        """Known weaknesses in words, by op. An engine may be better there."""
        ...

    @property
    def conventions(self) -> frozenset[str]:
        """The ops at whose kinks it has another convention than their rows. There any subgradient is accepted."""
        ...

    def begin(self) -> None:
        """Prepare this process to run many small programs."""
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
            program: the program.
            noise: a disturbance (ability `disturb`).
            precision: `float32` or `float64` for the whole computation; by default that of the operands (ability
                `precision`).
            path: another engine's values of the steps, from which later steps continue (ability `path`).
            inner: whether to return the gradients of the steps' values, too (ability `inner`).
        """
        ...
