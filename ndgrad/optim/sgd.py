"""SGD, in PyTorch's order of operations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ndgrad.engine import Value
from ndgrad.optim.hyperparameters import Hyperparameter, flag, from_0, number
from ndgrad.optim.optimizer import Array, Optimizer, State


class SGD(Optimizer):
    """Stochastic gradient descent: `p -= lr * g`, or with momentum `p -= lr * b`, where b accumulates gradients.

    See https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html. The state has b as `momentum_buffer`. It
    starts as the first gradient, and is then updated to `momentum * b + (1 - dampening) * g`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        momentum: the decay rate of b, 0 or more.
        dampening: the fraction of a gradient that is not added to b.
        weight_decay: a factor; `weight_decay * p` is added to the gradient.
        nesterov: whether to step by `g + momentum * b`, Nesterov's momentum.
        maximize: whether to maximize instead of minimize.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range; or nesterov without momentum, or with dampening.
    """

    sometimes = frozenset({"momentum_buffer"})

    momentum = Hyperparameter(from_0)
    dampening = Hyperparameter(number)
    nesterov = Hyperparameter(flag)

    def __init__(
        self,
        params: Iterable[Value],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, maximize=maximize)
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError(
                f"nesterov needs a momentum above 0 and a dampening of 0, but they are {momentum!r} and {dampening!r}"
            )

    def _moved(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        g = self._gradient(p, g)
        if not self.momentum:
            moved = self.lr * g
            return np.subtract(p, moved, out=np.asarray(moved)), state
        if "momentum_buffer" in state:
            b = self.momentum * state["momentum_buffer"] + (1 - self.dampening) * g
        else:
            b = g.copy()  # users may write to the gradient itself
        return p - self.lr * (g + self.momentum * b if self.nesterov else b), {"momentum_buffer": b}
