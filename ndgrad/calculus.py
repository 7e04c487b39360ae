"""Derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp. They nest.

Each takes a function of Values, or of lists, tuples and dicts of them (see `ndgrad.trees`). The derivative takes
numbers, arrays or Values. Given plain arrays, the outermost derivative returns plain arrays. Given Values, or called
inside another derivative, it returns Values that are recorded. Arguments that are not differentiated are passed to the
function unchanged, and so are keyword arguments.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

from ndgrad.engine import Value, pass_back
from ndgrad.modes import enable_grad
from ndgrad.rules import RULES
from ndgrad.trees import is_branch, is_tree, leaves, map_leaves, match_leaves, replace_leaves

Which: TypeAlias = "int | Sequence[int]"

_depth = ContextVar("ndgrad depth", default=0)  # how many derivatives the current call is nested in


@contextmanager
def _nested() -> Iterator[None]:
    before = _depth.set(_depth.get() + 1)
    try:
        yield
    finally:
        _depth.reset(before)


def _should_record(args: Iterable[Any], options: Mapping[str, Any] | None = None) -> bool:
    return _depth.get() > 0 or any(map(_holds_value, (*args, *(options or {}).values())))


def _holds_value(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return not set(map(type, x)) <= {int, float} and any(map(_holds_value, x))
    return any(map(_holds_value, x.values())) if isinstance(x, dict) else isinstance(x, Value)


def _fresh_inputs(args: Any) -> Any:
    """Make new nodes of arguments. If the function also uses an argument as a global, that is not differentiated.

    Args:
        args: a tree.

    Returns:
        The same tree, of Values.
    """
    with enable_grad():
        return map_leaves(_fresh_input, args, is_tree)


def _fresh_input(x: Any) -> Value:
    return RULES["positive"](x) if isinstance(x, Value) and x.requires_grad else Value(_plain(x))


def _plain(x: Any) -> Any:
    """Return a copy of a Value's array, so that writes to it do not affect the Value."""
    return x.data.copy() if isinstance(x, Value) else x


def _evaluate(f: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any] | None = None) -> Any:
    """Call a function, and check its result: a tree whose leaves are floats."""
    with _nested(), enable_grad():
        y = f(*args, **(options or {}))
    for leaf in leaves(y) if is_branch(y) else [y]:
        _check_result(leaf)
    return y


def _check_result(y: Any) -> None:
    if not isinstance(y, (Value, int, float, np.ndarray, np.generic)):
        raise TypeError(f"the function must return a Value, a number or an array, but returned {type(y).__name__}")
    kind = y.dtype.kind if isinstance(y, (Value, np.ndarray, np.generic)) else "f"
    if isinstance(y, bool) or kind != "f":
        raise TypeError(
            f"the function must return floats, but returned {getattr(y, 'dtype', 'bool')}: nothing else has a gradient"
        )


def _pull_back(
    results: Iterable[Any], cotangents: Iterable[Any], inputs: Sequence[Value], *, record: bool
) -> list[Any]:
    """Compute the gradient of the sum of all `<result, cotangent>`; zeros for an input that no result depends on."""
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
        return [np.array(g) for g in gradients]  # copies, so that writes to them affect nothing else
    return [g if isinstance(g, Value) else Value(g, requires_grad=False) for g in gradients]


class _Call:
    """A call of a function with new Values in place of the arguments that it is differentiated by.

    Args:
        f: the function.
        argnums: the position of such an argument, or a sequence of positions.
        args: all positional arguments.
        options: the keyword arguments.

    Attributes:
        record: whether the derivatives are recorded.
        inputs: the tree of new Values: that of one argument, or a tuple of several.
        y: the result of the function.
    """

    def __init__(
        self, f: Callable[..., Any], argnums: Which, args: Sequence[Any], options: Mapping[str, Any] | None = None
    ) -> None:
        several = isinstance(argnums, Sequence)
        positions = [_position(n, args) for n in (argnums if isinstance(argnums, Sequence) else (argnums,))]
        if len(set(positions)) < len(positions):
            raise ValueError(f"argnums names an argument twice: {argnums!r}")
        fresh = {i: _fresh_inputs(args[i]) for i in positions}
        self.record = _should_record(args, options)
        self.inputs = tuple(fresh.values()) if several else fresh[positions[0]]
        self.y = _evaluate(f, [fresh.get(i, arg) for i, arg in enumerate(args)], options)

    def gradients(self, results: Sequence[Any], cotangents: Iterable[Any]) -> Any:
        """Return the gradients, a tree like `inputs`."""
        return replace_leaves(
            self.inputs, iter(_pull_back(results, cotangents, leaves(self.inputs), record=self.record))
        )

    @property
    def result(self) -> Any:
        """The result of the function: recorded Values, or plain arrays."""
        return self.y if self.record else map_leaves(_plain, self.y)


def _position(n: int, args: Sequence[Any]) -> int:
    if not -len(args) <= n < len(args):
        raise ValueError(f"argnums asks for argument {n}, but the function was called with {len(args)} by position")
    return operator.index(n) % len(args)


def _check_scalar(y: Any) -> Any:
    if is_branch(y):
        raise TypeError(f"grad needs a function that returns one number, but got a {type(y).__name__}; see jacobian")
    if np.size(y) != 1:
        raise ValueError(
            f"grad needs a function whose result is one number, but it has shape {np.shape(y)}; see vjp and jacobian"
        )
    return y


def value_and_grad(f: Callable[..., Any], argnums: Which = 0) -> Callable[..., Any]:
    """Make a function that returns the result of `f`, a single number, and its gradient.

    Args:
        f: a function of Values, or of lists, tuples and dicts of them.
        argnums: the position of the argument to differentiate by, or a sequence of positions, for which the gradients
            form a tuple. Negative positions count from the end. All other arguments are passed to `f` unchanged.
    """
    _check_argnums(argnums)

    def value_and_gradient(*args: Any, **options: Any) -> tuple[Any, Any]:
        call = _Call(f, argnums, args, options)
        y = _check_scalar(call.y)
        return call.result, call.gradients([y], [np.ones(np.shape(y), _dtype(y))])

    return value_and_gradient


def _check_argnums(argnums: Any) -> None:
    numbers = argnums if isinstance(argnums, (list, tuple)) else [argnums]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in numbers):
        raise TypeError(f"argnums must be the position of an argument, or several in a sequence, but is {argnums!r}")


def _seeds(cotangents: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """Cast cotangents to the dtypes of their results. They are copied, because a recorded pass stores them."""
    return [_seed(c, _dtype(y)) for c, y in zip(cotangents, results, strict=True)]


def _seed(cotangent: Any, dtype: Any) -> Any:
    if not isinstance(cotangent, Value):
        return Value(cotangent).data.astype(dtype, copy=False)
    with enable_grad():
        return RULES["positive"](cotangent) if cotangent.dtype == dtype else cotangent.astype(dtype)


def _dtype(y: Any) -> Any:
    return y.dtype if isinstance(y, Value) else np.float64


def _match_shapes(things: Any, of: Any, words: str, what: str) -> list[Any]:
    """Return the entry of a tree of cotangents or tangents for each leaf of another tree, and check the shapes.

    Args:
        things: the tree of cotangents or tangents.
        of: the other tree.
        words: the error for two shapes that differ, such as `"a has shape {}, but b has shape {}"`.
        what: the name of the two trees in errors.
    """
    found = list(match_leaves(of, things, what))
    for thing, leaf in zip(found, leaves(of), strict=True):
        if np.shape(thing) != np.shape(leaf):
            raise ValueError(words.format(np.shape(thing), np.shape(leaf)))
    return found


def grad(f: Callable[..., Any], argnums: Which = 0) -> Callable[..., Any]:
    """Make a function that returns the gradient of `f`, whose result is a single number. It nests: `grad(grad(f))`.

    The arguments are those of `f`. `argnums` and the gradients are as in `value_and_grad`.
    """
    both = value_and_grad(f, argnums)

    def gradient(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return gradient


def vjp(f: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return `f(*args, **options)` and its pullback, which turns a cotangent into a gradient for each argument.

    The result and the arguments may be lists, tuples and dicts; the cotangent and the gradients have their structure.
    """
    call = _Call(f, range(len(args)), args, options)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        words = "cotangent has shape {}, but the result has shape {}"
        given = _match_shapes(cotangent, call.y, words, "the cotangent and the result")
        results = leaves(call.y)
        gradients: tuple[Any, ...] = call.gradients(results, _seeds(given, results))
        return gradients

    return call.result, pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return `f(*primals)` and its directional derivative along the tangents, one for each primal.

    A pullback is linear in its cotangent `u`, so the derivative of `<pullback(u), tangents>` with respect to `u` is the
    directional derivative: two backward passes replace a forward-mode pass.
    """
    if len(primals) != len(tangents):
        raise ValueError(f"there must be a tangent for each primal, but there are {len(tangents)} for {len(primals)}")
    inputs = tuple(map(_fresh_inputs, primals))
    words = "tangent has shape {}, but its primal has shape {}"
    given = _match_shapes(tuple(tangents), inputs, words, "a tangent and its primal")
    record = _should_record([*primals, *tangents])
    y = _evaluate(f, inputs)
    results = leaves(y)
    us = [Value(np.zeros(np.shape(leaf), _dtype(leaf))) for leaf in results]
    gradients = _pull_back(results, us, leaves(inputs), record=True)
    tangents_out = _pull_back(gradients, _seeds(given, gradients), us, record=record)
    return (y if record else map_leaves(_plain, y)), replace_leaves(y, iter(tangents_out))


def jacobian(f: Callable[..., Any], argnum: Which = 0) -> Callable[..., Any]:
    """Make a function that returns the Jacobian of `f`: an array of shape `result.shape + argument.shape`.

    Args:
        f: a function of Values, or of lists, tuples and dicts of them.
        argnum: the position of the argument to differentiate by, or a sequence of positions, for which the Jacobians
            form a tuple. If the argument is a tree, there is a Jacobian for each leaf; likewise for the result.
    """
    _check_argnums(argnum)

    def matrix(*args: Any, **options: Any) -> Any:
        call = _Call(f, argnum, args, options)
        return map_leaves(lambda y: _rows(call, y), call.y)

    return matrix


def _rows(call: _Call, y: Any) -> Any:
    """Compute the Jacobians of one result with respect to all inputs of a call."""
    inputs = leaves(call.inputs)
    gradients = [_pull_back([y], [seed], inputs, record=call.record) for seed in _unit_seeds(np.shape(y), _dtype(y))]
    shapes = [(*np.shape(y), *x.shape) for x in inputs]
    if not gradients:
        return replace_leaves(call.inputs, (np.zeros(s, x.dtype) for s, x in zip(shapes, inputs, strict=True)))
    stacked = (RULES["stack"](rows) for rows in zip(*gradients, strict=True))
    return replace_leaves(call.inputs, (rows.reshape(shape) for rows, shape in zip(stacked, shapes, strict=True)))


def _unit_seeds(shape: tuple[int, ...], dtype: Any) -> Iterator[np.ndarray]:
    for i in range(math.prod(shape)):
        seed = np.zeros(shape, dtype)
        seed[np.unravel_index(i, shape)] = 1
        yield seed


def hessian(f: Callable[..., Any], argnum: Which = 0) -> Callable[..., Any]:
    """Make a function that returns the Hessian of `f`: an array of shape `argument.shape * 2`.

    It is the Jacobian of the gradient. For several arguments, or a tree, there is a tree of blocks for each array.
    """
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Callable[..., Any], x: Any, vector: Any) -> Any:
    """Return the Hessian of `f` at `x` times a vector like `x`, without computing the Hessian."""
    record = _should_record([x, vector])
    at = _fresh_inputs(x)
    given = _match_shapes(vector, at, "vector has shape {}, but x has shape {}", "the vector and x")
    slopes = leaves(_evaluate(grad(f), [at]))
    return replace_leaves(at, iter(_pull_back(slopes, _seeds(given, slopes), leaves(at), record=record)))
