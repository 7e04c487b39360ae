"""Derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp. They nest.

Each takes a function of Values and gives a function of numbers, arrays or Values, or of lists, tuples and dicts of
them (`ndgrad.trees` says what counts as one). Given plain arrays, the outermost one gives plain arrays back; given
Values, or called inside another one, it gives Values that record further. Arguments that are not differentiated pass
through untouched, and so do those given by name.
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
from ndgrad.trees import filled, is_branch, is_tree, leaves, mapped, matched

Which: TypeAlias = "int | Sequence[int]"

_depth = ContextVar("ndgrad depth", default=0)  # how many functions of this module are at work around the current call


@contextmanager
def _inside() -> Iterator[None]:
    before = _depth.set(_depth.get() + 1)
    try:
        yield
    finally:
        _depth.reset(before)


def _records(args: Iterable[Any], options: Mapping[str, Any] | None = None) -> bool:
    return _depth.get() > 0 or any(map(_holds_value, (*args, *(options or {}).values())))


def _holds_value(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return not set(map(type, x)) <= {int, float} and any(map(_holds_value, x))
    return any(map(_holds_value, x.values())) if isinstance(x, dict) else isinstance(x, Value)


def _inputs(args: Any) -> Any:
    """Fresh nodes, so that a function which also sees an argument from outside is not differentiated towards that.

    Args:
        args: a tree. The result is the same, of Values.
    """
    with enable_grad():
        return mapped(_input, args, is_tree)


def _input(x: Any) -> Value:
    return RULES["positive"](x) if isinstance(x, Value) and x.requires_grad else Value(_plain(x))


def _plain(x: Any) -> Any:
    """An array of its own, whoever writes into it."""
    return x.data.copy() if isinstance(x, Value) else x


def _evaluated(f: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any] | None = None) -> Any:
    """What a function gives: a tree whose leaves have slopes."""
    with _inside(), enable_grad():
        y = f(*args, **(options or {}))
    for leaf in leaves(y) if is_branch(y) else [y]:
        _check_result(leaf)
    return y


def _check_result(y: Any) -> None:
    if not isinstance(y, (Value, int, float, np.ndarray, np.generic)):
        raise TypeError(f"the function must give a Value, a number or an array, but gave {type(y).__name__}")
    kind = y.dtype.kind if isinstance(y, (Value, np.ndarray, np.generic)) else "f"
    if isinstance(y, bool) or kind != "f":
        raise TypeError(
            f"the function must give floats, but gave {getattr(y, 'dtype', 'bool')}: nothing else has a gradient"
        )


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


class _Call:
    """A function called with fresh Values in place of the arguments that it is differentiated towards.

    Args:
        f: the function.
        argnums: the position of such an argument, or of several in a sequence.
        args: all arguments.
        options: those by name.

    Attributes:
        record: whether what comes out is to record further.
        towards: the tree of fresh Values: one argument's, or a tuple of several.
        y: what the function gave.
    """

    def __init__(
        self, f: Callable[..., Any], argnums: Which, args: Sequence[Any], options: Mapping[str, Any] | None = None
    ) -> None:
        several = isinstance(argnums, Sequence)
        positions = [_position(n, args) for n in (argnums if isinstance(argnums, Sequence) else (argnums,))]
        if len(set(positions)) < len(positions):
            raise ValueError(f"argnums names an argument twice: {argnums!r}")
        fresh = {i: _inputs(args[i]) for i in positions}
        self.record = _records(args, options)
        self.towards = tuple(fresh.values()) if several else fresh[positions[0]]
        self.y = _evaluated(f, [fresh.get(i, arg) for i, arg in enumerate(args)], options)

    def pulled(self, results: Sequence[Any], cotangents: Iterable[Any]) -> Any:
        """The gradient, a tree like `towards`."""
        return filled(self.towards, iter(_pulled(results, cotangents, leaves(self.towards), record=self.record)))

    @property
    def result(self) -> Any:
        """What the function gave: Values that record further, or plain arrays."""
        return self.y if self.record else mapped(_plain, self.y)


def _position(n: int, args: Sequence[Any]) -> int:
    if not -len(args) <= n < len(args):
        raise ValueError(f"argnums asks for argument {n}, but the function was called with {len(args)} by position")
    return operator.index(n) % len(args)


def _scalar(y: Any) -> Any:
    if is_branch(y):
        raise TypeError(f"grad needs a function that gives one number, but it gave a {type(y).__name__}; see jacobian")
    if np.size(y) != 1:
        raise ValueError(
            f"grad needs a function whose result is one number, but it has shape {np.shape(y)}; see vjp and jacobian"
        )
    return y


def value_and_grad(f: Callable[..., Any], argnums: Which = 0) -> Callable[..., Any]:
    """Make the function that gives `f`'s result, one number, and its gradient towards some arguments.

    Args:
        f: a function of Values, or of lists, tuples and dicts of them.
        argnums: the position of the argument, or several in a sequence; then the gradients come in a tuple. Negative
            ones count from the end. All other arguments reach `f` as they are.
    """
    _check_argnums(argnums)

    def value_and_gradient(*args: Any, **options: Any) -> tuple[Any, Any]:
        call = _Call(f, argnums, args, options)
        y = _scalar(call.y)
        return call.result, call.pulled([y], [np.ones(np.shape(y), _dtype(y))])

    return value_and_gradient


def _check_argnums(argnums: Any) -> None:
    numbers = argnums if isinstance(argnums, (list, tuple)) else [argnums]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in numbers):
        raise TypeError(f"argnums must be the position of an argument, or several in a sequence, but is {argnums!r}")


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


def _like(things: Any, of: Any, words: str, what: str) -> list[Any]:
    """What a tree of cotangents or tangents has for each leaf of another, and of its shape.

    Args:
        things: the tree.
        of: the other one.
        words: says what is wrong with two shapes, as `"a has shape {}, but b has shape {}"`.
        what: what errors call the two trees.
    """
    found = list(matched(of, things, what))
    for thing, leaf in zip(found, leaves(of), strict=True):
        if np.shape(thing) != np.shape(leaf):
            raise ValueError(words.format(np.shape(thing), np.shape(leaf)))
    return found


def grad(f: Callable[..., Any], argnums: Which = 0) -> Callable[..., Any]:
    """Make the function that gives the gradient of `f`, whose result is one number. `grad(grad(f))` is right.

    Its arguments are those of `f`; what is differentiated, and what it gives, is as in `value_and_grad`.
    """
    both = value_and_grad(f, argnums)

    def gradient(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return gradient


def vjp(f: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Give `f(*args, **options)` and its pullback: from a cotangent like the result to a gradient for each of `args`.

    Result and arguments may be lists, tuples and dicts; cotangents and gradients then are as well.
    """
    call = _Call(f, range(len(args)), args, options)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        words = "cotangent has shape {}, but the result has shape {}"
        given = _like(cotangent, call.y, words, "the cotangent and the result")
        results = leaves(call.y)
        gradients: tuple[Any, ...] = call.pulled(results, _seeds(given, results))
        return gradients

    return call.result, pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Give `f(*primals)` and how it changes along the tangents, one like each primal.

    A pullback is linear in its cotangent `u`, so the derivative of `<pullback(u), tangents>` towards `u` is the
    wanted one: two passes back make a pass forward.
    """
    if len(primals) != len(tangents):
        raise ValueError(f"there must be a tangent for each primal, but there are {len(tangents)} for {len(primals)}")
    inputs = tuple(map(_inputs, primals))
    words = "tangent has shape {}, but its primal has shape {}"
    given = _like(tuple(tangents), inputs, words, "a tangent and its primal")
    record = _records([*primals, *tangents])
    y = _evaluated(f, inputs)
    results = leaves(y)
    us = [Value(np.zeros(np.shape(leaf), _dtype(leaf))) for leaf in results]
    pulled = _pulled(results, us, leaves(inputs), record=True)
    moved = _pulled(pulled, _seeds(given, pulled), us, record=record)
    return (y if record else mapped(_plain, y)), filled(y, iter(moved))


def jacobian(f: Callable[..., Any], argnum: Which = 0) -> Callable[..., Any]:
    """Make the function that gives the matrix of all slopes: an array of shape `result.shape + argument.shape`.

    Args:
        f: a function of Values, or of lists, tuples and dicts of them.
        argnum: the position of the argument, or several in a sequence; then the matrices come in a tuple. Of a tree as
            an argument there is a tree of matrices; of one as a result, a tree of those.
    """
    _check_argnums(argnum)

    def matrix(*args: Any, **options: Any) -> Any:
        call = _Call(f, argnum, args, options)
        return mapped(lambda y: _rows(call, y), call.y)

    return matrix


def _rows(call: _Call, y: Any) -> Any:
    """The slopes of one array towards all that a call is differentiated towards."""
    inputs = leaves(call.towards)
    pulled = [_pulled([y], [seed], inputs, record=call.record) for seed in _unit_seeds(np.shape(y), _dtype(y))]
    shapes = [(*np.shape(y), *x.shape) for x in inputs]
    if not pulled:
        return filled(call.towards, (np.zeros(s, x.dtype) for s, x in zip(shapes, inputs, strict=True)))
    stacked = (RULES["stack"](rows) for rows in zip(*pulled, strict=True))
    return filled(call.towards, (rows.reshape(shape) for rows, shape in zip(stacked, shapes, strict=True)))


def _unit_seeds(shape: tuple[int, ...], dtype: Any) -> Iterator[np.ndarray]:
    for i in range(math.prod(shape)):
        seed = np.zeros(shape, dtype)
        seed[np.unravel_index(i, shape)] = 1
        yield seed


def hessian(f: Callable[..., Any], argnum: Which = 0) -> Callable[..., Any]:
    """Make the function that gives all second slopes of `f`: an array of shape `argument.shape * 2`.

    Of several arguments, or of a tree, it gives for each array a tree of such blocks, as the jacobian of the gradient.
    """
    return jacobian(grad(f, argnum), argnum)


def hvp(f: Callable[..., Any], x: Any, vector: Any) -> Any:
    """Give the Hessian of `f` at `x` times a vector like `x`, without the Hessian."""
    record = _records([x, vector])
    at = _inputs(x)
    given = _like(vector, at, "vector has shape {}, but x has shape {}", "the vector and x")
    slopes = leaves(_evaluated(grad(f), [at]))
    return filled(at, iter(_pulled(slopes, _seeds(given, slopes), leaves(at), record=record)))
