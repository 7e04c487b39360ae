"""Exact numbers have 120 digits, and NumPy's functions work on arrays of them."""

from __future__ import annotations

import ast
import inspect
import math
from typing import Any

import gmpy2
import numpy as np
import pytest

from reference.engines.exact import numbers as exact
from reference.engines.exact.numbers import PRECISION, exactly, precisely

# Numbers.


@pytest.mark.parametrize(
    "given",
    [
        0.1,
        3,
        True,
        [[1, 2], [3, 4]],
        np.array([0.1, -0.0, np.inf], np.float32),
        np.zeros((2, 0)),
        np.array([2**62 + 1]),
    ],
    ids=repr,
)
def test_conversions_are_exact(given: Any) -> None:
    """Numbers of any dtype are converted exactly; the shape and the sign of a zero stay."""
    with precisely():
        numbers = exactly(given)
    array = np.asarray(given)
    assert (numbers.shape, numbers.dtype) == (array.shape, object)
    assert all(isinstance(x, gmpy2.mpfr(0).__class__) for x in numbers.flat)
    assert [int(x) if array.dtype.kind in "ib" else float(x) for x in numbers.flat] == array.reshape(-1).tolist()
    assert [gmpy2.is_signed(x) for x in numbers.flat] == np.signbit(array.astype(float)).reshape(-1).tolist()


def test_precision_lasts_for_its_block() -> None:
    """It ends with its block, and blocks can be nested."""
    before = gmpy2.get_context().precision
    with precisely():
        with precisely():
            assert gmpy2.get_context().precision == PRECISION
        assert gmpy2.get_context().precision == PRECISION
    assert gmpy2.get_context().precision == before


def test_precision_ends_with_an_error() -> None:
    """After an error the previous precision is restored."""
    before = gmpy2.get_context().precision
    with pytest.raises(KeyError), precisely():
        raise KeyError
    assert gmpy2.get_context().precision == before


def test_remembered_results_are_those_that_would_be_computed() -> None:
    """The sign of a zero, the precision and the order of the operands are told apart."""

    def angle(y: float, x: float) -> Any:
        return exact.computed(np.arctan2, [exact.exactly(y), exact.exactly(x)], {})

    with exact.precisely():
        assert [float(angle(y, x)) for y in (0.0, -0.0) for x in (-1.0, 1.0) for _ in range(2)] == (
            [math.pi, math.pi, 0.0, 0.0, -math.pi, -math.pi, 0.0, 0.0]
        )
        assert math.copysign(1, angle(-0.0, 1.0)[()]) == -1
        assert angle(1.0, 2.0) == gmpy2.atan2(1, 2) != angle(2.0, 1.0)
        fine = angle(1.0, 3.0)
    assert angle(1.0, 3.0)[()].precision == gmpy2.get_context().precision < fine[()].precision


def test_it_imports_no_gradient_rule() -> None:
    """The module imports only numbers and arrays."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(exact))))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {"__future__", "collections.abc", "contextlib", "functools", "typing", "gmpy2", "numpy"}


# Users' definitions.


@pytest.mark.parametrize(
    ("definition", "double"),
    [
        (lambda x: x / (1 + np.exp(-x)), lambda x: x / (1 + np.exp(-x))),
        (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, x, np.expm1(x))),
        (lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),) * 2,
        (lambda x: x * np.tanh(np.logaddexp(0.0, x)),) * 2,
        (lambda x: np.sinh(x).sum(axis=-1, keepdims=True) + np.arctan(np.abs(x)),) * 2,
        (lambda x: np.maximum(np.stack([x, -x]), 0.25).max(axis=0),) * 2,
    ],
    ids=["silu", "elu", "gelu", "mish", "sums", "extremes"],
)  # fmt: skip
def test_definitions_are_written_with_numpys_functions(definition: Any, double: Any) -> None:
    """NumPy's functions give the values for floats, on arrays with and without axes."""
    for x in (np.array([[-3.0, 0.5], [20.0, -0.25]]), np.array(1.5)):
        if x.ndim or "axis" not in str(definition.__code__.co_consts) + str(definition.__code__.co_names):
            with exact.precisely():
                got = exact.computed(definition, [exact.exactly(x)], {})
            assert type(got) is np.ndarray
            np.testing.assert_allclose(got.astype(float), double(x), rtol=1e-13)


def test_logaddexp_supports_infinities() -> None:
    """If an operand is infinite, the result is the larger one."""
    inf = float("inf")
    with exact.precisely():
        pairs = [exact.exactly([inf, -inf, -inf, inf]), exact.exactly([inf, -inf, 1.0, 1.0])]
        got = exact.computed(np.logaddexp, pairs, {})
    assert got.astype(float).tolist() == [inf, -inf, 1.0, inf]


def test_an_unsupported_function_is_refused() -> None:
    """The error lists the supported functions."""
    with pytest.raises(TypeError, match=r"which support arccos, .*, exp, .*tanh: "):
        exact.computed(np.deg2rad, [exact.exactly([1.0])], {})
