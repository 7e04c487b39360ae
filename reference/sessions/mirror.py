"""PyTorch's half of a session: a tensor for each Value, what the graph of them keeps, and optimizers.

Two things go beyond what PyTorch does by itself. What its graph keeps for the way back is copied before it is
overwritten, and known to be: so a pass back gives the gradient of the numbers that there were, and says whether it read
any that there are no more. And a pass back, or an optimizer's step, may be made again with everything disturbed that it
reads: how far results move is how far rounding may move them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.autograd.graph import saved_tensors_hooks

from ndgrad.engine import Value
from reference.engines.torch import Disturbance

Tensor = torch.Tensor
Entries = dict[str, Any]  # of the state of one parameter, by name


@dataclass(eq=False)
class Pair:
    """A value on both sides.

    Args:
        name: what the session's lines call it.
        tensor: PyTorch's.
        value: ndgrad's, for as long as something holds it.
        operands: what it was made of, if it is part of a graph.
        single: whether something in single precision went into it.
        shown: the gradient of an inner node in the latest pass.
        nodes: of how many nodes its graph has more than those of its operands.
        rewritten: whether its own numbers were overwritten. An engine's pullback may have read them, where PyTorch's
            does not.
        stale: whether its numbers are a view of others that were overwritten, and it is of no further use.
    """

    name: str
    tensor: Tensor
    value: weakref.ref[Value]
    operands: tuple[Pair, ...] = ()
    single: bool = False
    shown: Tensor | None = None
    nodes: int = 1
    rewritten: bool = False
    stale: bool = False

    @property
    def value_name(self) -> str:
        """What findings call its numbers."""
        return f"value of {self.name}"

    @property
    def gradient_name(self) -> str:
        """What findings call its gradient."""
        return f"grad[{self.name}]"

    @property
    def is_leaf(self) -> bool:
        """Whether it wants a gradient and nothing made it."""
        return self.tensor.requires_grad and self.tensor.is_leaf

    @property
    def gradient(self) -> Tensor | None:
        """What PyTorch says of its gradient: a leaf's so far, an inner node's of the latest pass."""
        return self.tensor.grad if self.tensor.is_leaf else self.shown

    def arrived(self, gradient: Tensor | None) -> None:
        """Take in what a pass brought. A leaf adds it to what it has."""
        if gradient is None:
            return
        if not self.tensor.is_leaf:
            self.shown = gradient.clone()
        elif self.tensor.grad is None:
            self.tensor.grad = gradient.clone()
        else:
            self.tensor.grad = self.tensor.grad + gradient

    def made_of(self) -> list[Pair]:
        """Itself, and all that it was made of."""
        found = {id(self): self}
        waiting = [self]
        while waiting:
            for operand in waiting.pop().operands:
                if id(operand) not in found:
                    found[id(operand)] = operand
                    waiting.append(operand)
        return list(found.values())


class _Kept:
    """Numbers that the graph keeps for the way back, and whether they were overwritten since."""

    def __init__(self, tensor: Tensor, *, logarithms: bool) -> None:
        self.tensor = tensor
        self.logarithms = logarithms
        self.overwritten = False


class Graph:
    """PyTorch's graph of a session.

    Attributes:
        read_overwritten: whether the latest pass back read numbers that were overwritten since. PyTorch by itself would
            have refused.
    """

    def __init__(self) -> None:
        self.read_overwritten = False
        self._disturbance: Disturbance | None = None
        self._logarithms = False
        self._latest: list[_Kept] = []  # that the function keeps which is being recorded
        self._kept: dict[int, list[_Kept]] = {}  # by the memory that the numbers are in

    def record(
        self,
        function: Callable[..., Tensor],
        operands: Sequence[Tensor],
        options: Mapping[str, Any],
        *,
        logarithms: bool = False,
    ) -> Tensor:
        """Apply a function. The result is no view, for writes would reach what it is a view of; nor an operand.

        What it keeps may be logarithms, which a disturbance adds to. It may also be copies of operands, as where they
        are laid out anew for a product: another engine keeps the operand, and may miss it when that is overwritten.
        """
        self._logarithms, self._latest = logarithms, []
        with saved_tensors_hooks(self._keep, self._give):
            y = function(*operands, **options)
            is_view = y._is_view()  # noqa: SLF001 - it has no public name
            known = {_memory(y), *map(_memory, operands)}
            for kept in self._latest:
                if kept.tensor.is_floating_point() and _memory(kept.tensor) not in known:
                    for operand in operands:
                        self._kept.setdefault(_memory(operand), []).append(kept)
            return y.clone() if is_view or _memory(y) in map(_memory, operands) else y

    def _keep(self, tensor: Tensor) -> _Kept:
        kept = _Kept(tensor.detach(), logarithms=self._logarithms)
        self._kept.setdefault(_memory(tensor), []).append(kept)
        self._latest.append(kept)
        return kept

    def _give(self, kept: _Kept) -> Tensor:
        self.read_overwritten |= kept.overwritten
        return self._disturbance.on(kept.tensor, logarithms=kept.logarithms) if self._disturbance else kept.tensor

    def overwrite(self, tensor: Tensor) -> None:
        """Copy what is kept of a tensor, whose numbers are about to change."""
        for kept in self._kept.pop(_memory(tensor), ()):
            kept.tensor = kept.tensor.clone()
            kept.overwritten = True

    def pass_back(
        self, roots: Sequence[tuple[Tensor, Tensor]], towards: Sequence[Tensor], disturbance: Disturbance | None = None
    ) -> tuple[Tensor | None, ...]:
        """Give the gradients towards these, from roots with their cotangents. The graph stays.

        Disturbed are the cotangents, those of all nodes on the way, and every number that the graph kept.
        """
        self.read_overwritten, self._disturbance = False, disturbance
        hooks: list[Any] = [tensor.register_hook(disturbance.on) for tensor in towards] if disturbance else []  # type: ignore[no-untyped-call]
        try:
            starts = [root for root, _ in roots]
            cotangents = [disturbance.on(cotangent) if disturbance else cotangent for _, cotangent in roots]
            return torch.autograd.grad(starts, towards, cotangents, retain_graph=True, allow_unused=True)
        finally:
            self._disturbance = None
            for hook in hooks:
                hook.remove()


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@dataclass(eq=False)
class OptimizerPair:
    """An optimizer on both sides.

    Args:
        name: what the session's lines call it.
        kind: its name in both libraries.
        params: what it moves, each once.
        options: its options in both.

    Attributes:
        theirs: PyTorch's.
    """

    name: str
    kind: str
    params: tuple[Pair, ...]
    options: Mapping[str, Any]
    theirs: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        kind = getattr(torch.optim, self.kind)
        self.theirs = kind([p.tensor for p in self.params], foreach=False, **self.options)

    def states(self) -> Iterator[Entries]:
        """PyTorch's state of each parameter, without what is None there."""
        for p in self.params:
            yield {name: x for name, x in self.theirs.state.get(p.tensor, {}).items() if x is not None}

    def held(self) -> list[tuple[Tensor, Tensor | None, Entries]]:
        """A copy of all that a step reads and writes: each parameter's numbers, gradient and state."""
        return [
            (p.tensor.detach().clone(), p.tensor.grad, {name: x.clone() for name, x in state.items()})
            for p, state in self._each()
        ]

    def _each(self) -> Iterator[tuple[Pair, Entries]]:
        return zip(self.params, self.states(), strict=True)

    def _put(self, held: Sequence[tuple[Tensor, Tensor | None, Entries]], on: Callable[[Tensor], Tensor]) -> None:
        for p, (numbers, gradient, state) in zip(self.params, held, strict=True):
            p.tensor.data.copy_(on(numbers))
            p.tensor.grad = None if gradient is None else on(gradient)
            if state:
                self.theirs.state[p.tensor] = {n: on(x) if n != "step" else x.clone() for n, x in state.items()}
            else:
                self.theirs.state.pop(p.tensor, None)

    def stepped_from(
        self, before: Sequence[tuple[Tensor, Tensor | None, Entries]], disturbance: Disturbance
    ) -> dict[str, Any]:
        """What a step gives, by the names of the parts, from disturbed numbers. Nothing is changed by it."""
        after = [(p.tensor.detach().clone(), p.tensor.grad, state) for p, state in self._each()]
        self._put(before, disturbance.on)
        self.theirs.step()
        parts = {name: np.array(x.detach().numpy()) for name, x in self.parts()}
        self._put(after, lambda tensor: tensor)
        return parts

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """Each parameter's numbers and state, by name."""
        for i, (p, state) in enumerate(self._each()):
            yield p.value_name, p.tensor
            yield from ((f"{self.name}.state[{i}][{name!r}]", x) for name, x in state.items())
