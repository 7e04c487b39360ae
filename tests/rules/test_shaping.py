"""Rules that move numbers: each cotangent returns to its number, for any shape and order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ndgrad
from ndgrad.engine import Value

Beside: TypeAlias = Callable[..., None]
Shape: TypeAlias = tuple[int, ...]
Traced: TypeAlias = Callable[..., None]


# Reshape.


@pytest.mark.parametrize(
    ("shape", "new"),
    [
        ((2, 3), (3, 2)),
        ((2, 3), (6,)),
        ((2, 3), (-1,)),
        ((2, 3, 4), (4, -1)),
        ((2, 3, 4), (2, 1, 12)),
        ((3, 3), (3, 3)),
        ((6,), (1, 6, 1)),
        ((), (1, 1)),
        ((1, 1), ()),
        ((0, 3), (3, 0, 2)),
        ((0, 3), (0,)),
    ],
)  # fmt: skip
def test_reshape(traced: Traced, shape: Shape, new: Shape) -> None:
    """An operand can be reshaped to any shape of its size, with one length inferred."""
    traced(lambda x: x.reshape(new), lambda a: a.reshape(new), shape)


def test_reshape_has_three_spellings(traced: Traced) -> None:
    """The shape can be given as integers, a tuple, a list, an array, or by keyword."""
    for ours in (
        lambda x: x.reshape(3, 2),
        lambda x: x.reshape([3, 2]),
        lambda x: x.reshape(np.array([3, 2])),
        lambda x: x.reshape(shape=(3, 2)),
        lambda x: ndgrad.reshape(x, 3, -1),
        lambda x: np.reshape(x, (3, 2)),
    ):
        traced(ours, lambda a: a.reshape(3, 2), (2, 3))


@pytest.mark.parametrize("shape", [(4,), (2, -1, -1), (0, -1)])
def test_reshape_to_another_size_is_refused(shape: Shape) -> None:
    """Another size raises NumPy's error."""
    with pytest.raises(ValueError, match=r"cannot reshape array of size 6|one unknown dimension"):
        Value(np.ones((2, 3))).reshape(shape)


def test_reshape_of_what_is_not_contiguous(traced: Traced) -> None:
    """Transposed, reversed and repeated operands are read in the order of their axes, forward and backward."""
    traced(lambda x: x.T.reshape(-1), lambda a: a.T.reshape(-1), (2, 3))
    traced(lambda x: x.flip(0).reshape(3, 2), lambda a: a[::-1].reshape(3, 2), (2, 3))
    traced(lambda x: x.broadcast_to(4, 3).reshape(2, 6), lambda a: np.tile(a, 4).reshape(2, 6), (3,))
    traced(lambda x: x.transpose(1, 2, 0).reshape(4, 6).T, lambda a: a.transpose(1, 2, 0).reshape(4, 6).T, (2, 3, 4))


# Transpose.

PERMUTATIONS = [p for n in (2, 3, 4) for p in itertools.permutations(range(n))]


@pytest.mark.parametrize("axes", PERMUTATIONS)
@pytest.mark.parametrize("negative", ["none", "all", "every other"])
def test_transpose(traced: Traced, axes: tuple[int, ...], negative: str) -> None:
    """Every permutation works, including those that are not their own inverse, with negative axes as well."""
    n = len(axes)
    every = {"none": n + 1, "all": 1, "every other": 2}[negative]
    axes = tuple(a - n if i % every == 0 and every <= n else a for i, a in enumerate(axes))
    traced(lambda x: x.transpose(axes), lambda a: a.transpose(axes), (2, 3, 4, 5)[:n])
    traced(lambda x: x.transpose(*axes), lambda a: a.transpose(axes), (3,) * n)


def test_transpose_beside_pytorch(beside: Beside) -> None:
    """A cycle of three axes and reversed axes agree with PyTorch, in a cube, whose shape would hide a wrong inverse."""
    beside(lambda x: x.transpose(1, 2, 0), lambda t: t.permute(1, 2, 0), (3, 3, 3), ulp=0)
    beside(lambda x: x.transpose(-1, 0, 1), lambda t: t.permute(-1, 0, 1), (3, 3, 3), ulp=0)
    beside(lambda x: x.transpose(), lambda t: t.permute(2, 1, 0), (3, 3, 3), ulp=0)


@pytest.mark.parametrize("shape", [(), (3,), (3, 3), (2, 3, 4), (1, 0, 2)])
def test_reversed_axes(traced: Traced, shape: Shape) -> None:
    """`T`, `transpose()` and `transpose(None)` reverse all axes."""
    spellings: list[Callable[[Any], Any]] = [lambda x: x.T, lambda x: x.transpose(), np.transpose]
    for ours in (*spellings, lambda x: x.transpose(None), lambda x: x.transpose(axes=None)):
        traced(ours, np.transpose, shape)


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 2), (0, 1, 2), (0, -2), (0.0, 1)])
def test_no_permutation_is_refused(axes: Any) -> None:
    """Missing, repeated, out-of-range and non-integer axes are errors."""
    with pytest.raises((ValueError, TypeError)):
        Value(np.ones((2, 3))).transpose(axes)


@pytest.mark.parametrize(("shape", "a", "b"), [((2, 3), 0, 1), ((3, 3, 3), 0, -1), ((2, 3, 4), -2, 0), ((2, 3), 1, 1)])
def test_swapaxes(traced: Traced, shape: Shape, a: int, b: int) -> None:
    """`swapaxes` swaps two axes, and `mT` swaps the last two."""
    traced(lambda x: x.swapaxes(a, b), lambda p: p.swapaxes(a, b), shape)
    traced(lambda x: x.mT, lambda p: p.swapaxes(-1, -2), shape)


@pytest.mark.parametrize("swap", [lambda x: x.mT, lambda x: x.swapaxes(0, 1)])
def test_a_vector_has_no_two_axes_to_swap(swap: Callable[[Value], Value]) -> None:
    """`mT` and `swapaxes` of a vector raise an error of NumPy's type."""
    with pytest.raises(np.exceptions.AxisError):
        swap(Value([1.0, 2.0]))


# Axes of length 1.


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3, (0, 1), (0, 3), (-1, 0), (3, 1), [0, 2]])
def test_expand_dims(traced: Traced, axis: Any) -> None:
    """One or several new axes of length 1 are added; they are counted in the result."""
    traced(lambda x: x.expand_dims(axis), lambda a: np.expand_dims(a, axis), (2, 3))


@pytest.mark.parametrize("axis", [None, 0, 2, -1, -3, (0, 2), (2, 0), (-1,), ()])
def test_squeeze(traced: Traced, axis: Any) -> None:
    """All axes of length 1, or the given ones, are removed, and restored in their places."""
    traced(lambda x: x.squeeze(axis=axis), lambda a: a.squeeze(axis=axis), (1, 3, 1))


@pytest.mark.parametrize("shape", [(1, 1), (), (2, 3), (1, 0)])
def test_squeeze_everything(traced: Traced, shape: Shape) -> None:
    """All axes may be removed, or none, also of an empty array."""
    traced(ndgrad.squeeze, np.squeeze, shape)


def test_an_axis_that_cannot_go_is_refused() -> None:
    """Axes that are longer than 1, missing or repeated are errors."""
    x = Value(np.ones((1, 3)))
    with pytest.raises(ValueError, match="squeeze"):
        x.squeeze(1)
    with pytest.raises(np.exceptions.AxisError):
        x.squeeze(2)
    with pytest.raises(ValueError, match="repeated axis"):
        x.expand_dims((0, 0))


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (2, 0), (-1, -2), ()])
def test_flip(traced: Traced, axis: Any) -> None:
    """`flip` reverses one axis, several, all or none."""
    traced(lambda x: x.flip(axis=axis), lambda a: np.flip(a, axis), (2, 3, 4))
    traced(lambda x: x.flip(axis), lambda a: np.flip(a, axis), (3, 3, 3))


# fmt: off
@pytest.mark.parametrize(
    ("shape", "to"),
    [((3,), (4, 3)), ((1, 3), (4, 3)), ((3, 1), (3, 4)), ((), (2, 3)), ((1, 1), (2, 2)), ((2, 1, 3), (5, 2, 4, 3)),
     ((3,), (3,)), ((1,), (0,)), ((3, 1), (3, 0)), ((0,), (2, 0))],
)
def test_broadcast_to(traced: Traced, shape: Shape, to: Shape) -> None:
    """The cotangents of all copies are summed, over new axes and over those of length 1."""
    traced(lambda x: x.broadcast_to(to), lambda a: np.broadcast_to(a, to), shape)
    traced(lambda x: ndgrad.broadcast_to(x, shape=to) * 1, lambda a: np.broadcast_to(a, to), shape)
# fmt: on


@pytest.mark.parametrize("to", [(4,), (3, 1), (2,)])
def test_broadcast_to_what_does_not_fit_is_refused(to: Shape) -> None:
    """A shape that does not fit raises NumPy's error."""
    with pytest.raises(ValueError, match=r"broadcast|axis remapping"):
        Value(np.ones((1, 3))).broadcast_to(to)


# Join.


# fmt: off
@pytest.mark.parametrize(
    ("shapes", "axis"),
    [([(2, 3), (1, 3), (4, 3)], 0), ([(2, 1), (2, 4)], 1), ([(2, 1), (2, 4)], -1), ([(3, 3), (3, 3)], 1),
     ([(2, 1, 3), (2, 2, 3), (2, 3, 3)], 1), ([(2, 1, 3), (2, 2, 3)], -2), ([(3, 3, 3), (3, 1, 3)], 1),
     ([(2,), (3,)], 0), ([(2, 3)], 0), ([(0, 3), (2, 3)], 0), ([(2, 0), (2, 0)], 1),
     ([(2, 3), (4,), (1, 1, 2)], None), ([(2,), (0,)], None)],
)
def test_concatenate(traced: Traced, shapes: list[Shape], axis: int | None) -> None:
    """Pieces are joined along any axis, and each gets its part back. Without an axis they are flattened."""
    traced(lambda *xs: ndgrad.concatenate(xs, axis=axis), lambda *ps: np.concatenate(ps, axis=axis), *shapes)
    traced(lambda *xs: np.concatenate(list(xs), axis), lambda *ps: np.concatenate(ps, axis), *shapes)


@pytest.mark.parametrize(
    ("shape", "n", "axis"),
    [((2, 3), 3, 0), ((2, 3), 3, 1), ((2, 3), 2, 2), ((2, 3), 2, -1), ((3, 3), 3, -2), ((3, 3), 3, -3), ((), 3, 0),
     ((2,), 1, 1), ((0, 2), 2, 1)],
)
def test_stack(traced: Traced, shape: Shape, n: int, axis: int) -> None:
    """Arrays are stacked along a new axis at any place."""
    traced(lambda *xs: ndgrad.stack(xs, axis=axis), lambda *ps: np.stack(ps, axis=axis), *[shape] * n)
    traced(lambda *xs: np.stack(xs, axis), lambda *ps: np.stack(ps, axis), *[shape] * n)
# fmt: on


@pytest.mark.parametrize("join", [np.concatenate, np.stack])
def test_the_same_value_in_several_pieces(traced: Traced, join: Callable[..., Any]) -> None:
    """A Value in several pieces gets the sum of all its parts, as in PyTorch."""
    traced(lambda x, y: join([x, y, x, x]), lambda a, b: join([a, b, a, a]), (2, 3), (2, 3))


def test_join_beside_pytorch(beside: Beside) -> None:
    """Joining agrees with PyTorch in the middle of a program, with a piece computed from another one."""
    beside(
        lambda x, y: ndgrad.concatenate([x * y, y[:1], x * x], axis=0) ** 2,
        lambda x, y: torch.cat([x * y, y[:1], x * x], dim=0) ** 2,
        (3, 3),
        (3, 3),
        ulp=0,
    )


def test_constants_among_the_pieces() -> None:
    """Arrays and lists may be pieces, and get no gradient."""
    x = Value(np.array([[1, 2]], np.float32))
    y = ndgrad.concatenate([[[5, 6]], x, np.array([[7, 8]])])
    y.backward([[1, 2], [3, 4], [5, 6]])
    assert y.data.tolist() == [[5, 6], [1, 2], [7, 8]]
    assert y.dtype == x.grad.dtype == np.float32
    assert x.grad.tolist() == [[3, 4]]


def test_the_rows_of_one_value_are_pieces_too() -> None:
    """A Value in place of the list means its rows."""
    x = Value([[1.0, 2.0], [3.0, 4.0]])
    y = ndgrad.concatenate(x)
    y.backward([1.0, 10.0, 100.0, 1000.0])
    assert y.data.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert x.grad.tolist() == [[1.0, 10.0], [100.0, 1000.0]]


@pytest.mark.parametrize("join", [ndgrad.concatenate, ndgrad.stack])
def test_nothing_to_join_is_an_error(join: Callable[..., Any]) -> None:
    """An empty list is an error with a message."""
    with pytest.raises(ValueError, match="need at least one array to join, but got none"):
        join([])


@pytest.mark.parametrize("axis", [2, -3, 0.5])
def test_pieces_that_do_not_fit_are_refused(axis: Any) -> None:
    """Axes out of range, and shapes that differ along other axes, are errors."""
    x = Value(np.ones((2, 3)))
    with pytest.raises((np.exceptions.AxisError, TypeError)):
        ndgrad.concatenate([x, x], axis=axis)
    with pytest.raises(ValueError, match="must match exactly"):
        ndgrad.concatenate([x, Value(np.ones((2, 4)))], axis=0)
    with pytest.raises(ValueError, match="same shape"):
        ndgrad.stack([x, Value(np.ones((2, 4)))])


# Cut.


@pytest.mark.parametrize(
    ("shape", "cuts", "axis"),
    [((6,), 3, 0), ((6,), 6, 0), ((6,), 1, 0), ((6,), [2], 0), ((6,), [1, 4], 0), ((6,), [4, 2], 0), ((6,), [0, 6], 0),
     ((6,), [2, 2], 0), ((6,), [3, 9], 0), ((6,), [-2], 0), ((6,), [-4, -1], 0), ((6,), (), 0), ((3, 4), 2, 1),
     ((3, 4), 2, -1), ((3, 3, 3), 3, 1), ((3, 3, 3), [1], -2), ((2, 3, 4), np.array([1, 3]), 2), ((0, 2), 3, 0)],
)  # fmt: skip
def test_split(traced: Traced, shape: Shape, cuts: Any, axis: int) -> None:
    """Equal sections or cuts, in any order, beyond the end, or negative, give the right pieces and gradients."""
    pieces = len(np.split(np.zeros(shape), cuts, axis))
    assert len(ndgrad.split(Value(np.zeros(shape)), cuts, axis)) == pieces
    for i in range(pieces):  # all other pieces are unused, and get zeros
        traced(lambda x, i=i: x.split(cuts, axis)[i], lambda a, i=i: np.split(a, cuts, axis)[i], shape)
    traced(
        lambda x: ndgrad.concatenate(np.split(x, cuts, axis=axis)[::-1], axis=axis),
        lambda a: np.concatenate(np.split(a, cuts, axis)[::-1], axis=axis),
        shape,
    )


@pytest.mark.parametrize("sections", [4, 0, -1, 7])
def test_sections_must_be_equal(sections: int) -> None:
    """The error explains why the number of sections does not fit."""
    with pytest.raises(ValueError, match=f"axis 0 has length 6, which does not split into {sections} equal sections"):
        Value(np.ones(6)).split(sections)


def test_split_along_no_axis_is_refused() -> None:
    """An axis out of range, or a 0-d operand, is an error."""
    with pytest.raises(np.exceptions.AxisError):
        Value(np.ones(6)).split(2, axis=1)
    with pytest.raises(np.exceptions.AxisError):
        Value(1.0).split(1)


# Pad.

WIDTHS: list[tuple[Shape, Any]] = [
    ((4,), ((1, 2),)),
    ((4,), ((3, 0),)),
    ((4,), ((0, 3),)),
    ((4,), 2),
    ((4,), 0),
    ((4,), (0, 1)),
    ((3, 3), ((1, 0), (0, 2))),
    ((3, 3), ((0, 0), (2, 1))),
    ((2, 3), (1, 2)),
    ((2, 3), 1),
    ((1, 3, 2), ((1, 1), (2, 0), (0, 1))),
]


@pytest.mark.parametrize(("shape", "widths"), WIDTHS)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_pad(traced: Traced, mode: Any, shape: Shape, widths: Any) -> None:
    """Any width works, including 0 and more than the length, and the cotangents of repeated numbers are added up."""
    filled: dict[str, Any] = {"constant_values": -1} if mode == "constant" else {}
    traced(lambda x: x.pad(widths, mode), lambda a: np.pad(a, widths, mode, **filled), shape)
    if np.ndim(widths) == 0:
        traced(lambda x: x.pad(widths + 7, mode=mode), lambda a: np.pad(a, widths + 7, mode, **filled), shape)


def test_pad_with_constants() -> None:
    """The constants do not affect the gradient."""
    x = Value([1.0, 2.0])
    y: Any = np.pad(x, (1, 2), constant_values=(7, 9))
    y.backward([1.0, 10.0, 100.0, 1000.0, 10_000.0])
    assert y.data.tolist() == [7.0, 1.0, 2.0, 9.0, 9.0]
    assert x.grad.tolist() == [10.0, 100.0]


def test_pad_of_no_axes_and_of_nothing() -> None:
    """A 0-d operand has no edge to pad; an empty one can be padded with constants."""
    x = Value(3.0)
    x.pad(1).backward(5.0)
    assert x.grad == 5.0
    empty = Value(np.zeros((0, 2)))
    y = empty.pad(((1, 1), (0, 0)))
    y.backward(np.ones((2, 2)))
    assert y.data.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert empty.grad.shape == (0, 2)


@pytest.mark.parametrize("mode", ["mean", "linear_ramp", "maximum", "empty", "edges", None])
def test_other_modes_are_refused(mode: Any) -> None:
    """Other modes are errors, which list the valid ones."""
    with pytest.raises(ValueError, match="'constant', 'edge', 'reflect', 'symmetric', 'wrap'"):
        Value([1.0]).pad(1, mode)


@pytest.mark.parametrize("width", [-1, (1, -1), 0.5, "1", ((1, 1), (1, 1))])
def test_other_widths_are_refused(width: Any) -> None:
    """Negative and non-integer widths, and those for another number of axes, are errors."""
    with pytest.raises(ValueError, match=r"pad_width|broadcast"):
        Value([1.0, 2.0]).pad(width)


# In a row, at random.


@st.composite
def moves(draw: st.DrawFn) -> tuple[Shape, list[Callable[[Any], Any]]]:
    """Draw a shape, and functions that move an array of it one after another, for arrays and Values alike."""
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    now = np.empty(shape)
    steps: list[Callable[[Any], Any]] = []
    for _ in range(draw(st.integers(1, 5))):
        step = draw(st.sampled_from([_permuted, _flipped, _folded, _widened, _joined, _cut]))(draw, now.shape)
        steps.append(step)
        now = step(now)
    return shape, steps


def _permuted(draw: st.DrawFn, shape: Shape) -> Callable[[Any], Any]:
    axes = draw(st.permutations(range(len(shape))))
    return lambda x: np.transpose(x, axes)


def _flipped(draw: st.DrawFn, shape: Shape) -> Callable[[Any], Any]:
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return lambda x: np.flip(x, axis)


def _folded(draw: st.DrawFn, shape: Shape) -> Callable[[Any], Any]:
    new: Sequence[int] = draw(st.permutations([*shape, 1]))
    return lambda x: np.squeeze(np.reshape(x, tuple(new)), tuple(new).index(1))


def _widened(draw: st.DrawFn, shape: Shape) -> Callable[[Any], Any]:
    axis = draw(st.integers(0, len(shape)))
    to = (*shape[:axis], 2, *shape[axis:])
    return lambda x: np.reshape(np.broadcast_to(np.expand_dims(x, axis), to), (-1, *to[1:]))


def _joined(draw: st.DrawFn, shape: Shape) -> Callable[[Any], Any]:
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return lambda x: np.concatenate([x, np.flip(x, 0)], axis)


def _cut(draw: st.DrawFn, shape: Shape) -> Callable[[Any], Any]:
    at = draw(st.integers(1, shape[0]))
    return lambda x: np.split(x, [at])[0]


@given(moves())
def test_one_move_after_another(traced: Traced, case: tuple[Shape, list[Callable[[Any], Any]]]) -> None:
    """In a random sequence of such ops, each cotangent returns to its number."""
    shape, steps = case

    def moved(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    traced(moved, moved, shape)
