"""Comparison of rules with PyTorch; and of rules that move numbers with NumPy, which moves their positions.

The test files of the families decide which cases to compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from ndgrad.engine import Value

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# Each number is compared in ULP of itself, so that large numbers do not hide small ones. Ten numbers summed in
# another order, or a slope such as 1 - y * y, may cancel three digits; no case here is conditioned worse.
ULP = 4096


def integers(shape: tuple[int, ...], seed: int) -> Array:
    """Draw integers from -9 to 9 without 0: their sums and products are exact, in any order."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape))


def same(actual: Any, expected: Array, ulp: float = ULP, terms: float = 0.0) -> None:
    """Assert the same dtype, shape and numbers, with NaN and infinities at the same places."""
    assert isinstance(actual, np.ndarray)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    eps = float(np.finfo(expected.dtype).eps)
    np.testing.assert_allclose(actual, expected, rtol=ulp * eps, atol=8 * terms * eps)


def compare(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    *operands: Any,
    ulp: float = ULP,
    terms: float = 0.0,
    cotangent: Any = None,
) -> None:
    """Assert that two functions agree in their values, and in the gradients of all operands.

    Args:
        ours: a function of Values.
        theirs: the same function of tensors.
        operands: arrays, or shapes, for which integers are drawn.
        ulp: the tolerance in ULP; 0 if both sides compute exactly.
        terms: the magnitude of the terms of differences that may cancel: these may differ by 8 ULP of that.
        cotangent: the cotangent; drawn by default.
    """
    arrays = [integers(o, i) if isinstance(o, tuple) else np.asarray(o) for i, o in enumerate(operands)]
    values = [Value(a) for a in arrays]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = theirs(*tensors)
    with np.errstate(all="ignore"):  # NumPy warns at poles and infinities, as it does when called directly
        y = ours(*values)
    same(y.data, expected.detach().numpy(), ulp, terms)
    g = integers(y.shape, 99) if cotangent is None else np.asarray(cotangent)
    g = g.astype(y.dtype)
    y.backward(g)
    gradients = torch.autograd.grad(expected, tensors, torch.tensor(g), allow_unused=True)
    for value, tensor, gradient in zip(values, tensors, gradients, strict=True):
        same(value.grad, (torch.zeros_like(tensor) if gradient is None else gradient).numpy(), ulp, terms)


def trace(ours: Callable[..., Any], theirs: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    """Assert that a function moves numbers as NumPy's moves their positions, and returns each cotangent.

    No differentiation rule is needed: the gradient of a number is the sum of the cotangents of all its copies.

    Args:
        ours: a function of Values.
        theirs: the same function of arrays, called with integers; -1 in its result stands for a filled-in 0.
        shapes: the shapes of the operands.
    """
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)]).tolist()
    places = [np.arange(a, b).reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]
    values = [Value(integers(shape, i)) for i, shape in enumerate(shapes)]
    y = ours(*values)
    source = theirs(*places) % (ends[-1] + 1)
    same(y.data, np.concatenate([*(v.data.ravel() for v in values), [0.0]])[source], ulp=0)
    g = integers(y.shape, 99)
    y.backward(g)
    sums = np.bincount(source.ravel(), weights=g.ravel(), minlength=ends[-1] + 1).astype(np.float64)
    for value, place in zip(values, places, strict=True):
        same(value.grad, sums[place], ulp=0)


@pytest.fixture(scope="session")
def beside() -> Callable[..., None]:
    """Return `compare` as a fixture, since test files do not import from each other."""
    return compare


@pytest.fixture(scope="session")
def traced() -> Callable[..., None]:
    """Return `trace` as a fixture."""
    return trace
