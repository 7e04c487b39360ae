"""Arrays, indices and ops in a session's lines read back as what was written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import Value
from reference.checks.sessions.spelling import format_index, literal
from reference.engines.ndgrad.spelling import ways
from reference.ops import OPS
from tests.reference.drawing import ordinary


@pytest.mark.parametrize(
    "array",
    [
        np.array(1.5), np.array([0.1, -2.0]), np.array([[1.0]], np.float32), np.array([1, 2]), np.array([True, False]),
        np.zeros((2, 1, 3)),
    ],
)  # fmt: skip
def test_an_array_reads_back(array: np.ndarray) -> None:
    """A formatted array evaluates to the same numbers, shape and dtype."""
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
    """A formatted index evaluates to the same elements, with arrays by their names."""
    names = {i: "n1" for i, entry in enumerate(entries) if isinstance(entry, np.ndarray)}
    x = np.arange(60).reshape(5, 4, 3)
    assert format_index(entries, names) == text
    np.testing.assert_array_equal(eval(f"x[{text}]", {"x": x, "n1": np.array([0, 0])}), x[entries], strict=True)  # noqa: S307


@pytest.mark.parametrize("op", [name for name, op in OPS.items() if len(set(ways(op))) > 1])
def test_all_ways_to_write_an_op_mean_the_same(op: str) -> None:
    """All spellings of an op give the same bits, forward and backward."""
    operands, options = next(
        (xs, options)
        for xs, options in ordinary(op, "float64", 40)
        if len(xs) == OPS[op].inputs.slots and xs[0].size > 1
    )
    by_name = ", ".join(f"{name}={option!r}" for name, option in options.items())
    names = [f"x{i}" for i in range(len(operands))]
    outcomes = set()
    for way in ways(OPS[op]):
        values = [Value(x) for x in operands]
        text = way.format(
            *names, operands=", ".join(names), options=by_name, **{n: repr(x) for n, x in options.items()}
        )
        space = {"np": np, "ndgrad": ndgrad, "array": np.array, **dict(zip(names, values, strict=True))}
        y = eval(text, space)  # noqa: S307 - it was written a line earlier
        y.backward(np.arange(1.0, 1 + y.size).reshape(y.shape))
        outcomes.add((y.data.tobytes(), *(x.grad.tobytes() for x in values)))
    assert len(outcomes) == 1
