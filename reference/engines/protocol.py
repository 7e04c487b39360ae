"""What an engine is to the rest of this package: whatever takes a program and gives values and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from reference.program import Program


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


class Engine(Protocol):
    """An interpreter of programs."""

    @property
    def name(self) -> str:
        """What reports call it, with its version."""
        ...

    @property
    def ops(self) -> Sequence[str]:
        """The ops that it knows, by the catalogue's names."""
        ...

    @property
    def second_order(self) -> bool:
        """Whether it differentiates its own gradients, where a program asks for it."""
        ...

    def run(self, program: Program) -> Outcome:
        """Run a program. What the engine raises is part of the outcome."""
        ...

    def again(self, program: Program) -> Outcome:
        """Run a program once more, to see that it answers the same. What only the first run is asked for may go."""
        ...
