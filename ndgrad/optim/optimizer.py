"""The base class of optimizers: parameters, a state for each, and hyperparameters, which are saved and loaded.

It does not know how a parameter is updated, or how the gradients were computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ndgrad.engine import Value
from ndgrad.optim.hyperparameters import Hyperparameter, flag, from_0
from ndgrad.rules.plain import check_plain

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
State: TypeAlias = dict[str, Any]


class Optimizer:
    """The base class of optimizers. Subclasses define how a parameter is updated.

    Args:
        params: an iterable of leaf Values. Duplicates count once.
        lr: the learning rate, 0 or more. Like any hyperparameter, it can be changed between steps: `opt.lr = 0.01`.
        weight_decay: the weight of the penalty on large parameters, 0 or more.
        maximize: whether to maximize instead of minimize.

    Attributes:
        params: the parameters, each once.
        state: a dict of arrays for each parameter, under PyTorch's names; empty before its first step. A step
            replaces the arrays, and never writes to the old ones.
        hyperparameters: all hyperparameters, by name.

    Raises:
        TypeError: a parameter is not a Value.
        ValueError: there are no parameters; one is the result of an op; or a hyperparameter is out of range.
    """

    always: ClassVar[frozenset[str]] = frozenset()  # the entries of the state after a step ...
    sometimes: ClassVar[frozenset[str]] = frozenset()  # ... and further ones, with some hyperparameters

    lr = Hyperparameter(from_0)
    weight_decay = Hyperparameter(from_0)
    maximize = Hyperparameter(flag)

    def __init__(self, params: Iterable[Value], *, lr: float, weight_decay: float, maximize: bool) -> None:
        self.params = _parameters(params)
        self.state: list[State] = [{} for _ in self.params]
        self.hyperparameters: dict[str, Any] = {}
        self.lr = lr
        self.weight_decay = weight_decay
        self.maximize = maximize

    def step(self) -> None:
        """Update each parameter that has a gradient. The others are skipped, and their state does not change.

        All updates are computed before any is applied, so after an error parameters and state are unchanged.
        """
        moving = [i for i, p in enumerate(self.params) if p.has_grad]
        moved = [self._moved(*_data_and_grad(self.params[i]), self.state[i]) for i in moving]
        for i, (data, state) in zip(moving, moved, strict=True):
            self.params[i].data = data
            self.state[i] = {name: np.asarray(x) for name, x in state.items()}

    def zero_grad(self) -> None:
        """Remove the gradient of every parameter: it is missing, as before the first `backward`."""
        for p in self.params:
            p.zero_grad()

    def _moved(self, p: Array, g: Array, state: State) -> tuple[Array, State]:
        """Return the next data and the next state of a parameter. The arguments are never written to."""
        raise NotImplementedError

    def _gradient(self, p: Array, g: Array) -> Array:
        """Return the gradient of the minimized function, which includes the penalty `weight_decay / 2 * p**2`."""
        g = -g if self.maximize else g
        return g + self.weight_decay * p if self.weight_decay else g

    def state_dict(self) -> dict[str, Array]:
        """Return all that is needed to resume: hyperparameters by name, and state by names such as `0.exp_avg`.

        All entries are arrays, and copies, so that `np.savez(path, **opt.state_dict())` needs no pickle.
        """
        about = {"optimizer": type(self).__name__, "parameters": len(self.params)}
        state = {f"{i}.{name}": x for i, state in enumerate(self.state) for name, x in state.items()}
        return {name: np.array(x) for name, x in {**about, **self.hyperparameters, **state}.items()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Load hyperparameters and state from the result of `state_dict`. After an error nothing is changed.

        Args:
            saved: the `state_dict` of an optimizer of this class, for parameters of the same number and shapes; or
                that read from a file, `np.load(path)`. It is copied, and buffers take the dtype of their parameters.

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
        """Take the state of parameter `i` out of the entries: either none of it, or all."""
        names = [name for name in sorted(self.always | self.sometimes) if f"{i}.{name}" in entries]
        expected = {*names, *self.always} if names else ()
        return {name: _buffer(f"{i}.{name}", entries, self.params[i]) for name in expected}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={given!r}" for name, given in self.hyperparameters.items())
        return f"{type(self).__name__}({len(self.params)} parameters, {options})"


def _parameters(params: Iterable[Value]) -> list[Value]:
    """List the parameters, each once. They are compared by identity, because `==` compares numbers."""
    if isinstance(params, Value):
        raise TypeError("params must be a list of Values, but is a Value: write [value]")
    if not isinstance(params, Iterable):
        raise TypeError(f"params must be Values, but is a {type(params).__name__}; a Module has .parameters()")
    distinct = list({id(p): p for p in params}.values())
    for p in distinct:
        if not isinstance(p, Value):
            raise TypeError(f"a parameter must be a Value, but one is of type {type(p).__name__}")
        if p._prev:  # noqa: SLF001 - it tells results from leaves
            name = f"`{p.label}`" if p.label else repr(p)
            raise ValueError(f"a parameter must be a leaf, but {name} is the result of {p._op}")  # noqa: SLF001
    if not distinct:
        raise ValueError("there are no parameters (is params an exhausted generator?)")
    return distinct


def _data_and_grad(p: Value) -> tuple[Array, Array]:
    """Return arrays: after `backward(create_graph=True)` a gradient is a Value."""
    return p.data, p.grad.data if isinstance(p.grad, Value) else p.grad


def _taken(entries: dict[str, Array], name: str) -> Array:
    if name not in entries:
        raise ValueError(f"the state lacks {name}")
    return entries.pop(name)


def _expect(entries: dict[str, Array], name: str, expected: str | int) -> None:
    given = _taken(entries, name).tolist()
    if given != expected:
        raise ValueError(f"the state is for {name} {given!r}, but this is for {expected!r}")


_SQUARES = ("exp_avg_sq", "square_avg")
_MOST_STEPS = 2**53  # floats do not represent all larger integers


def _buffer(name: str, entries: dict[str, Array], p: Value) -> Array:
    """Take and check an entry of a parameter's state: a step count, or an array like the parameter."""
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
