"""PyTorch's side of a session: tensors, the numbers that their graph saves, and optimizers.

Two things go beyond PyTorch. Numbers that its graph saves for the backward pass are copied before they are overwritten.
So a backward pass gives the gradient for the original numbers, and tells whether it read overwritten ones. And an op, a
backward pass or an optimizer's step can be repeated with all that it reads disturbed: the move of the results shows how
far rounding may move them.
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
Snapshot = list[tuple[Tensor, Tensor | None, dict[str, Any]]]  # the numbers, gradient and state of each leaf


class _Saved:
    """A tensor that the graph saves for the backward pass, and whether it was overwritten since."""

    def __init__(self, tensor: Tensor, *, logarithms: bool) -> None:
        self.tensor = tensor
        self.logarithms = logarithms
        self.overwritten = False


class TorchStateful:
    """PyTorch's graph of a session. Its values are tensors.

    Attributes:
        read_overwritten: whether the latest backward pass read numbers that were overwritten since the forward pass.
            PyTorch by itself would raise.
    """

    def __init__(self) -> None:
        self.read_overwritten = False
        self._disturbance: Disturbance | None = None
        self._logarithms = False
        self._latest: list[_Saved] = []  # by the function that is being recorded
        self._saved: dict[int, list[_Saved]] = {}  # by the address of their memory

    @property
    def ops(self) -> Sequence[str]:
        """The ops of the table, except those with known weaknesses of PyTorch."""
        return tuple(op for op in OPS if op not in KNOWN)

    # Values.

    def leaf(self, array: np.ndarray, *, wanted: bool = True) -> Tensor:
        """Make a tensor of a copy of an array."""
        return torch.tensor(array).requires_grad_(wanted)

    def data(self, value: Tensor) -> np.ndarray:
        """Return its memory as an array."""
        numbers: np.ndarray = value.detach().numpy()
        return numbers

    def wants(self, value: Tensor) -> bool:
        """Whether it requires a gradient."""
        return value.requires_grad

    def gradient(self, leaf: Tensor) -> np.ndarray | None:
        """Return a leaf's gradient."""
        return None if leaf.grad is None else leaf.grad.numpy()

    def set_gradient(self, leaf: Tensor, array: np.ndarray | None) -> None:
        """Assign a leaf's gradient, in its dtype."""
        leaf.grad = None if array is None else torch.tensor(array).to(leaf.dtype)

    def overwrite(self, value: Tensor) -> None:
        """Copy what the graph saves of a tensor, before its numbers change."""
        for saved in self._saved.pop(_memory(value), ()):
            saved.tensor = saved.tensor.clone()
            saved.overwritten = True

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
        """Apply a function. The result is never an operand or a view, for a write into it would change its base.

        Saved tensors may be logarithms, to which a disturbance is added. They may also be copies of operands, as when a
        product changes their layout. Another engine may save the operand itself, and notice that it is overwritten; so
        a copy counts as overwritten with its operands.
        """
        self._logarithms, self._latest = logarithms, []
        with saved_tensors_hooks(self._save, self._load):
            y = function(*operands, **options)
            is_view = y._is_view()  # noqa: SLF001 - it has no public name
            known = {_memory(y), *map(_memory, operands)}
            for saved in self._latest:
                if saved.tensor.is_floating_point() and _memory(saved.tensor) not in known:
                    for operand in operands:
                        self._saved.setdefault(_memory(operand), []).append(saved)
            return y.clone() if is_view or _memory(y) in map(_memory, operands) else y

    def _save(self, tensor: Tensor) -> _Saved:
        saved = _Saved(tensor.detach(), logarithms=self._logarithms)
        self._saved.setdefault(_memory(tensor), []).append(saved)
        self._latest.append(saved)
        return saved

    def _load(self, saved: _Saved) -> Tensor:
        self.read_overwritten |= saved.overwritten
        return self._disturbance.on(saved.tensor, logarithms=saved.logarithms) if self._disturbance else saved.tensor

    def applied(self, op: str, operands: Sequence[Any], options: Mapping[str, Any], noise: Noise) -> np.ndarray:
        """Return an op's result on disturbed operands."""
        disturbance, logarithms = Disturbance(noise), OPS[op].logarithmic
        with torch.no_grad():
            disturbed = [disturbance.on(x, logarithms=logarithms) for x in cast(operands)]
            return self.data(mirror(OPS[op])(*disturbed, **options))

    def computed(self, function: Callable[..., Tensor], operands: Sequence[Tensor], noise: Noise) -> np.ndarray:
        """Return a function's result on disturbed operands."""
        disturbance = Disturbance(noise)
        with torch.no_grad():
            return self.data(function(*(disturbance.on(x.detach()) for x in operands)))

    # The backward pass.

    def gradients(
        self, roots: Sequence[tuple[Tensor, np.ndarray]], towards: Sequence[Tensor], noise: Noise | None = None
    ) -> list[np.ndarray | None]:
        """Return the gradients of `towards`, from roots with their cotangents. The graph is retained.

        With noise, the cotangents of roots and of `towards` and all saved tensors are disturbed.
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
        """Make one of PyTorch's optimizers."""
        return TorchOptimizer(kind, leaves, options)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class TorchOptimizer:
    """One of PyTorch's optimizers.

    Args:
        kind: the name of its class.
        leaves: the parameters, each once.
        options: its options.
    """

    def __init__(self, kind: str, leaves: Sequence[Tensor], options: Mapping[str, Any]) -> None:
        self._leaves = tuple(leaves)
        self._optimizer: torch.optim.Optimizer = getattr(torch.optim, kind)(self._leaves, foreach=False, **options)

    def step(self) -> None:
        """Update each leaf that has a gradient."""
        self._optimizer.step()

    def zero(self) -> None:
        """Clear all gradients."""
        self._optimizer.zero_grad()

    def set(self, option: str, number: float) -> None:
        """Change an option."""
        self._optimizer.param_groups[0][option] = number

    def save(self) -> Any:
        """Return a copy of the state and options."""
        return copy.deepcopy(self._optimizer.state_dict())

    def load(self, saved: Any) -> None:
        """Load a copy of saved state and options."""
        self._optimizer.load_state_dict(copy.deepcopy(saved))

    def states(self) -> list[State]:
        """Return the state of each leaf, without entries that are None."""
        return [{name: x.detach().numpy() for name, x in state.items()} for _, state in self._each()]

    def _each(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        for p in self._leaves:
            yield p, {name: x for name, x in self._optimizer.state.get(p, {}).items() if x is not None}

    def snapshot(self) -> Snapshot:
        """Return a copy of all that a step reads and writes."""
        return [
            (p.detach().clone(), p.grad, {name: x.clone() for name, x in state.items()}) for p, state in self._each()
        ]

    def _restore(self, snapshot: Snapshot, change: Callable[[Tensor], Tensor]) -> None:
        for p, (numbers, gradient, state) in zip(self._leaves, snapshot, strict=True):
            p.data.copy_(change(numbers))
            p.grad = None if gradient is None else change(gradient)
            if state:
                self._optimizer.state[p] = {n: change(x) if n != "step" else x.clone() for n, x in state.items()}
            else:
                self._optimizer.state.pop(p, None)

    def stepped_from(self, snapshot: Snapshot, noise: Noise) -> list[tuple[np.ndarray, State]]:
        """Return each leaf's numbers and state after a step from a disturbed snapshot. Nothing is changed."""
        after = [(p.detach().clone(), p.grad, state) for p, state in self._each()]
        self._restore(snapshot, Disturbance(noise).on)
        self._optimizer.step()
        moved = [(_copied(p), {name: _copied(x) for name, x in state.items()}) for p, state in self._each()]
        self._restore(after, lambda tensor: tensor)
        return moved


def _copied(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().numpy())
