"""Derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp. They nest.

Each takes a function of Values and gives a function of numbers, arrays or Values. Given plain arrays, the outermost
one gives plain arrays back; given Values, or called inside another one, it gives Values that record further.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ndgrad.engine import Value, pass_back
from ndgrad.modes import enable_grad
from ndgrad.rules import RULES


class _Depth(threading.local):
    """How many functions of this module are at work around the current call."""

    depth = 0


_state = _Depth()


@contextmanager
def _inside() -> Iterator[None]:
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1


def _records(args: Sequence[Any]) -> bool:
    return _state.depth > 0 or any(isinstance(arg, Value) for arg in args)


def _inputs(args: Sequence[Any]) -> list[Value]:
    """Fresh nodes, so that a function which also sees an argument from outside is not differentiated towards that."""
    with enable_grad():
        return [RULES["positive"](a) if isinstance(a, Value) and a.requires_grad else Value(_plain(a)) for a in args]


def _plain(x: Any) -> Any:
    """An array of its own, whoever writes into it."""
    return x.data.copy() if isinstance(x, Value) else x


def _evaluated(f: Callable[..., Any], inputs: Sequence[Value]) -> Any:
    with _inside(), enable_grad():
        y = f(*inputs)
    if not isinstance(y, (Value, int, float, np.ndarray, np.generic)):
        raise TypeError(f"the function must give a Value, a number or an array, but gave {type(y).__name__}")
    return y


def _pulled(results: Iterable[Any], cotangents: Iterable[Any], inputs: Sequence[Value], *, record: bool) -> list[Any]:
    """The gradient of the sum of all `<result, cotangent>` towards each input; zeros where none depends on it."""
    roots = [
        (y, cotangent)
        for y, cotangent in zip(results, cotangents, strict=True)
        if isinstance(y, Value) and y.requires_grad
    ]
    found: dict[int, Any] = {}
    if roots:
        found = {v._id: g for v, g in pass_back(roots, create_graph=record, targets=inputs)}  # noqa: SLF001
    gradients = [found[x._id] if x._id in found else np.zeros_like(x.data) for x in inputs]  # noqa: SLF001
    if not record:
        return [np.array(g) for g in gradients]  # arrays of their own, whoever writes into them
    return [g if isinstance(g, Value) else Value(g, requires_grad=False) for g in gradients]


def _scalar(y: Any) -> Any:
    if np.size(y) != 1:
        raise ValueError(
            f"grad needs a function whose result is one number, but it has shape {np.shape(y)}; see vjp and jacobian"
        )
    return y


def value_and_grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that gives `f`'s result, one number, and its gradient towards some arguments.

    Args:
        f: a function of Values.
        argnums: the position of the argument, or several in a tuple; then the gradients come in a tuple.
    """
    several = isinstance(argnums, tuple)
    positions: tuple[int, ...] = argnums if isinstance(argnums, tuple) else (argnums,)

    def value_and_gradient(*args: Any) -> tuple[Any, Any]:
        record = _records(args)
        inputs = _inputs(args)
        y = _scalar(_evaluated(f, inputs))
        wanted = [inputs[i] for i in positions]
        gradients = tuple(_pulled([y], [np.ones(np.shape(y), _dtype(y))], wanted, record=record))
        return (y if record else _plain(y)), (gradients if several else gradients[0])

    return value_and_gradient


def _seeds(cotangents: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """Cotangents in the dtypes of their results; arrays of their own, for a pass that records keeps them."""
    return [_seed(c, _dtype(y)) for c, y in zip(cotangents, results, strict=True)]


def _seed(cotangent: Any, dtype: Any) -> Any:
    if not isinstance(cotangent, Value):
        return Value(cotangent).data.astype(dtype, copy=False)
    with enable_grad():
        return RULES["positive"](cotangent) if cotangent.dtype == dtype else cotangent.astype(dtype)


def _dtype(y: Any) -> Any:
    return y.dtype if isinstance(y, Value) else np.float64


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that gives the gradient of `f`, whose result is one number. `grad(grad(f))` is right."""
    both = value_and_grad(f, argnums)

    def gradient(*args: Any) -> Any:
        return both(*args)[1]

    return gradient


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Give `f(*args)` and its pullback: from a cotangent of the result's shape to one for each argument."""
    record = _records(args)
    inputs = _inputs(args)
    y = _evaluated(f, inputs)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if np.shape(cotangent) != np.shape(y):
            raise ValueError(f"cotangent has shape {np.shape(cotangent)}, but the result has shape {np.shape(y)}")
        return tuple(_pulled([y], _seeds([cotangent], [y]), inputs, record=record))

    return (y if record else _plain(y)), pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Give `f(*primals)` and how it changes along the tangents, one of each primal's shape.

    A pullback is linear in its cotangent `u`, so the derivative of `<pullback(u), tangents>` towards `u` is the
    wanted one: two passes back make a pass forward.
    """
    if len(primals) != len(tangents):
        raise ValueError(f"there must be a tangent for each primal, but there are {len(tangents)} for {len(primals)}")
    for primal, tangent in zip(primals, tangents, strict=True):
        if np.shape(primal) != np.shape(tangent):
            raise ValueError(f"tangent has shape {np.shape(tangent)}, but its primal has shape {np.shape(primal)}")
    record = _records([*primals, *tangents])
    inputs = _inputs(primals)
    y = _evaluated(f, inputs)
    u = Value(np.zeros(np.shape(y), _dtype(y)))
    pulled = _pulled([y], [u], inputs, record=True)
    (moved,) = _pulled(pulled, _seeds(tangents, pulled), [u], record=record)
    return (y if record else _plain(y)), moved


def jacobian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Make the function that gives the matrix of all slopes: an array of shape `result.shape + argument.shape`."""

    def matrix(*args: Any) -> Any:
        record = _records(args)
        inputs = _inputs(args)
        y = _evaluated(f, inputs)
        x = inputs[argnum]
        rows = [_pulled([y], [seed], [x], record=record)[0] for seed in _unit_seeds(np.shape(y), _dtype(y))]
        shape = (*np.shape(y), *x.shape)
        return RULES["stack"](rows).reshape(shape) if rows else np.zeros(shape, x.dtype)

    return matrix


def _unit_seeds(shape: tuple[int, ...], dtype: Any) -> Iterator[np.ndarray]:
    for i in range(math.prod(shape)):
        seed = np.zeros(shape, dtype)
        seed[np.unravel_index(i, shape)] = 1
        yield seed


def hessian(f: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """Make the function that gives all second slopes of `f`: an array of shape `argument.shape * 2`."""
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Callable[..., Any], x: Any, vector: Any) -> Any:
    """Give the Hessian of `f` at `x` times a vector of `x`'s shape, without the Hessian."""
    if np.shape(vector) != np.shape(x):
        raise ValueError(f"vector has shape {np.shape(vector)}, but x has shape {np.shape(x)}")
    record = _records([x, vector])
    at = _inputs([x])
    slope = _evaluated(grad(f), at)
    return _pulled([slope], _seeds([vector], [slope]), at, record=record)[0]
