"""How each rule is set beside PyTorch, and one that moves numbers beside where NumPy moves their places.

It knows how to compare. Which cases are worth comparing, the test files of the families know.
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

# Each number is compared in ULP of itself, so that no large one covers for a small one. Ten numbers summed in
# another order, or a slope such as 1 - y * y, may cancel three digits; no case here is conditioned worse.
ULP = 4096


def drawn(shape: tuple[int, ...], seed: int) -> Array:
    """Whole numbers from -9 to 9, never 0: sums and products of them are exact, in any order."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape))


def same(actual: Any, expected: Array, ulp: float = ULP, terms: float = 0.0) -> None:
    """Assert the same dtype, shape and numbers, NaN and infinities in the same places."""
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
    """Assert that two functions agree in their values, and in their gradients towards every operand.

    Args:
        ours: a function of Values.
        theirs: the same of tensors.
        operands: arrays, or shapes, for which whole numbers are drawn.
        ulp: how far the numbers may be apart; 0 where both sides compute exactly.
        terms: where numbers are differences that may cancel to nothing, how large what is subtracted may be: they
            may be apart by 8 ULP of that.
        cotangent: drawn as well, unless it is given.
    """
    arrays = [drawn(o, i) if isinstance(o, tuple) else np.asarray(o) for i, o in enumerate(operands)]
    values = [Value(a) for a in arrays]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = theirs(*tensors)
    with np.errstate(all="ignore"):  # at poles and infinities NumPy warns, as it does when called directly
        y = ours(*values)
    same(y.data, expected.detach().numpy(), ulp, terms)
    g = drawn(y.shape, 99) if cotangent is None else np.asarray(cotangent)
    g = g.astype(y.dtype)
    y.backward(g)
    gradients = torch.autograd.grad(expected, tensors, torch.tensor(g), allow_unused=True)
    for value, tensor, gradient in zip(values, tensors, gradients, strict=True):
        same(value.grad, (torch.zeros_like(tensor) if gradient is None else gradient).numpy(), ulp, terms)


def trace(ours: Callable[..., Any], theirs: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    """Assert that a function moves numbers as NumPy's moves the places they stand in, and brings each cotangent back.

    No gradient rule is involved: a number's gradient is the sum of the cotangents of all places that show it.

    Args:
        ours: a function of Values.
        theirs: the same of arrays, called with whole numbers; -1 in its result is a 0 that was filled in.
        shapes: of the operands.
    """
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)]).tolist()
    places = [np.arange(a, b).reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]
    values = [Value(drawn(shape, i)) for i, shape in enumerate(shapes)]
    y = ours(*values)
    source = theirs(*places) % (ends[-1] + 1)
    same(y.data, np.concatenate([*(v.data.ravel() for v in values), [0.0]])[source], ulp=0)
    g = drawn(y.shape, 99)
    y.backward(g)
    sums = np.bincount(source.ravel(), weights=g.ravel(), minlength=ends[-1] + 1).astype(np.float64)
    for value, place in zip(values, places, strict=True):
        same(value.grad, sums[place], ulp=0)


@pytest.fixture(scope="session")
def beside() -> Callable[..., None]:
    """Hand `compare` to the tests, which import nothing of each other."""
    return compare


@pytest.fixture(scope="session")
def traced() -> Callable[..., None]:
    """Hand `trace` to them as well."""
    return trace
