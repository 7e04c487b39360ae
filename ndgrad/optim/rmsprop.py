"""RMSprop, in PyTorch's order of operations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ndgrad.engine import Value
from ndgrad.optim.averages import lerp
from ndgrad.optim.hyperparameters import Hyperparameter, flag, from_0, from_0_to_1
from ndgrad.optim.optimizer import Array, Optimizer, State


class RMSprop(Optimizer):
    """RMSprop, which divides the gradient by the root of the running average s of its square.

    `p -= lr * g / (sqrt(s) + eps)`. If centered, the root is `sqrt(s - a**2)`, where a is the running average of the
    gradient (Tieleman and Hinton 2012; https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html). With
    momentum these steps are accumulated, as gradients are in SGD. The state has the step count as `step`, s as
    `square_avg`, a as `grad_avg`, and the accumulated steps as `momentum_buffer`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        alpha: the decay rate of s and a, from 0 to 1.
        eps: a number added to the denominator, 0 or more.
        weight_decay: a factor; `weight_decay * p` is added to the gradient.
        momentum: the decay rate of the accumulated steps, 0 or more.
        centered: whether to divide by the standard deviation of the gradient.
        maximize: whether to maximize instead of minimize.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range.
    """

    always = frozenset({"step", "square_avg"})
    sometimes = frozenset({"momentum_buffer", "grad_avg"})

    alpha = Hyperparameter(from_0_to_1)
    eps = Hyperparameter(from_0)
    momentum = Hyperparameter(from_0)
    centered = Hyperparameter(flag)

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, maximize=maximize)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum
        self.centered = centered

    def _moved(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        g = self._gradient(p, g)
        s = self.alpha * state.get("square_avg", 0.0) + (1 - self.alpha) * g * g
        state = {**state, "step": int(state.get("step", 0)) + 1, "square_avg": s}
        if self.centered:
            a = state["grad_avg"] = lerp(state.get("grad_avg", 0.0), g, 1 - self.alpha)
            s = self._spread(s, a)
        denominator = self._denominator(s)
        if not self.momentum:
            return p - self.lr * g / denominator, state
        b = state["momentum_buffer"] = self.momentum * state.get("momentum_buffer", 0.0) + g / denominator
        return p - self.lr * b, state

    def _spread(self, s: Array, a: Array) -> Array:
        """Return the running variance: the average square less the square of the average."""
        spread: Array = s - a * a
        return spread

    def _denominator(self, s: Array) -> Array:
        """Return the root of the average square, plus eps."""
        denominator: Array = np.sqrt(s) + self.eps
        return denominator
