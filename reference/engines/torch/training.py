"""PyTorch's side of a training run. It can repeat a step, disturbed or in another precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own habit

from reference.engines.protocol import Noise
from reference.engines.torch.disturbance import Disturbance
from reference.programs.task import BY_HAND, Batch, Cleared, Given, Numbers, Stage, Task

Tensor = torch.Tensor


def _sum_of_squares(predicted: Tensor, wanted: Tensor) -> Tensor:
    return ((predicted - wanted) ** 2).sum()


def _hinge(predicted: Tensor, wanted: Tensor, *, reduction: str = "mean") -> Tensor:
    losses = torch.relu(1 - wanted * predicted)
    return losses if reduction == "none" else getattr(losses, reduction)()


def _cross_entropy(predicted: Tensor, wanted: Tensor, *, reduction: str = "mean") -> Tensor:
    """Move the classes from the last axis, as in ndgrad, to the second axis or the only one, as in PyTorch."""
    place = min(1, predicted.ndim - 1)
    wanted = wanted.movedim(-1, place) if wanted.is_floating_point() else wanted
    return F.cross_entropy(predicted.movedim(-1, place), wanted, reduction=reduction)


LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "sum of squares": _sum_of_squares,
    "mean squared error": F.mse_loss,
    "hinge": _hinge,
    "cross-entropy": _cross_entropy,
}
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "softplus": partial(F.softplus, threshold=40.0),  # by default it returns x from 20 on, with an error of 1e-9
    "linear": lambda x: x,
}
_LOGARITHMIC = ("sigmoid", "softplus")  # their exponentials round as if something had been added to x


class TorchTrainer:
    """The reference's side of a training run.

    Args:
        task: the task.
        start: the initial parameters by name: weight and bias of each layer in turn.
    """

    def __init__(self, task: Task, start: Mapping[str, np.ndarray]) -> None:
        self._task = task
        self.parameters = {name: torch.tensor(a, requires_grad=True) for name, a in start.items()}
        hidden, last = task.activations
        self._activations = [hidden] * (len(task.widths) - 2) + [last]
        self._optimizer: torch.optim.Optimizer | None = None
        self._options: dict[str, Any] = {}

    def begin(self, stage: Stage) -> None:
        """Begin a stage. Saving and loading at once only clears gradients here."""
        if stage.saved:
            self._saved = self.numbers(), self._options
        if stage.reloaded:
            self._load(new=stage.saved)
        options = {name: x.item() if isinstance(x, np.generic) else x for name, x in stage.options.items()}
        self._options = {**self._options, **options} if stage.goes_on else options
        self._stage = stage
        if not stage.goes_on:
            self._optimizer = self._make_optimizer()
        elif self._optimizer is not None:
            self._optimizer.param_groups[0].update(options)
        for name, p in self.parameters.items():
            p.requires_grad_(name not in stage.frozen)

    def _make_optimizer(self) -> torch.optim.Optimizer | None:
        """Make the stage's optimizer; None for updates by hand."""
        if self._stage.optimizer == BY_HAND:
            return None
        kind = getattr(torch.optim, self._stage.optimizer)
        return kind(list(self.parameters.values()), foreach=False, **self._options)  # type: ignore[no-any-return]

    def _load(self, *, new: bool) -> None:
        """Load the saved parameters, state and options. A new network has no gradients."""
        numbers, self._options = self._saved
        gradients = {key: None if new else x for key, x in self.numbers().items() if key[0] == "grad"}
        self._take({**numbers, **gradients})
        if self._optimizer is not None:
            self._optimizer.param_groups[0].update(self._options)

    def _take(self, numbers: Numbers) -> None:
        """Take over these numbers, in the precision of the parameters."""
        state: dict[Tensor, dict[str, Tensor]] = {p: {} for p in self.parameters.values()}
        for (what, name), array in numbers.items():
            p = self.parameters[name]
            tensor = None if array is None else torch.tensor(array).to(p.dtype)
            if what == "grad":
                p.grad = tensor
            elif what == "parameter" and tensor is not None:
                p.data = tensor
            elif tensor is not None:
                state[p][what] = tensor
        if self._optimizer is not None:
            self._optimizer.state.clear()
            self._optimizer.state.update({p: entries for p, entries in state.items() if entries})

    def again(self, numbers: Numbers, dtype: str) -> TorchTrainer:
        """Return a copy of this side in the state in which it gave these numbers, in any precision."""
        other = TorchTrainer(self._task, {name: numbers["parameter", name].astype(dtype) for name in self.parameters})
        other._stage, other._options = self._stage, self._options
        other._optimizer = other._make_optimizer()
        other._take(numbers)
        for name, p in other.parameters.items():
            p.requires_grad_(name not in self._stage.frozen)
        return other

    def step(self, batch: Batch, noise: Noise | None = None) -> Numbers:
        """Do one step: loss, backward pass, update; disturbed if `noise` is given."""
        x, wanted = self._given(*batch)
        disturbance = None if noise is None else Disturbance(noise)
        predicted = self._network(x, disturbance)
        with _on_saved(disturbance, logarithms=self._task.loss == "cross-entropy"):
            loss = LOSSES[self._task.loss](_used(predicted, disturbance), wanted, **self._task.reduction)
        self._clear()
        cotangent = self._task.cotangent
        torch.autograd.backward(loss, None if cotangent is None else torch.tensor(cotangent).to(loss.dtype))
        with torch.no_grad():
            self._disturb(disturbance)
            self._update()
        given = self._task.given
        inputs = {"x": x} if given in (Given.VALUES, Given.ROWS_OF_VALUES) else {}
        inputs |= {"target": wanted} if given == Given.VALUES and wanted.is_floating_point() else {}
        gradients = {("grad", name): _array(tensor.grad) for name, tensor in inputs.items()}
        return {("loss", ""): loss.detach().numpy(), **gradients, **self.numbers()}

    def _given(self, x: np.ndarray, wanted: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return inputs and targets. Those that ndgrad gets as Values require a gradient, except targets of `hinge`."""
        dtype = next(iter(self.parameters.values())).dtype
        given = self._task.given
        inputs = torch.tensor(x, dtype=dtype, requires_grad=given in (Given.VALUES, Given.ROWS_OF_VALUES))
        if wanted.dtype.kind != "f":
            return inputs, torch.tensor(wanted, dtype=torch.int64)
        differentiable = given == Given.VALUES and self._task.loss != "hinge"
        return inputs, torch.tensor(wanted, dtype=dtype, requires_grad=differentiable)

    def _network(self, x: Tensor, disturbance: Disturbance | None) -> Tensor:
        weights, biases = list(self.parameters.values())[::2], list(self.parameters.values())[1::2]
        for weight, bias, activation in zip(weights, biases, self._activations, strict=True):
            with _on_saved(disturbance):
                x = _used(_used(x, disturbance) @ _used(weight, disturbance), disturbance) + _used(bias, disturbance)
            with _on_saved(disturbance, logarithms=activation in _LOGARITHMIC):
                x = ACTIVATIONS[activation](_used(x, disturbance, logarithms=activation in _LOGARITHMIC))
        return x.squeeze(-1) if self._task.network != "Neuron" and self._task.widths[-1] == 1 else x

    def _clear(self) -> None:
        cleared = self._stage.cleared
        for p in self.parameters.values():
            if cleared in (Cleared.BY_NETWORK, Cleared.BY_OPTIMIZER):
                p.grad = None
            elif cleared == Cleared.ZEROS or (cleared == Cleared.IN_PLACE and p.grad is not None):
                p.grad = torch.zeros_like(p)

    def _disturb(self, disturbance: Disturbance | None) -> None:
        """Disturb all that the update reads, except step counts."""
        if disturbance is None:
            return
        for p in self.parameters.values():
            p.copy_(disturbance.on(p))
            p.grad = None if p.grad is None else disturbance.on(p.grad)
            state = self._optimizer.state[p] if self._optimizer is not None else {}
            state.update(
                {key: disturbance.on(x) for key, x in state.items() if isinstance(x, Tensor) and key != "step"}
            )

    def _update(self) -> None:
        if self._optimizer is not None:
            self._optimizer.step()
            return
        for p in self.parameters.values():
            p.sub_(0.0 if p.grad is None else self._options["lr"] * p.grad)

    def numbers(self) -> Numbers:
        """Return copies of gradients, parameters and the optimizer's state, under PyTorch's names."""
        state = self._optimizer.state if self._optimizer is not None else {}
        return {
            **{("grad", name): _array(p.grad) for name, p in self.parameters.items()},
            **{("parameter", name): _array(p) for name, p in self.parameters.items()},
            **{
                (key, name): _array(x)
                for name, p in self.parameters.items()
                for key, x in state.get(p, {}).items()
                if isinstance(x, Tensor)
            },
        }

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the network's outputs."""
        with torch.no_grad():
            scores: np.ndarray = self._network(torch.tensor(x), None).numpy()
        return scores


def _used(x: Tensor, disturbance: Disturbance | None, *, logarithms: bool = False) -> Tensor:
    return x if disturbance is None else disturbance.on(x, logarithms=logarithms)


def _on_saved(disturbance: Disturbance | None, *, logarithms: bool = False) -> AbstractContextManager[None]:
    return nullcontext() if disturbance is None else disturbance.on_saved(logarithms=logarithms)


def _array(x: Tensor | None) -> np.ndarray | None:
    return None if x is None else x.detach().numpy().copy()
