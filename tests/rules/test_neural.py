"""Softmax and its logarithm along any axis, and the loss of labels, without overflow."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own habit
from hypothesis import given
from hypothesis import strategies as st

import ndgrad
from ndgrad.engine import Value
from ndgrad.rules import RULES
from reference.engines.torch import mirror
from reference.ops import OPS

Beside: TypeAlias = Callable[..., None]
Shape: TypeAlias = tuple[int, ...]

inf, nan = math.inf, math.nan
TERMS = 36.0  # a slope is a cotangent, up to 9, less a weighted mean of up to four of them
MIRRORS = {name: mirror(OPS[name]) for name in ("softmax", "log_softmax")}

# fmt: off
AXES: list[tuple[Shape, int]] = [
    ((4,), 0), ((4,), -1), ((3, 3), 0), ((3, 3), 1), ((3, 3), -2), ((2, 3, 4), 1), ((3, 3, 3), 1), ((3, 3, 3), -3),
    ((1, 3), 0), ((3, 1), -1), ((0, 3), 1), ((3, 0), 0), ((2, 0), 1), ((), 0), ((), -1),
]
# fmt: on


@pytest.mark.parametrize("name", MIRRORS)
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_axes(beside: Beside, name: str, shape: Shape, axis: int) -> None:
    """Values and gradients agree with PyTorch along any axis, by position and by keyword, also for empty lanes."""
    beside(lambda x: RULES[name](x, axis=axis), lambda t: MIRRORS[name](t, axis=axis), shape, terms=TERMS)
    beside(lambda x: getattr(x, name)(axis), lambda t: MIRRORS[name](t, axis=axis), shape, terms=TERMS)


@pytest.mark.parametrize("name", MIRRORS)
def test_the_default_axis_is_the_last(beside: Beside, name: str) -> None:
    """The default axis is the last. The operand is a cube, whose shape would not show an error."""
    beside(RULES[name], lambda t: MIRRORS[name](t, axis=-1), (3, 3, 3), terms=TERMS)


@pytest.mark.parametrize("name", MIRRORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "x",
    [
        [-431.0, 279.0, 427.0],  # the first probability is 0: nothing may be divided by it
        [1000.0, 1000.0, -1000.0],
        [0.0, -0.0, 0.0],
        [1e-12, 0.0, -1e-12],
        [-inf, 1.0, 2.0],
        [-inf, -inf, 3.0],
        [-inf, -inf, -inf],
        [inf, 1.0, 2.0],
        [inf, inf, -inf],
        [nan, 1.0, 2.0],
    ],
)
def test_special_points(beside: Beside, name: str, x: list[float], dtype: type) -> None:
    """Scores that are far apart, equal, infinite or NaN agree with PyTorch, and do not affect an ordinary lane."""
    beside(RULES[name], lambda t: MIRRORS[name](t, axis=-1), np.array([x, [1.0, 2.0, 4.0]], dtype), terms=TERMS)


@pytest.mark.parametrize("name", MIRRORS)
@pytest.mark.parametrize("size", [1000.0, 1.7e308])
def test_large_scores_do_not_warn(name: str, size: float) -> None:
    """Large scores do not overflow, forward or backward, even if they differ by more than the largest number."""
    x = Value([size, size / 2, size])
    RULES[name](x).backward([1.0, 2.0, 4.0])
    assert np.isfinite(x.grad).all()


def test_softmax_by_hand() -> None:
    """Two equal scores have probability one half; the gradient is a quarter of the difference of the cotangents."""
    x = Value([3.0, 3.0])
    y = x.softmax()
    y.backward([5.0, 1.0])
    assert y.data.tolist() == [0.5, 0.5]
    assert x.grad.tolist() == [1.0, -1.0]


def test_log_softmax_of_a_probability_too_small_for_a_float() -> None:
    """If a probability underflows, its logarithm is finite, while `log(softmax(x))` would be -inf with slope NaN."""
    x = Value([0.0, 800.0])
    y = x.log_softmax()
    y.backward([3.0, 0.0])
    assert y.data.tolist() == [-800.0, 0.0]
    assert x.grad.tolist() == [3.0, -3.0]


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.integers(-1000, 1000))
def test_only_differences_count(scores: list[int], shift: int) -> None:
    """Adding an integer to all scores, which are integers, leaves probabilities and gradients exactly the same."""
    results = []
    for x in (Value(scores), Value([s + shift for s in scores])):
        y = x.softmax()
        y.backward(np.arange(1.0, 1 + y.size))
        results.append((y.data.tolist(), x.grad.tolist()))
    assert results[0] == results[1]


@pytest.mark.parametrize("name", MIRRORS)
def test_in_the_middle_of_a_program(beside: Beside, name: str) -> None:
    """The rules work for scores that are computed and used again, and for results that are used twice."""
    beside(
        lambda x, w: (RULES[name](x @ w / 9) * (x @ w)).sum() + RULES[name](x @ w / 9, axis=0)[0, 1],
        lambda x, w: (MIRRORS[name](x @ w / 9, axis=-1) * (x @ w)).sum() + MIRRORS[name](x @ w / 9, axis=0)[0, 1],
        (3, 3),
        (3, 3),
    )


@pytest.mark.parametrize("name", MIRRORS)
@pytest.mark.parametrize("axis", [2, -3, None, (0, 1), 0.5])
def test_an_axis_that_is_none_is_refused(name: str, axis: Any) -> None:
    """An axis that is not a single existing axis is an error."""
    with pytest.raises((np.exceptions.AxisError, TypeError)):
        RULES[name](Value([[1.0, 2.0], [3.0, 4.0]]), axis=axis)


# The loss of labels.


def torchs_loss(t: torch.Tensor, labels: Any) -> torch.Tensor:
    """PyTorch's loss, with its classes moved to the second axis."""
    return F.cross_entropy(t.movedim(-1, min(1, t.ndim - 1)), torch.tensor(labels), reduction="none")


@pytest.mark.parametrize(
    ("shape", "labels"),
    [
        ((4,), 2),
        ((2, 3), [2, 0]),
        ((3, 3), [1, 1, 1]),
        ((2, 3, 4), [[0, 3, 1], [2, 2, 0]]),
        ((3, 1), [0, 0, 0]),
        ((0, 3), []),
    ],
)
def test_the_loss_of_labels(beside: Beside, shape: Shape, labels: Any) -> None:
    """Values and gradients agree with PyTorch in any number of axes, for one example and for none."""
    whole = np.array(labels, np.int64)
    beside(lambda x: x.label_cross_entropy(whole), lambda t: torchs_loss(t, whole), shape, terms=TERMS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "x", [[-431.0, 279.0, 427.0], [1000.0, 1000.0, -1000.0], [-inf, 1.0, 2.0], [1.0, inf, 2.0], [nan, 1.0, 2.0]]
)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_loss_of_labels_at_special_points(beside: Beside, label: int, x: list[float], dtype: type) -> None:
    """The loss of certain and impossible labels agrees with PyTorch, beside an ordinary example."""
    labels = [label, 1]
    scores: Any = np.array([x, [1.0, 2.0, 4.0]], dtype)
    beside(lambda x: ndgrad.label_cross_entropy(x, labels), lambda t: torchs_loss(t, labels), scores, terms=TERMS)


@pytest.mark.parametrize("dtype", [np.intp, np.uint8])
@pytest.mark.parametrize("loss", [ndgrad.label_cross_entropy, partial(ndgrad.cross_entropy, reduction="none")])
def test_labels_are_copied(loss: Callable[..., Any], dtype: type) -> None:
    """Overwriting the labels later does not change the gradient. They may have any integer dtype."""
    labels: Any = np.array([0, 1], dtype)
    x = Value(np.zeros((2, 2)))
    y = loss(x, labels)
    labels[:] = 0
    y.backward([2.0, 4.0])
    assert x.grad.tolist() == [[-1.0, 1.0], [2.0, -2.0]]


@pytest.mark.parametrize(
    ("scores", "labels", "error", "says"),
    [
        (np.zeros((2, 3)), [0, 3], ValueError, "with 3 classes, labels go from 0 to 2, but one is 3"),
        (np.zeros((2, 3)), [0, -1], ValueError, "but one is -1"),
        (np.zeros((2, 3)), [[0], [1]], ValueError, "labels must have shape (2,), the logits' without the 3 classes"),
        (np.zeros((2, 3)), [0.0, 1.0], TypeError, "labels must be whole numbers, but have dtype float64"),
        (np.zeros(()), 0, ValueError, "logits must have an axis of classes, but are one number"),
    ],
)
def test_what_are_no_labels(scores: np.ndarray, labels: Any, error: type[Exception], says: str) -> None:
    """Invalid labels are errors, which say what was given and what was expected."""
    with pytest.raises(error, match=re.escape(says)):
        ndgrad.label_cross_entropy(Value(scores), labels)


def test_plain_scores_give_plain_probabilities() -> None:
    """For an array or a list, the results are arrays."""
    for scores in ([0.0, 0.0], np.zeros(2)):
        for y, wanted in ((ndgrad.softmax(scores), 0.5), (ndgrad.log_softmax(scores), math.log(0.5))):
            assert type(y) is np.ndarray
            assert y.tolist() == [wanted, wanted]
