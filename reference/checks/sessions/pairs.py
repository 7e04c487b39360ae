"""What stands on both sides of a session: values and optimizers, the engine's beside the reference's."""

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
        name: what the session's lines call it.
        reference: whose value stands beside it.
        theirs: that value.
        value: gives the engine's, for as long as something holds it.
        operands: what it was made of, if it is part of a graph.
        single: whether something in single precision went into it.
        latest_gradient: the gradient of an inner node in the latest pass.
        nodes: of how many nodes its graph has more than those of its operands.
        rewritten: whether its own numbers were overwritten. An engine's pullback may have read them, where the
            reference's does not.
        stale: whether its numbers are a view of others that were overwritten, and it is of no further use.
        spent: whether it cannot be passed back from any more.
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
        """What findings call its numbers."""
        return f"value of {self.name}"

    @property
    def gradient_name(self) -> str:
        """What findings call its gradient."""
        return f"grad[{self.name}]"

    @property
    def is_result(self) -> bool:
        """Whether it is part of a graph, and no leaf."""
        return bool(self.operands)

    @property
    def is_leaf(self) -> bool:
        """Whether it wants a gradient and nothing made it."""
        return self.requires_grad and not self.is_result

    @property
    def gradient(self) -> np.ndarray | None:
        """What the reference says of its gradient: a leaf's so far, an inner node's of the latest pass."""
        return self.latest_gradient if self.is_result else self.reference.gradient(self.theirs)

    def set_gradient(self, gradient: np.ndarray | None) -> None:
        """Give a leaf another gradient in the reference."""
        self.reference.set_gradient(self.theirs, gradient)

    def accumulate(self, gradient: np.ndarray | None) -> None:
        """Take in what a pass brought. A leaf adds it to what it has."""
        if gradient is None:
            return
        if self.is_result:
            self.latest_gradient = gradient.copy()
        else:
            self.set_gradient(gradient if self.gradient is None else self.gradient + gradient)

    def ancestors(self) -> list[Pair]:
        """Itself, and all that it was made of."""
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
        name: what the session's lines call it.
        kind: its name in both.
        params: what it moves, each once.
        theirs: the reference's.
    """

    name: str
    kind: str
    params: tuple[Pair, ...]
    theirs: OptimizerReference

    def part_names(self) -> frozenset[str]:
        """The names of all that a step may change."""
        return frozenset(name for name, _ in self._parts((p.numbers for p in self.params), self.theirs.states()))

    def stepped_from(self, held: Any, noise: Noise) -> dict[str, np.ndarray]:
        """What a step gives, by the names of the parts, from disturbed numbers. Nothing is changed by it."""
        numbers, states = zip(*self.theirs.stepped_from(held, noise), strict=True)
        return dict(self._parts(numbers, states))

    def _parts(self, numbers: Iterable[np.ndarray], states: Iterable[State]) -> Iterator[tuple[str, np.ndarray]]:
        """Each parameter's numbers and state, by name."""
        for i, (p, array, state) in enumerate(zip(self.params, numbers, states, strict=True)):
            yield p.value_name, array
            yield from ((f"{self.name}.state[{i}][{name!r}]", x) for name, x in state.items())
