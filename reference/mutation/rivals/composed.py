"""Functions of several ops that a careful user would check, since engines are known to get them wrong.

They cover reuse, broadcasting, constants on either side and depth; each loss of the library with each reduction; a
layer with each activation; and networks as functions of their parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from ndgrad import MLP, Layer, cross_entropy, grad, hinge, log_softmax, mean_squared_error
from ndgrad.library import ACTIVATIONS
from reference.mutation.rivals.wrapper import Case

Function: TypeAlias = Callable[..., Any]
Shapes: TypeAlias = tuple[tuple[int, ...], ...]
Entry: TypeAlias = tuple[str, Shapes, Function]

_SIGNS, _LABELS = np.array([1.0, -1, 1, 1, -1]), np.array([0, 1, 1, 0, 1])
_TO_ONE, _TO_TWO = ((3, 4), (4,), (4, 1), (1,)), ((3, 4), (4,), (4, 2), (2,))  # the parameters of two layers


def _constant(like: Any, *shape: int) -> np.ndarray:
    """Return an array that requires no gradient, in the precision of another one."""
    return np.random.default_rng(1).standard_normal(shape).astype(like.dtype)


def _diamond(x: Any) -> Any:
    top = np.sin(x)
    return top * np.exp(top) + top / (1 + top * top)


def _fan(x: Any) -> Any:
    h = x * x
    return h.sum(axis=0) + h.mean() * h[0] - h.max(axis=0) + np.sqrt(h[1] + 1)


def _chain(x: Any) -> Any:
    for _ in range(400):  # 1,200 steps: deeper than Python's recursion goes
        x = np.tanh(x / 2) * 2
    return x


def _perceptron(w: Any, b: Any, v: Any, c: Any) -> Any:
    """Compute two layers and a loss, written out."""
    return (((_constant(w, 5, 3) @ w + b).tanh() @ v + c) ** 2).mean()


def _network(loss: Function, *widths: int, activation: str = "tanh") -> Function:
    """Return a loss of the library's network as a function of its parameters."""

    def function(*parameters: Any) -> Any:
        network = MLP(3, widths, output_activation=activation, rng=0)
        for layer, weight, bias in zip(network.layers, parameters[::2], parameters[1::2], strict=True):
            layer.weight, layer.bias = weight, bias
        return loss(network(_constant(parameters[0], 5, 3)))

    return function


def _layer(activation: str) -> Function:
    """Return a layer of the library as a function of its input and parameters."""

    def function(x: Any, weight: Any, bias: Any) -> Any:
        layer = Layer(3, 4, activation, rng=0)
        layer.weight, layer.bias = weight, bias
        return layer(x)

    return function


def _to_signs(loss: Function, **options: Any) -> Function:
    """Return a loss of five numbers whose targets are signs."""
    return lambda x: loss(x, _SIGNS.astype(x.dtype), **options)


def _to_labels(**options: Any) -> Function:
    return lambda x: cross_entropy(x, _LABELS, **options)


def _losses(reduction: str) -> Iterator[Entry]:
    """Yield each loss as a function of its predictions, and of its targets if they may be Values."""
    how = {"reduction": reduction}
    yield f"hinge, {reduction}", ((5,),), _to_signs(hinge, **how)
    yield f"squares, {reduction}", ((5, 3), (5, 3)), lambda x, y: mean_squared_error(x, y, **how)
    yield f"cross-entropy, {reduction}", ((5, 3),), _to_labels(**how)
    yield f"cross-entropy of shares, {reduction}", ((5, 3), (5, 3)), lambda x, y: cross_entropy(x, y, **how)


# fmt: off
_COMPOSED: tuple[Entry, ...] = (
    # name                     shapes             function
    ("reuse",                  ((3, 4),),         lambda x: x * x + x),
    ("broadcast",              ((3, 4), (4,)),    lambda x, y: x * y + y),
    ("broadcast along two",    ((3, 1), (1, 4)),  lambda x, y: x / (y * y + 1) - y),
    ("numbers",                ((), ()),          lambda x, y: x * y + np.sin(x)),
    ("constants on the left",  ((3, 4),),         lambda x: _constant(x, 4) * x + (2 - x) / 3 - 1 / (x * x + 1)),
    ("a matrix on the left",   ((3, 4),),         lambda x: _constant(x, 2, 3) @ x),
    ("powers",                 ((3,),),           lambda x: x ** 3 - 2 ** x),
    ("by its own transpose",   ((3, 4),),         lambda x: x.T @ x),
    ("overlapping slices",     ((5,),),           lambda x: x[1:] * x[:-1]),
    ("joined with itself",     ((3,), (3,)),      lambda x, y: np.concatenate([x, y, x]) * np.stack([x, y, y]).sum()),
    ("standardized",           ((5, 3),),         lambda x: (x - x.mean(axis=0)) / x.std(axis=0)),
    ("log-likelihood",         ((5, 3),),         lambda x: -log_softmax(x)[np.arange(5), _LABELS].mean()),
    ("slope of a cube",        ((3,),),           grad(lambda x: (x ** 3).sum())),
    ("diamond",                ((3, 4),),         _diamond),
    ("fan",                    ((3, 4),),         _fan),
    ("chain",                  ((),),             _chain),
    ("perceptron",             _TO_ONE,           _perceptron),
    ("network, squares",       _TO_ONE,           _network(_to_signs(mean_squared_error), 4, 1)),
    ("network, hinge",         _TO_ONE,           _network(_to_signs(hinge), 4, 1, activation="linear")),
    ("network, cross-entropy", _TO_TWO,           _network(_to_labels(), 4, 2, activation="linear")),
    *((f"layer, {activation}", ((2, 3), (3, 4), (4,)), _layer(activation)) for activation in ACTIVATIONS),
    *(entry for reduction in ("mean", "sum", "none") for entry in _losses(reduction)),
)
# fmt: on


@cache
def composed() -> tuple[Case, ...]:
    """Return the functions as cases, at normally distributed numbers."""
    rng = np.random.default_rng(0)
    return tuple(
        Case(name, function, tuple(np.asarray(rng.standard_normal(shape)) for shape in shapes))
        for name, shapes, function in _COMPOSED
    )
