"""Indexing and scatter: an entry that is taken twice gets both cotangents, for every kind of index."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, basic_indices, integer_array_indices

import ndgrad
from ndgrad.engine import Value
from ndgrad.rules.indexing import scatter

Beside: TypeAlias = Callable[..., None]
Shape: TypeAlias = tuple[int, ...]
Traced: TypeAlias = Callable[..., None]

ALL = slice(None)
BACK = slice(None, None, -1)

# fmt: off
INDICES: list[tuple[Shape, Any]] = [
    # Integers, slices, new axes, ellipses.
    ((4,), 2), ((4,), -1), ((3, 3), 1), ((3, 3), (1, -1)), ((2, 3, 4), (1, ALL, 0)), ((), ()), ((), ...), ((), None),
    ((5,), slice(1, 4)), ((5,), slice(None, None, 2)), ((5,), BACK), ((5,), slice(3, 0, -2)),
    ((5,), slice(3, 0, -5)), ((5,), slice(-2, None)), ((5,), slice(2, 2)), ((5,), slice(4, 1)), ((5,), slice(0, 99)),
    ((5,), slice(2, 2, 2)), ((2, 3), slice(0, None, 2)), ((2, 3), slice(1, None, 2)), ((3, 3), (ALL, BACK)),
    ((3, 3), ...), ((2, 3, 4), (..., 1)), ((2, 3, 4), (1, ..., slice(0, 2))), ((2, 3, 4), (ALL, ..., -1)),
    ((3,), None), ((3,), (None, ALL, None)), ((2, 3), (None, 1, None, ..., None)), ((2, 3, 4), (..., None, 2)),
    ((3,), np.int64(1)), ((3, 3), (np.int32(-1), ALL)), ((0, 3), ALL), ((3, 0), 1),
    # Lists and arrays: repeats, two indices of one entry (one counted from the end), empty ones, two-dimensional ones.
    ((4,), [1, 1, 1]), ((3,), [0, -3]), ((3,), [2, -1, 2]), ((3, 3), [0, 0, 2]), ((4,), []), ((2, 3), []),
    ((4,), [[0, 1], [1, 3]]), ((3, 3), np.array([[2, 0], [0, 0]])), ((4,), np.array(1)),
    ((4,), np.array([3], np.uint8)),
    ((3, 3), ([0, 0, 1], [1, 1, 2])), ((3, 3), ([0, -3], [1, -2])), ((2, 3), ([[0], [1]], [0, 0, 2])),
    ((3, 3, 3), ([0, 0], [1, 1], [2, -1])), ((3,), ([1, 1],)), ((4,), np.array([], int)),
    # Mixed: arrays among slices, with an integer or a slice between them, new axes, ellipses.
    ((3, 4), (ALL, [1, 1])), ((3, 4), ([0, 0, 2], slice(1, 3))), ((2, 3, 4), (ALL, [0, 1], 0)),
    ((2, 3, 4), (0, ALL, [0, 1])), ((2, 3, 4), ([0, 1], ALL, [0, 0])), ((2, 3, 4), (..., [0, 0])),
    ((2, 3, 4), (None, [1, 1], ..., slice(None, None, -2))), ((3, 4), ([0, 0], None, [1, 1])),
    ((2, 3, 4), (BACK, [[0, 2], [2, 0]])), ((3, 3), (np.array(1), [0, 0])),
    # Booleans: masks of the whole shape, of some axes, and single ones.
    ((4,), np.array([True, False, True, True])), ((4,), [False, True, False, True]), ((3,), np.zeros(3, bool)),
    ((2, 3), np.array([[True, False, True], [False, False, True]])), ((2, 3), np.array([False, True])),
    ((2, 3, 4), np.eye(2, 3) > 0), ((3, 4), (ALL, np.array([True, False, False, True]))),
    ((2, 3, 4), (np.array([True, False]), ALL, [1, 1])), ((3, 3), (np.array([True, False, True]), [0, 0])),
    ((3,), True), ((3,), False), ((2, 3), (True, 1)), ((), np.bool_(1)), ((2, 2), (np.bool_(1), None)),
]
# fmt: on


@pytest.mark.parametrize(("shape", "index"), INDICES)
def test_index(traced: Traced, shape: Shape, index: Any) -> None:
    """The result is NumPy's, and each entry gets the cotangents of all places that it was taken to."""
    traced(lambda x: x[index], lambda a: np.asarray(a[index]), shape)


@given(st.data())
def test_slices_at_random(traced: Traced, data: st.DataObject) -> None:
    """Random mixtures of integers, slices of both signs, new axes and ellipses agree with NumPy."""
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    index = data.draw(basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    traced(lambda x: x[index], lambda a: np.asarray(a[index]), shape)


@given(st.data())
def test_arrays_at_random(traced: Traced, data: st.DataObject) -> None:
    """Integer arrays for all axes, or for the first few with slices after them, agree with NumPy."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    taken = data.draw(st.integers(1, len(shape)))
    index = data.draw(integer_array_indices(shape[:taken]))
    index += tuple(data.draw(st.sampled_from([ALL, slice(None, None, -2), slice(1, None)])) for _ in shape[taken:])
    traced(lambda x: x[index], lambda a: a[index], shape)


@given(st.data())
def test_masks_at_random(traced: Traced, data: st.DataObject) -> None:
    """Masks of the first axes, with slices for the others, agree with NumPy."""
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    mask = data.draw(arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    traced(lambda x: x[mask, ...], lambda a: a[mask, ...], shape)


@pytest.mark.parametrize(
    "index", [0, [0, 0, 2], ([1, 1], [0, -3]), (slice(None), [2, 2, 1]), (Ellipsis, 1), (None, 1), (slice(1, 3), 0)]
)
def test_index_beside_pytorch(beside: Beside, index: Any) -> None:
    """Indexing agrees with PyTorch in the middle of a program, also if the operand is used again."""
    key = tuple(torch.tensor(i) if isinstance(i, list) else i for i in index) if isinstance(index, tuple) else index
    beside(lambda x: (x * x)[index] * x[0, 0], lambda t: (t * t)[key] * t[0, 0], (3, 3), ulp=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_dtype_stays(dtype: type) -> None:
    """The result and the gradient have the operand's dtype."""
    x = Value(np.array([1.0, 2.0], dtype))
    y = x[[0, 0, 1]]
    y.backward([1.0, 2.0, 4.0])
    assert y.dtype == x.grad.dtype == dtype
    assert x.grad.tolist() == [3.0, 4.0]


def test_index_after_index(traced: Traced) -> None:
    """In a chain of indexings, each is inverted, in the right order."""
    traced(lambda x: x[1:][::2][-1], lambda a: a[1:][::2][-1], (6, 2))
    traced(lambda x: x[[2, 0, 2]][:, 1:][0], lambda a: a[[2, 0, 2]][:, 1:][0], (3, 3))
    traced(lambda x: x.T[1][[0, 0]], lambda a: a.T[1][[0, 0]], (2, 3))


def test_an_index_is_the_nodes_own() -> None:
    """Overwriting an index array after the forward pass does not change the gradient."""
    index = np.array([0, 0])
    x = Value([1.0, 2.0])
    y = x[index]
    index[:] = 1
    y.backward([3.0, 4.0])
    assert x.grad.tolist() == [7.0, 0.0]


@pytest.mark.parametrize(
    "index",
    [1.0, [0.5, 1.0], np.array([1.0]), "a", (0, "a"), np.array([]), 3, -4, [0, 3], (0, 0), [True, False], (..., ...),
     slice("a"), 1j],
)  # fmt: skip
def test_what_is_no_index_is_refused(index: Any) -> None:
    """Non-integers, strings and positions out of range are errors, as in NumPy."""
    with pytest.raises((IndexError, TypeError)):
        Value([1.0, 2.0, 3.0])[index]


@pytest.mark.parametrize("index", [Value(1.0), (0, Value(1.0)), Value([0.0, 1.0])])
def test_a_value_is_no_index(index: Any) -> None:
    """A Value as an index is an error, which says to use its data."""
    with pytest.raises(TypeError, match=r"a Value cannot be an index.*use its \.data"):
        Value([[1.0, 2.0], [3.0, 4.0]])[index]


def test_a_value_cannot_be_written_into() -> None:
    """Assignment `x[i] = y` is an error, since it has no rule."""
    x: Any = Value([1.0, 2.0])
    with pytest.raises(TypeError, match="item assignment"):
        x[0] = 3.0


# Scatter.


@pytest.mark.parametrize(("shape", "index"), INDICES)
def test_scatter(shape: Shape, index: Any) -> None:
    """Scatter adds each number at its index; its gradient is taken from there."""
    places = np.asarray(np.arange(int(np.prod(shape))).reshape(shape)[index])
    numbers = np.arange(1.0, 1 + places.size).reshape(places.shape)
    x = Value(numbers)
    y = scatter(x, index, shape)
    expected = [0.0] * int(np.prod(shape))
    for place, number in zip(places.ravel(), numbers.ravel(), strict=True):
        expected[place] += number
    assert y.data.ravel().tolist() == expected
    assert y.shape == shape
    g = np.arange(2.0, 2 + y.size).reshape(shape)
    y.backward(g)
    assert x.grad.tolist() == g[index].tolist()


def test_scatter_of_fewer_numbers_than_places() -> None:
    """Fewer numbers than places are broadcast as in NumPy, and their cotangents are summed."""
    x = Value([5.0])
    y = ndgrad.scatter(x, [0, 0, 2], (3,))
    y.backward([1.0, 10.0, 100.0])
    assert y.data.tolist() == [10.0, 0.0, 5.0]
    assert x.grad.tolist() == [102.0]
    x.zero_grad()
    ndgrad.scatter(x, slice(1, 3), (3,)).backward([1.0, 10.0, 100.0])
    assert x.grad.tolist() == [110.0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("shape", [(200,), (200, 4)])
def test_rows_may_have_any_integer_dtype(dtype: str, shape: tuple[int, ...]) -> None:
    """An index of bytes works for more rows than a byte can count, forward and backward."""
    x = Value(np.arange(math.prod(shape), dtype=float).reshape(shape))
    index = np.array([1, 3, 3, 0], dtype)
    x[index].sum().backward()
    np.testing.assert_array_equal(x[index].data, x.data[index])
    np.testing.assert_array_equal(
        x.grad.sum(axis=tuple(range(1, x.ndim)))[:5], [y * x.size / 200 for y in [1, 1, 0, 2, 0]]
    )
