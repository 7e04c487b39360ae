"""Pairs of values and of optimizers: the engine's beside the reference's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.engines import Noise
from reference.engines.stateful import OptimizerReference, State, StatefulReference


@dataclass(eq=False)
class Pair:
    """A value on both sides.

    Args:
        name: its name in the session's lines.
        reference: the reference.
        theirs: the reference's value.
        value: returns the engine's value, or None once it is freed.
        operands: its operands, if it is part of a graph.
        single: whether it was computed from anything in single precision.
        latest_gradient: the gradient of an inner node in the latest pass.
        nodes: how many more nodes its graph has than the graphs of its operands.
        rewritten: whether its own numbers were overwritten. An engine's pullback may read them even if the
            reference's does not.
        stale: whether its numbers are a view of overwritten ones, so that it is of no further use.
        spent: whether its graph is used up, so that no further backward pass may start from it.
    """

    name: str
    reference: StatefulReference
    theirs: Any
    value: Callable[[], Any]
    operands: tuple[Pair, ...] = ()
    single: bool = False
    latest_gradient: np.ndarray | None = None
    nodes: int = 1
    rewritten: bool = False
    stale: bool = False
    spent: bool = False

    def __post_init__(self) -> None:
        self.numbers = self.reference.data(self.theirs)
        self.requires_grad = self.reference.wants(self.theirs)

    @property
    def value_name(self) -> str:
        """The name of its numbers in findings."""
        return f"value of {self.name}"

    @property
    def gradient_name(self) -> str:
        """The name of its gradient in findings."""
        return f"grad[{self.name}]"

    @property
    def is_result(self) -> bool:
        """Whether it is the result of an op in a graph."""
        return bool(self.operands)

    @property
    def is_leaf(self) -> bool:
        """Whether it requires a gradient and is not the result of an op."""
        return self.requires_grad and not self.is_result

    @property
    def gradient(self) -> np.ndarray | None:
        """The reference's gradient: accumulated for a leaf, of the latest pass for an inner node."""
        return self.latest_gradient if self.is_result else self.reference.gradient(self.theirs)

    def set_gradient(self, gradient: np.ndarray | None) -> None:
        """Set a leaf's gradient in the reference."""
        self.reference.set_gradient(self.theirs, gradient)

    def accumulate(self, gradient: np.ndarray | None) -> None:
        """Receive the gradient of a backward pass. A leaf adds it to its gradient, an inner node replaces it."""
        if gradient is None:
            return
        if self.is_result:
            self.latest_gradient = gradient.copy()
        else:
            self.set_gradient(gradient if self.gradient is None else self.gradient + gradient)

    def ancestors(self) -> list[Pair]:
        """Return itself and all values that it was computed from."""
        found = {id(self): self}
        waiting = [self]
        while waiting:
            for operand in waiting.pop().operands:
                if id(operand) not in found:
                    found[id(operand)] = operand
                    waiting.append(operand)
        return list(found.values())


@dataclass(eq=False)
class OptimizerPair:
    """An optimizer on both sides.

    Args:
        name: its name in the session's lines.
        kind: the class's name on both sides.
        params: its parameters, each once.
        theirs: the reference's optimizer.
    """

    name: str
    kind: str
    params: tuple[Pair, ...]
    theirs: OptimizerReference

    def part_names(self) -> frozenset[str]:
        """Return the names of all parts that a step may change."""
        return frozenset(name for name, _ in self._parts((p.numbers for p in self.params), self.theirs.states()))

    def stepped_from(self, held: Any, noise: Noise) -> dict[str, np.ndarray]:
        """Return the results of a step from disturbed numbers, by part. It changes nothing."""
        numbers, states = zip(*self.theirs.stepped_from(held, noise), strict=True)
        return dict(self._parts(numbers, states))

    def _parts(self, numbers: Iterable[np.ndarray], states: Iterable[State]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each parameter's numbers and state, by name."""
        for i, (p, array, state) in enumerate(zip(self.params, numbers, states, strict=True)):
            yield p.value_name, array
            yield from ((f"{self.name}.state[{i}][{name!r}]", x) for name, x in state.items())
