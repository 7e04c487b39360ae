"""What a session's lines are made of reads back as what was written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import Value
from reference.sessions.spelling import SPELLINGS, Spelling, literal, written_index


@pytest.mark.parametrize(
    "array",
    [
        np.array(1.5), np.array([0.1, -2.0]), np.array([[1.0]], np.float32), np.array([1, 2]), np.array([True, False]),
        np.zeros((2, 1, 3)),
    ],
)  # fmt: skip
def test_an_array_reads_back(array: np.ndarray) -> None:
    """With its numbers, its shape and its dtype."""
    again = eval(literal(array), {"np": np})  # noqa: S307 - it was written a line earlier
    np.testing.assert_array_equal(again, array, strict=True)


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ((0,), "0"),
        ((-1, slice(None, None, None)), "-1, :"),
        ((slice(1, None, 2), None), "1::2, None"),
        ((Ellipsis, slice(None, -1, None)), "..., :-1"),
        ((np.array([0, 0]), 1), "n1, 1"),
        ((), "()"),
    ],
)
def test_an_index_reads_back(entries: tuple[Any, ...], text: str) -> None:
    """As it stands between brackets, arrays by their names."""
    names = {i: "n1" for i, entry in enumerate(entries) if isinstance(entry, np.ndarray)}
    x = np.arange(60).reshape(5, 4, 3)
    assert written_index(entries, names) == text
    np.testing.assert_array_equal(eval(f"x[{text}]", {"x": x, "n1": np.array([0, 0])}), x[entries], strict=True)  # noqa: S307


@pytest.mark.parametrize("spelling", [s for s in SPELLINGS if len(set(s.ways)) > 1], ids=lambda spelling: spelling.op)
def test_all_ways_to_write_an_op_mean_the_same(spelling: Spelling) -> None:
    """To the bit, forward and back."""
    table: dict[str, dict[str, Any]] = {
        "sum": {"axis": 0}, "mean": {"axis": 1}, "max": {"axis": 0}, "softmax": {"axis": 0}, "reshape": {"shape": (4,)},
        "transpose": {"axes": (1, 0)}, "where": {"condition": [True, False]}, "astype": {"dtype": "float64"},
        "concatenate": {"axis": 0}, "stack": {"axis": 1}, "label_cross_entropy": {"labels": [1, 0]},
    }  # fmt: skip
    options = table.get(spelling.op, {})
    by_name = ", ".join(f"{name}={option!r}" for name, option in options.items())
    outcomes = set()
    for way in spelling.ways:
        a, b = Value([[1.0, 0.5], [2.0, 0.25]]), Value([[1.5, 1.0], [0.75, 3.0]])
        text = way.format("a", "b", operands="a, b", options=by_name, **{n: repr(x) for n, x in options.items()})
        y = eval(text, {"a": a, "b": b, "np": np, "ndgrad": ndgrad})  # noqa: S307 - it was written two lines earlier
        y.backward(np.arange(1.0, 1 + y.size).reshape(y.shape))
        outcomes.add((y.data.tobytes(), a.grad.tobytes(), b.grad.tobytes()))
    assert len(outcomes) == 1
