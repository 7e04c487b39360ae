"""`jax.test_util.check_grads`, on a `custom_vjp` whose functions call ndgrad by `pure_callback`.

Its arguments are those of JAX's Autodiff Cookbook: normally distributed numbers in single precision, which is JAX's
default, and order 2. A `custom_vjp` has reverse mode only, as the engine has, so `modes` is `["rev"]`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.test_util import check_grads

from reference.mutation.rivals.wrapper import Case

Shape: TypeAlias = tuple[int, ...]


def check(case: Case) -> None:
    """Check a case in single precision, to second order.

    Raises:
        AssertionError: the derivatives are not close.
    """
    single = case.in_single()
    wrapped = _wrap(single.value(*single.arrays).shape, *(a.shape for a in single.arrays))
    wrapped.case = single
    with _silence():
        check_grads(wrapped.function, tuple(map(jnp.asarray, single.arrays)), order=2, modes=["rev"])


class _Wrapped:
    """A function of these shapes for JAX, whose callbacks use the current case.

    Compiling takes much longer than a case, and JAX compiles a callback only once.
    """

    case: Case

    def __init__(self, result: Shape, shapes: tuple[Shape, ...]) -> None:
        computed = _callback(lambda *xs: (self.case.value(*xs),), result)
        value = jax.custom_vjp(lambda *xs: computed(*xs)[0])
        pulled = jax.custom_vjp(_callback(lambda *args: self.case.pullback(*args), *shapes))  # noqa: PLW0108 - the case ...
        twice = _callback(lambda *args: self.case.second_pullback(*args), result, *shapes)  # noqa: PLW0108 - ... changes
        value.defvjp(lambda *xs: (value(*xs), xs), lambda xs, g: pulled(g, *xs))
        pulled.defvjp(lambda *args: (pulled(*args), args), lambda args, hs: twice(hs, *args))
        self.function = value


@cache
def _wrap(result: Shape, *shapes: Shape) -> _Wrapped:
    return _Wrapped(result, shapes)


def _callback(function: Callable[..., Any], *shapes: Shape) -> Callable[..., Any]:
    """Wrap a function of arrays as a callback. Its results have these shapes, in single precision."""
    result_types = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
    return lambda *args: jax.pure_callback(function, result_types, *args)


@contextmanager
def _silence() -> Iterator[None]:
    """Disable logging, since JAX logs an error of a callback before raising it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
