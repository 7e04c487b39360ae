"""HIPS autograd's `check_grads`, on a `primitive` around ndgrad.

It is called as in autograd's own example of a gradient defined by hand: normally distributed numbers in double
precision, reverse mode, and order 2, the default. By default it checks the first argument only; here it checks all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from autograd.extend import defvjp, primitive
from autograd.test_util import check_grads

from reference.mutation.rivals.wrapper import Case


def check(case: Case) -> None:
    """Check a case to second order.

    Raises:
        AssertionError: the derivatives are not close.
    """
    with _seeded():
        check_grads(_wrap(case), tuple(range(len(case.arrays))), modes=["rev"])(*case.arrays)


def _wrap(case: Case) -> Callable[..., Any]:
    """Wrap the case's function for autograd. Its pullbacks are wrapped, too, so that they can be differentiated."""
    value: Callable[..., Any] = primitive(case.value)
    pullbacks = [_pullback(case, i) for i in range(len(case.arrays))]
    defvjp(value, *(lambda _, *xs, pull=pull: lambda g: pull(g, *xs) for pull in pullbacks))
    return value


def _pullback(case: Case, position: int) -> Callable[..., Any]:
    """Wrap the pullback for one operand, a function of the cotangent and of all operands."""
    pull: Callable[..., Any] = primitive(lambda g, *xs: case.pullback(g, *xs)[position])

    def twice(towards: int) -> Callable[..., Any]:
        def pullback(h: Any, *args: Any) -> Any:
            hs = [h if i == position else np.zeros_like(a) for i, a in enumerate(case.arrays)]
            return case.second_pullback(hs, *args)[towards]

        return lambda _, *args: lambda h: pullback(h, *args)

    defvjp(pull, *map(twice, range(1 + len(case.arrays))))
    return pull


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed NumPy's global generator, from which autograd draws its directions."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
