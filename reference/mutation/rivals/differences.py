"""Central differences as in textbooks: a step of 1e-6, the loss `out.sum()`, and `np.allclose` with its defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ndgrad import Value
from reference.mutation.rivals.wrapper import Case

_STEP = 1e-6


def check(case: Case) -> None:
    """Compare each gradient of the sum of a case's results with central differences.

    Raises:
        AssertionError: they are not close.
    """
    leaves = [Value(a) for a in case.arrays]
    case.function(*leaves).sum().backward()
    for i, leaf in enumerate(leaves):
        slopes = _slopes(lambda *arrays: float(case.value(*arrays).sum()), case.arrays, i)
        if not np.allclose(leaf.grad, slopes):
            raise AssertionError(f"the gradient of operand {i} is {leaf.grad}, but the slopes are {slopes}")


def _slopes(loss: Callable[..., float], arrays: Sequence[np.ndarray], position: int) -> np.ndarray:
    """Compute the slope of a loss along each number of one of its arrays."""
    slopes = np.zeros(arrays[position].shape)
    for place in np.ndindex(slopes.shape):
        up, down = (np.array(arrays[position]) for _ in range(2))
        up[place] += _STEP
        down[place] -= _STEP
        ends = (loss(*arrays[:position], end, *arrays[position + 1 :]) for end in (up, down))
        slopes[place] = (next(ends) - next(ends)) / (2 * _STEP)
    return slopes
