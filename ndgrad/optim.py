"""Optimizers: how parameters follow their gradients. SGD, Adam, AdamW and RMSprop, with PyTorch's meaning.

It knows parameters, their gradients, and what must be remembered from one step to the next. What the
parameters are part of, and how the gradients came about, it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from ndgrad.engine import Value
from ndgrad.rules.plain import check_plain

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
State: TypeAlias = dict[str, Any]
T = TypeVar("T")


# Hyperparameters: checked whenever they are assigned, at construction or between two steps.


class _Hyperparameter(Generic[T]):
    """An attribute that converts and checks what it is assigned. They are kept in `hyperparameters`."""

    def __init__(self, checked: Callable[[str, Any], T]) -> None:
        self._checked = checked

    def __set_name__(self, kind: type[Optimizer], name: str) -> None:
        self._name = name

    def __get__(self, optimizer: Optimizer, kind: type[Optimizer]) -> T:
        value: T = optimizer.hyperparameters[self._name]
        return value

    def __set__(self, optimizer: Optimizer, given: Any) -> None:
        optimizer.hyperparameters[self._name] = self._checked(self._name, given)


def _number(name: str, given: Any) -> float:
    """A Python number, whatever was given: a NumPy one would turn float32 parameters into float64."""
    check_plain(given, name)
    array = np.asarray(given)
    if array.ndim or array.dtype.kind not in "fiu" or not math.isfinite(array):
        raise ValueError(f"{name} must be a finite number, but is {given!r}")
    return float(array)


def _from_0(name: str, given: Any) -> float:
    number = _number(name, given)
    if number < 0:
        raise ValueError(f"{name} must be 0 or more, but is {given!r}")
    return number


def _from_0_to_1(name: str, given: Any) -> float:
    number = _number(name, given)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be from 0 to 1, but is {given!r}")
    return number


def _two_below_1(name: str, given: Any) -> tuple[float, float]:
    if np.shape(given) != (2,):
        raise ValueError(f"{name} must be two numbers, but is {given!r}")
    first, second = _from_0(name, given[0]), _from_0(name, given[1])
    if max(first, second) >= 1:
        raise ValueError(f"{name} must be below 1, but are {given!r}")
    return first, second


def _flag(name: str, given: Any) -> bool:
    if np.ndim(given) or np.asarray(given).dtype != bool:
        raise ValueError(f"{name} must be True or False, but is {given!r}")
    return bool(given)


# What all optimizers do.


class Optimizer:
    """Parameters, a state for each, and hyperparameters. How a parameter moves, the subclasses say.

    Args:
        params: leaf Values, in a list, from a generator ... One that comes twice counts once.
        lr: the learning rate, 0 or more. As any hyperparameter, it may change between steps: `opt.lr = 0.01`.
        weight_decay: how much of a penalty on large parameters there is, 0 or more.
        maximize: whether to go uphill.

    Attributes:
        params: the parameters, each once.
        state: one dict of arrays for each of them, under PyTorch's names; empty until its first step. A step
            puts new arrays there, and never writes into those that it finds.
        hyperparameters: all of them, by name.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: there are no parameters; one is the result of an op; or a hyperparameter is out of range.
    """

    always: ClassVar[frozenset[str]] = frozenset()  # what the state holds after a step ...
    sometimes: ClassVar[frozenset[str]] = frozenset()  # ... and what else with some hyperparameters

    lr = _Hyperparameter(_from_0)
    weight_decay = _Hyperparameter(_from_0)
    maximize = _Hyperparameter(_flag)

    def __init__(self, params: Iterable[Value], *, lr: float, weight_decay: float, maximize: bool) -> None:
        self.params = _parameters(params)
        self.state: list[State] = [{} for _ in self.params]
        self.hyperparameters: dict[str, Any] = {}
        self.lr = lr
        self.weight_decay = weight_decay
        self.maximize = maximize

    def step(self) -> None:
        """Move each parameter that has a gradient. For the others it is no step.

        All is computed before anything changes, so an error leaves parameters and state as they were.
        """
        moving = [i for i, p in enumerate(self.params) if p.has_grad]
        moved = [self._moved(*_data_and_grad(self.params[i]), self.state[i]) for i in moving]
        for i, (data, state) in zip(moving, moved, strict=True):
            self.params[i].data = data
            self.state[i] = {name: np.asarray(x) for name, x in state.items()}

    def zero_grad(self) -> None:
        """Make the gradient of every parameter missing, as it is before the first `backward`."""
        for p in self.params:
            p.zero_grad()

    def _moved(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        """The next data and the next state of a parameter. What is given is read, and never written to."""
        raise NotImplementedError

    def _gradient(self, p: Array, g: Array) -> Array:
        """The gradient of what is minimized, with that of the penalty `weight_decay / 2 * p**2`."""
        g = -g if self.maximize else g
        return g + self.weight_decay * p if self.weight_decay else g

    def state_dict(self) -> dict[str, Array]:
        """Give all that is needed to go on later: hyperparameters by name, and state as in `0.exp_avg`.

        Everything is an array, and a copy; so `np.savez(path, **opt.state_dict())` needs no pickle.
        """
        about = {"optimizer": type(self).__name__, "parameters": len(self.params)}
        state = {f"{i}.{name}": x for i, state in enumerate(self.state) for name, x in state.items()}
        return {name: np.array(x) for name, x in {**about, **self.hyperparameters, **state}.items()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, hyperparameters and state. An error changes nothing.

        Args:
            saved: what an optimizer of this class gave, with as many parameters of the same shapes; or that
                read from a file, `np.load(path)`. It is copied, and buffers take their parameters' dtype.

        Raises:
            ValueError: an entry is missing, unknown, or not as described.
        """
        for name, x in saved.items():
            check_plain(x, str(name))
        entries = {name: np.asarray(x) for name, x in saved.items()}
        _expect(entries, "optimizer", type(self).__name__)
        _expect(entries, "parameters", len(self.params))
        hyperparameters: dict[str, Any] = {name: _taken(entries, name) for name in self.hyperparameters}
        loaded = type(self)(self.params, **hyperparameters)  # which checks them
        loaded.state = [self._loaded_state(i, entries) for i in range(len(self.params))]
        if entries:
            raise ValueError(f"the state has unknown entries: {', '.join(map(str, entries))}")
        self.hyperparameters, self.state = loaded.hyperparameters, loaded.state

    def _loaded_state(self, i: int, entries: dict[str, Array]) -> State:
        """The state of parameter `i`, taken out of the entries: none of it, or all."""
        names = [name for name in sorted(self.always | self.sometimes) if f"{i}.{name}" in entries]
        wanted = {*names, *self.always} if names else ()
        return {name: _buffer(f"{i}.{name}", entries, self.params[i]) for name in wanted}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={given!r}" for name, given in self.hyperparameters.items())
        return f"{type(self).__name__}({len(self.params)} parameters, {options})"


def _parameters(params: Iterable[Value]) -> list[Value]:
    """The parameters in a list, each once. Told apart by identity, for `==` compares numbers."""
    if isinstance(params, Value):
        raise TypeError("params must be a list of Values, but is a Value: write [value]")
    if not isinstance(params, Iterable):
        raise TypeError(f"params must be Values, but is a {type(params).__name__}; a Module has .parameters()")
    distinct = list({id(p): p for p in params}.values())
    for p in distinct:
        if not isinstance(p, Value):
            raise TypeError(f"a parameter must be a Value, but one is of type {type(p).__name__}")
        if p._prev:  # noqa: SLF001 - which says whether an op made it
            name = f"`{p.label}`" if p.label else repr(p)
            raise ValueError(f"a parameter must be a leaf, but {name} is the result of {p._op}")  # noqa: SLF001
    if not distinct:
        raise ValueError("there are no parameters (a generator that was used up?)")
    return distinct


def _data_and_grad(p: Value) -> tuple[Array, Array]:
    """As arrays: after `backward(create_graph=True)` a gradient is a Value."""
    return p.data, p.grad.data if isinstance(p.grad, Value) else p.grad


def _taken(entries: dict[str, Array], name: str) -> Array:
    if name not in entries:
        raise ValueError(f"the state lacks {name}")
    return entries.pop(name)


def _expect(entries: dict[str, Array], name: str, wanted: str | int) -> None:
    given = _taken(entries, name).tolist()
    if given != wanted:
        raise ValueError(f"the state is for {name} {given!r}, but this is for {wanted!r}")


_SQUARES = ("exp_avg_sq", "square_avg")
_MOST_STEPS = 2**53  # above it, a float skips whole numbers


def _buffer(name: str, entries: dict[str, Array], p: Value) -> Array:
    """An entry of a parameter's state, checked: a count of steps, or an array like the parameter."""
    array = _taken(entries, name)
    counts = name.endswith(".step")
    shape = () if counts else p.shape
    if array.shape != shape or array.dtype.kind not in ("iuf" if counts else "f"):
        raise ValueError(f"{name} must have shape {shape}, but has {array.shape} of dtype {array.dtype}")
    if counts and not (0 <= array <= _MOST_STEPS and array == np.floor(array)):
        raise ValueError(f"{name} must be a whole number from 0 to 2**53, but is {array}")
    if name.endswith(_SQUARES) and (array < 0).any():
        raise ValueError(f"{name} averages squares, which are 0 or more, but holds {array.min()}")
    return array.astype(int if counts else p.dtype)


# The optimizers. Each computes what PyTorch's does, in its order of operations. Averages begin as 0.


def _lerp(a: Any, b: Array, weight: float) -> Any:
    """From `a` towards `b`, by that part of the way; seen from the nearer end, as in PyTorch's `lerp`."""
    return a + weight * (b - a) if weight < 1 - weight else b - (b - a) * (1 - weight)


class SGD(Optimizer):
    """Stochastic gradient descent: `p -= lr * g`, or `p -= lr * b`, where b sums up gradients: momentum.

    See https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html. A parameter's state has b as
    `momentum_buffer`. It begins as the first gradient, and becomes `momentum * b + (1 - dampening) * g`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        momentum: how much of b is left after a step, 0 or more.
        dampening: how much of a gradient does not go into b.
        weight_decay: adds `weight_decay * p` to the gradient.
        nesterov: whether to step by `g + momentum * b`, which looks ahead.
        maximize: whether to go uphill.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range; or nesterov without momentum, or with dampening.
    """

    sometimes = frozenset({"momentum_buffer"})

    momentum = _Hyperparameter(_from_0)
    dampening = _Hyperparameter(_number)
    nesterov = _Hyperparameter(_flag)

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
            b = g.copy()  # the gradient itself belongs to the parameter, and may be written to
        return p - self.lr * (g + self.momentum * b if self.nesterov else b), {"momentum_buffer": b}


class Adam(Optimizer):
    """Adam: step by the running average m of the gradient over the root of that of its square, v.

    `p -= lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)` at a parameter's own step t (Kingma and
    Ba 2015; https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html). Its state has t as `step`,
    m as `exp_avg`, v as `exp_avg_sq`, and with amsgrad the largest v as `max_exp_avg_sq`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        betas: how much of m and of v is left after a step, from 0 to below 1.
        eps: what keeps the denominator from 0, 0 or more.
        weight_decay: adds `weight_decay * p` to the gradient.
        amsgrad: whether v never shrinks (Reddi, Kale and Kumar 2018).
        maximize: whether to go uphill.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range.
    """

    always = frozenset({"step", "exp_avg", "exp_avg_sq"})
    sometimes = frozenset({"max_exp_avg_sq"})

    betas = _Hyperparameter(_two_below_1)
    eps = _Hyperparameter(_from_0)
    amsgrad = _Hyperparameter(_flag)

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
        beta1, beta2 = self.betas
        t = int(state.get("step", 0)) + 1
        m = _lerp(state.get("exp_avg", 0.0), g, 1 - beta1)
        v = (1 - beta2) * g  # each array is written to as long as it is this step's alone
        v *= g
        v += beta2 * state.get("exp_avg_sq", 0.0)
        state = {**state, "step": t, "exp_avg": m, "exp_avg_sq": v}
        if self.amsgrad:
            state["max_exp_avg_sq"] = v = np.maximum(state.get("max_exp_avg_sq", 0.0), v)
        denominator = np.sqrt(v)
        denominator /= (1 - beta2**t) ** 0.5
        denominator += self.eps
        moved = self.lr / (1 - beta1**t) * m
        moved /= denominator
        return p - moved, state


class AdamW(Adam):
    """Adam with decoupled weight decay: parameters shrink, and neither m nor v knows of it.

    See Loshchilov and Hutter 2019; https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html. The
    state is that of `Adam`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        betas: how much of m and of v is left after a step, from 0 to below 1.
        eps: what keeps the denominator from 0, 0 or more.
        weight_decay: multiplies the parameter by `1 - lr * weight_decay` before each step.
        amsgrad: whether v never shrinks.
        maximize: whether to go uphill.

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


class RMSprop(Optimizer):
    """RMSprop: step by the gradient over the root of the running average s of its square.

    `p -= lr * g / (sqrt(s) + eps)`, centered `sqrt(s - a**2)`, where a is the running average of the gradient
    (Tieleman and Hinton 2012; https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html). With
    momentum these steps are summed up, as gradients are in SGD. A parameter's state has the number of its
    steps as `step`, s as `square_avg`, a as `grad_avg`, and the sum of steps as `momentum_buffer`.

    Args:
        params: the parameters, as for `Optimizer`.
        lr: the learning rate, 0 or more.
        alpha: how much of s and of a is left after a step, from 0 to 1.
        eps: what keeps the denominator from 0, 0 or more.
        weight_decay: adds `weight_decay * p` to the gradient.
        momentum: how much of the sum of steps is left after a step, 0 or more.
        centered: whether to take the spread of the gradient instead of its size.
        maximize: whether to go uphill.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: a hyperparameter is out of range.
    """

    always = frozenset({"step", "square_avg"})
    sometimes = frozenset({"momentum_buffer", "grad_avg"})

    alpha = _Hyperparameter(_from_0_to_1)
    eps = _Hyperparameter(_from_0)
    momentum = _Hyperparameter(_from_0)
    centered = _Hyperparameter(_flag)

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
            a = state["grad_avg"] = _lerp(state.get("grad_avg", 0.0), g, 1 - self.alpha)
            s = s - a * a
        denominator = np.sqrt(s) + self.eps
        if not self.momentum:
            return p - self.lr * g / denominator, state
        b = state["momentum_buffer"] = self.momentum * state.get("momentum_buffer", 0.0) + g / denominator
        return p - self.lr * b, state
