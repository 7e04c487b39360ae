"""PyTorch's half of a session: tensors, what the graph of them needs, and optimizers.

Two things go beyond what PyTorch does by itself. What its graph keeps for the backward pass is copied before it is
overwritten, and known to be: so a pass gives the gradient of the numbers that there were, and says whether it read any
that there are no more. And an op, a pass or an optimizer's step may be made again with everything disturbed that it
reads: how far results move is how far rounding may move them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.graph import saved_tensors_hooks

from reference.engines.protocol import Noise
from reference.engines.stateful import State
from reference.engines.torch.disturbance import Disturbance
from reference.engines.torch.ops import KNOWN, mirror
from reference.engines.torch.promotion import cast
from reference.ops import OPS

Tensor = torch.Tensor
Held = list[tuple[Tensor, Tensor | None, dict[str, Any]]]  # of each leaf: its numbers, its gradient, its state


class _Needed:
    """Numbers that the graph needs for the backward pass, and whether they were overwritten since."""

    def __init__(self, tensor: Tensor, *, logarithms: bool) -> None:
        self.tensor = tensor
        self.logarithms = logarithms
        self.overwritten = False


class TorchStateful:
    """PyTorch's graph of a session. Its values are tensors.

    Attributes:
        read_overwritten: whether the latest backward pass read numbers that were overwritten since. PyTorch by itself
            would have refused.
    """

    def __init__(self) -> None:
        self.read_overwritten = False
        self._disturbance: Disturbance | None = None
        self._logarithms = False
        self._latest: list[_Needed] = []  # by the function that is being recorded
        self._needed: dict[int, list[_Needed]] = {}  # by the memory that the numbers are in

    @property
    def ops(self) -> Sequence[str]:
        """The ops of the table, but for those that PyTorch is known to be poor in."""
        return tuple(op for op in OPS if op not in KNOWN)

    # Values.

    def leaf(self, array: np.ndarray, *, wanted: bool = True) -> Tensor:
        """Make a tensor of a copy of an array."""
        return torch.tensor(array).requires_grad_(wanted)

    def data(self, value: Tensor) -> np.ndarray:
        """Give its memory as an array."""
        numbers: np.ndarray = value.detach().numpy()
        return numbers

    def wants(self, value: Tensor) -> bool:
        """Whether it wants a gradient."""
        return value.requires_grad

    def gradient(self, leaf: Tensor) -> np.ndarray | None:
        """Give a leaf's gradient."""
        return None if leaf.grad is None else leaf.grad.numpy()

    def set_gradient(self, leaf: Tensor, array: np.ndarray | None) -> None:
        """Give a leaf a gradient, in its dtype."""
        leaf.grad = None if array is None else torch.tensor(array).to(leaf.dtype)

    def overwrite(self, value: Tensor) -> None:
        """Copy what is needed of a tensor, whose numbers are about to change."""
        for needed in self._needed.pop(_memory(value), ()):
            needed.tensor = needed.tensor.clone()
            needed.overwritten = True

    # Ops.

    def apply(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], *, recorded: bool = True) -> Tensor:
        """Apply an op to tensors and Python numbers."""
        row = OPS[op]
        try:
            with torch.set_grad_enabled(recorded):
                return self._recorded(mirror(row), cast(operands), options, logarithms=row.logarithmic)
        except (RuntimeError, IndexError) as error:
            raise ValueError(str(error)) from error

    def record(self, function: Callable[..., Tensor], operands: Sequence[Tensor]) -> Tensor:
        """Apply a function of Python's operators."""
        return self._recorded(function, operands, {})

    def _recorded(
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
        with saved_tensors_hooks(self._note, self._give):
            y = function(*operands, **options)
            is_view = y._is_view()  # noqa: SLF001 - it has no public name
            known = {_memory(y), *map(_memory, operands)}
            for needed in self._latest:
                if needed.tensor.is_floating_point() and _memory(needed.tensor) not in known:
                    for operand in operands:
                        self._needed.setdefault(_memory(operand), []).append(needed)
            return y.clone() if is_view or _memory(y) in map(_memory, operands) else y

    def _note(self, tensor: Tensor) -> _Needed:
        needed = _Needed(tensor.detach(), logarithms=self._logarithms)
        self._needed.setdefault(_memory(tensor), []).append(needed)
        self._latest.append(needed)
        return needed

    def _give(self, needed: _Needed) -> Tensor:
        self.read_overwritten |= needed.overwritten
        return self._disturbance.on(needed.tensor, logarithms=needed.logarithms) if self._disturbance else needed.tensor

    def applied(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], noise: Noise) -> np.ndarray:
        """Give what an op gives of disturbed operands."""
        disturbance, logarithms = Disturbance(noise), OPS[op].logarithmic
        with torch.no_grad():
            disturbed = [disturbance.on(x, logarithms=logarithms) for x in cast(operands)]
            return self.data(mirror(OPS[op])(*disturbed, **options))

    def computed(self, function: Callable[..., Tensor], operands: Sequence[Tensor], noise: Noise) -> np.ndarray:
        """Give what a function gives of disturbed operands."""
        disturbance = Disturbance(noise)
        with torch.no_grad():
            return self.data(function(*(disturbance.on(x.detach()) for x in operands)))

    # The backward pass.

    def gradients(
        self, roots: Sequence[tuple[Tensor, np.ndarray]], towards: Sequence[Tensor], noise: Noise | None = None
    ) -> list[np.ndarray | None]:
        """Give the gradients towards tensors, from roots with their cotangents. The graph stays.

        Disturbed are the cotangents, those of all nodes on the way, and every number that the graph needs.
        """
        disturbance = None if noise is None else Disturbance(noise)
        self.read_overwritten, self._disturbance = False, disturbance
        hooks: list[Any] = [tensor.register_hook(disturbance.on) for tensor in towards] if disturbance else []  # type: ignore[no-untyped-call]
        try:
            cotangents = [torch.tensor(cotangent).to(root.dtype) for root, cotangent in roots]
            starts = [disturbance.on(g) if disturbance else g for g in cotangents]
            found = torch.autograd.grad(
                [root for root, _ in roots], towards, starts, retain_graph=True, allow_unused=True
            )
        finally:
            self._disturbance = None
            for hook in hooks:
                hook.remove()
        return [None if g is None else g.clone().numpy() for g in found]

    def optimizer(self, kind: str, leaves: Sequence[Tensor], options: Mapping[str, Any]) -> TorchOptimizer:
        """Make an optimizer of PyTorch's."""
        return TorchOptimizer(kind, leaves, options)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class TorchOptimizer:
    """An optimizer of PyTorch's.

    Args:
        kind: its name there.
        leaves: what it moves, each once.
        options: its options.
    """

    def __init__(self, kind: str, leaves: Sequence[Tensor], options: Mapping[str, Any]) -> None:
        self._leaves = tuple(leaves)
        self._optimizer: torch.optim.Optimizer = getattr(torch.optim, kind)(self._leaves, foreach=False, **options)

    def step(self) -> None:
        """Move each leaf that has a gradient."""
        self._optimizer.step()

    def zero(self) -> None:
        """Make all gradients missing."""
        self._optimizer.zero_grad()

    def set(self, option: str, number: float) -> None:
        """Change an option."""
        self._optimizer.param_groups[0][option] = number

    def save(self) -> Any:
        """Give a copy of state and options."""
        return copy.deepcopy(self._optimizer.state_dict())

    def load(self, saved: Any) -> None:
        """Go on from them."""
        self._optimizer.load_state_dict(copy.deepcopy(saved))

    def states(self) -> list[State]:
        """What is kept of each leaf, without what is None there."""
        return [{name: x.detach().numpy() for name, x in state.items()} for _, state in self._each()]

    def _each(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        for p in self._leaves:
            yield p, {name: x for name, x in self._optimizer.state.get(p, {}).items() if x is not None}

    def held(self) -> Held:
        """A copy of all that a step reads and writes."""
        return [
            (p.detach().clone(), p.grad, {name: x.clone() for name, x in state.items()}) for p, state in self._each()
        ]

    def _put(self, held: Held, on: Callable[[Tensor], Tensor]) -> None:
        for p, (numbers, gradient, state) in zip(self._leaves, held, strict=True):
            p.data.copy_(on(numbers))
            p.grad = None if gradient is None else on(gradient)
            if state:
                self._optimizer.state[p] = {n: on(x) if n != "step" else x.clone() for n, x in state.items()}
            else:
                self._optimizer.state.pop(p, None)

    def stepped_from(self, held: Held, noise: Noise) -> list[tuple[np.ndarray, State]]:
        """Each leaf's numbers and state after a step from disturbed numbers. Nothing is changed by it."""
        after = [(p.detach().clone(), p.grad, state) for p, state in self._each()]
        self._put(held, Disturbance(noise).on)
        self._optimizer.step()
        moved = [(_copied(p), {name: _copied(x) for name, x in state.items()}) for p, state in self._each()]
        self._put(after, lambda tensor: tensor)
        return moved


def _copied(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().numpy())
