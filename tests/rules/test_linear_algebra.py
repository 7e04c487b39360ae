"""Matrix products of all ranks and batches agree exactly with PyTorch, on integers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import ndgrad
from ndgrad.engine import Value

Beside: TypeAlias = Callable[..., None]
Shape: TypeAlias = tuple[int, ...]

# fmt: off
MATMUL: list[tuple[Shape, Shape]] = [
    # Vectors and matrices; square ones, whose shapes hide a transposed gradient.
    ((3,), (3,)), ((3, 3), (3, 3)), ((2, 3), (3, 4)), ((2, 3), (3,)), ((3,), (3, 4)), ((3, 3), (3,)), ((3,), (3, 3)),
    ((1, 3), (3, 1)), ((3, 1), (1, 3)), ((1, 1), (1, 1)), ((1,), (1,)),
    # Batches: of both, of one, of length 1, of unequal rank, and against a vector.
    ((2, 3, 4), (2, 4, 5)), ((3, 3, 3), (3, 3, 3)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((1, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((5, 3, 4), (2, 1, 4, 2)), ((2, 1, 3, 4), (1, 5, 4, 2)),
    ((2, 3, 4), (4,)), ((3,), (2, 3, 4)), ((2, 5, 3, 4), (4,)), ((3,), (2, 5, 3, 4)), ((3, 3, 3), (3,)),
    ((3,), (3, 3, 3)),
    # Empty: no rows, no columns, nothing to sum over, no batch.
    ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 3), (3, 0)), ((0,), (0,)), ((0,), (0, 3)), ((2, 0), (0,)), ((0, 3), (3,)),
    ((0, 2, 3), (3, 4)), ((2, 0, 3), (2, 3, 1)), ((0, 2, 3), (1, 3, 2)), ((2, 3), (0, 3, 2)), ((0, 0), (0, 0)),
]
DOT: list[tuple[Shape, Shape]] = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((3, 3), (3, 3)), ((2, 3, 4), (4,)),
    ((3,), (2, 3, 4)), ((2, 3, 4), (5, 4, 2)), ((3, 3, 3), (3, 3, 3)), ((2, 3), (2, 5, 3, 4)), ((2, 5, 3), (3, 4)),
    ((2, 2, 2, 2), (2, 2, 2)), ((1, 3), (3, 1)), ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((0,), (0,)),
    ((2, 0, 3), (4, 3, 1)), ((2, 3), (0, 3, 2)), ((), ()), ((), (3,)), ((2, 3), ()), ((), (2, 3)), ((0,), ()),
]
OUTER: list[tuple[Shape, Shape]] = [
    ((3,), (4,)), ((3,), (3,)), ((2, 3), (4,)), ((3,), (2, 2)), ((2, 3), (3, 2)), ((), (3,)), ((3,), ()), ((), ()),
    ((2, 1, 2), (1, 3)), ((0,), (3,)), ((3,), (0,)), ((2, 0), (3,)),
]
# fmt: on


def torch_dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """NumPy's `dot` in PyTorch: sum over the last axis of one and the last but one of the other."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    product: torch.Tensor = torch.tensordot(a, b, dims=([-1], [-2 if b.ndim > 1 else -1]))
    return product


def torch_outer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """NumPy's `outer` in PyTorch, which flattens its operands."""
    return torch.outer(a.reshape(-1), b.reshape(-1))


@pytest.mark.parametrize(("a", "b"), MATMUL)
def test_matmul(beside: Beside, a: Shape, b: Shape) -> None:
    """`matmul` of vectors, matrices and batches, also empty ones, has exactly PyTorch's gradients."""
    beside(operator.matmul, torch.matmul, a, b, ulp=0)
    beside(ndgrad.matmul, torch.matmul, a, b, ulp=0)


@pytest.mark.parametrize(("a", "b"), DOT)
def test_dot(beside: Beside, a: Shape, b: Shape) -> None:
    """`dot` of any ranks has exactly PyTorch's gradients; the remaining axes are joined, as in NumPy."""
    beside(ndgrad.dot, torch_dot, a, b, ulp=0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(a), rng.standard_normal(b)
    np.testing.assert_array_equal(Value(x).dot(y).data, np.dot(x, y))


@pytest.mark.parametrize(("a", "b"), OUTER)
def test_outer(beside: Beside, a: Shape, b: Shape) -> None:
    """`outer` flattens operands of any rank, and each gradient has the shape of its operand."""
    beside(ndgrad.outer, torch_outer, a, b, ulp=0)


@given(
    batches=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
    sides=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_batches_at_random(beside: Beside, batches: Any, sides: tuple[int, int, int]) -> None:
    """Each gradient is summed over broadcast or empty batch axes."""
    (one, other), (n, k, m) = batches.input_shapes, sides
    beside(operator.matmul, torch.matmul, (*one, n, k), (*other, k, m), ulp=0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda x: x @ x, lambda t: t @ t),
        (lambda x: x @ x.T, lambda t: t @ t.T),
        (lambda x: x.T @ (x @ x[0]), lambda t: t.T @ (t @ t[0])),
        (lambda x: x[0] @ x @ x[1], lambda t: t[0] @ t @ t[1]),
        (lambda x: x.dot(x).dot(x), lambda t: t @ t @ t),
        (lambda x: ndgrad.outer(x, x), lambda t: torch_outer(t, t)),
    ],
)
def test_the_same_matrix_twice(beside: Beside, ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    """If an operand is used on both sides, transposed, or repeatedly, all contributions are added."""
    beside(ours, theirs, (3, 3), ulp=0)


@pytest.mark.parametrize("product", [ndgrad.matmul, ndgrad.dot])
def test_the_data_batch_has_a_gradient_too(beside: Beside, product: Callable[..., Any]) -> None:
    """The data has a gradient as the weights do, with a layer before and one after it."""
    beside(
        lambda x, w, v: product(ndgrad.tanh(product(x * x, w) / 100), v),
        lambda x, w, v: torch.tanh((x * x) @ w / 100) @ v,
        (4, 3),
        (3, 2),
        (2, 5),
    )


@pytest.mark.parametrize("product", [operator.matmul, ndgrad.dot, ndgrad.outer])
@pytest.mark.parametrize("wanted", [0, 1])
def test_a_constant_on_one_side(product: Callable[..., Any], wanted: int) -> None:
    """An array or a list may be the other operand, and needs no gradient."""
    a, b = [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 9.0]]
    both = Value(a), Value(b)
    g = np.arange(1.0, product(*both).size + 1).reshape(product(*both).shape)
    product(*both).backward(g)
    for constant in (list, np.array):
        x = Value((a, b)[wanted])
        product(*[x if i == wanted else constant(m) for i, m in enumerate((a, b))]).backward(g)
        assert x.grad.tolist() == both[wanted].grad.tolist()


@pytest.mark.parametrize("product", [operator.matmul, ndgrad.dot, ndgrad.outer])
def test_float32(beside: Beside, product: Callable[..., Any]) -> None:
    """Results and gradients of float32 are float32."""
    theirs = torch_outer if product is ndgrad.outer else torch.matmul
    a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8]], np.float32)
    beside(product, theirs, a, b, ulp=0)


# fmt: off
@pytest.mark.parametrize(
    ("product", "a", "b"),
    [(operator.matmul, (2, 3), (2, 3)), (operator.matmul, (3,), (4,)), (operator.matmul, (2, 2, 3), (3, 3, 4)),
     (operator.matmul, (), (3,)), (operator.matmul, (3,), ()), (ndgrad.dot, (2, 3), (2, 3)), (ndgrad.dot, (3,), (4,))],
)
def test_what_does_not_fit_is_refused(product: Callable[..., Any], a: Shape, b: Shape) -> None:
    """Lengths that differ, batches that do not broadcast, and numbers in place of vectors raise NumPy's error."""
    with pytest.raises(ValueError, match=r"matmul|shapes"):
        product(Value(np.ones(a)), Value(np.ones(b)))
# fmt: on


def test_dot_multiplies_by_a_number_as_multiply_does() -> None:
    """In `dot`, 0 times infinity is NaN. NumPy's own calls BLAS, which skips a multiplication by 0."""
    with np.errstate(invalid="ignore"):
        assert np.isnan(ndgrad.dot(np.array(0.0), np.array([np.inf, 1.0]))[0])
