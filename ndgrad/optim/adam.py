"""Adam and AdamW, in PyTorch's order of operations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ndgrad.engine import Value
from ndgrad.optim.averages import lerp
from ndgrad.optim.hyperparameters import Hyperparameter, flag, from_0, two_below_1
from ndgrad.optim.optimizer import Array, Optimizer, State


class Adam(Optimizer):
    """Adam, which divides the running average m of the gradient by the root of the running average v of its square.

    `p -= lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)` at a parameter's own step t (Kingma and
    Ba 2015; https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html). The state has t as `step`,
    m as `exp_avg`, v as `exp_avg_sq`, and with amsgrad the largest v as `max_exp_avg_sq`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        betas: the decay rates of m and v, 0 or more and less than 1.
        eps: a number added to the denominator, 0 or more.
        weight_decay: a factor; `weight_decay * p` is added to the gradient.
        amsgrad: whether to use the largest v so far (Reddi, Kale and Kumar 2018).
        maximize: whether to maximize instead of minimize.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range.
    """

    always = frozenset({"step", "exp_avg", "exp_avg_sq"})
    sometimes = frozenset({"max_exp_avg_sq"})

    betas = Hyperparameter(two_below_1)
    eps = Hyperparameter(from_0)
    amsgrad = Hyperparameter(flag)

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, maximize=maximize)
        self.betas = betas
        self.eps = eps
        self.amsgrad = amsgrad

    def _moved(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        return self._adapted(p, self._gradient(p, g), state)

    def _adapted(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        beta1, _ = self.betas
        t = int(state.get("step", 0)) + 1
        m = lerp(state.get("exp_avg", 0.0), g, 1 - beta1)
        v = self._second_moment(g, state)
        state = {**state, "step": t, "exp_avg": m, "exp_avg_sq": v}
        if self.amsgrad:
            state["max_exp_avg_sq"] = v = np.maximum(state.get("max_exp_avg_sq", 0.0), v)
        moved = self.lr / (1 - beta1**t) * m  # the arrays of this step are written in place, to save memory
        moved /= self._denominator(v, t)
        return p - moved, state

    def _second_moment(self, g: Array, state: State) -> Array:
        """Return the running average of the squared gradient."""
        beta2 = self.betas[1]
        v = (1 - beta2) * g
        v *= g
        v += beta2 * state.get("exp_avg_sq", 0.0)
        return v

    def _denominator(self, v: Array, t: int) -> Array:
        """Return the root of the bias-corrected second moment, plus eps."""
        denominator: Array = np.sqrt(v)
        denominator /= (1 - self.betas[1] ** t) ** 0.5
        denominator += self.eps
        return denominator


class AdamW(Adam):
    """Adam with decoupled weight decay, which does not affect m and v.

    See Loshchilov and Hutter 2019; https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html. The
    state is that of `Adam`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        betas: the decay rates of m and v, 0 or more and less than 1.
        eps: a number added to the denominator, 0 or more.
        weight_decay: a factor; the parameter is multiplied by `1 - lr * weight_decay` before each step.
        amsgrad: whether to use the largest v so far.
        maximize: whether to maximize instead of minimize.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range.
    """

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad=amsgrad, maximize=maximize)

    def _moved(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        return self._adapted(p * (1 - self.lr * self.weight_decay), -g if self.maximize else g, state)
