"""Finite differences agree with exact slopes and `ndgrad`'s gradients; wrong calls are errors; the errors form a V."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import ndgrad
from ndgrad import Value
from ndgrad.numeric import METHODS, STEPS, Method, error_table, slope, slopes

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

X = np.array([[0.5, -1.25, 2.0], [0.75, 1.5, -0.5]])
W = np.array([[0.25, 1.0], [-0.5, 0.75], [1.5, -2.0]])

# The error of each method at its default step, relative to the larger of 1 and the largest slope. The formulas promise
# about e^(1/2), e^(2/3) and e, which is 1.5e-8, 3.7e-11 and 2.2e-16; measured on the functions below: 1.9e-8, 6e-11,
# 3e-16.
TOLERANCE: dict[Method, float] = {"forward": 1e-7, "central": 3e-10, "complex": 4e-15}

# Functions of one array, of the kinds that a network is made of. All are analytic around X.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": ndgrad.exp,
    "tanh": ndgrad.tanh,
    "square and sum": lambda x: (x * x).sum(),
    "power": lambda x: (x + 3.0) ** 2.5,
    "quotient": lambda x: x / (x.sum() + 2.0),
    "product of matrices": lambda x: x @ W,
    "softmax": ndgrad.softmax,
    "log_softmax": lambda x: ndgrad.log_softmax(x, axis=0),
    "mean": lambda x: x.mean(axis=1),
    "indexing": lambda x: x[::-1, 1:] * x[0, 0],
    "concatenate": lambda x: ndgrad.concatenate([x, ndgrad.sin(x)]),
}


def article(x: Any) -> Any:
    """The first function of the article, whose slope is 6x - 4."""
    return 3 * x**2 - 4 * x + 5


def into_real_array(x: Any) -> Any:
    """Assign to an array of floats, as code does that was not written for complex numbers."""
    out = np.empty(2)
    out[0] = x
    return out * x


def quotient_of_roots(x: Any) -> Any:
    """The example of Squire and Trapp: exp(x) / sqrt(sin(x)^3 + cos(x)^3)."""
    return np.exp(x) / np.sqrt(np.sin(x) ** 3 + np.cos(x) ** 3)


class TestSlopes:
    """Slopes."""

    def test_article_slope_of_a_parabola(self) -> None:
        """At 3, with h = 0.001, the slope of 3x² - 4x + 5 is 14.003: the exact 14, plus 3h."""
        assert slope(article, 3.0, h=0.001) == pytest.approx(14.003, abs=1e-10)
        assert slope(article, -3.0, h=0.001) == pytest.approx(-21.997, abs=1e-10)

    def test_article_slope_of_three_inputs(self) -> None:
        """With a, b, c = 2, -3, 10, a·b + c has the slopes -3, 2 and 1."""

        def d(a: Any, b: Any, c: Any) -> Any:
            return a * b + c

        assert slope(d, 2.0, -3.0, 10.0) == pytest.approx(-3, abs=1e-7)
        assert slope(d, 2.0, -3.0, 10.0, towards=1) == pytest.approx(2, abs=1e-7)
        assert slopes(d, 2.0, -3.0, 10.0, h=0.0001) == pytest.approx((-3, 2, 1), abs=1e-9)

    @pytest.mark.parametrize("method", METHODS)
    def test_squire_and_trapp(self, method: Method) -> None:
        """The slope of their example at 1.5 is the printed one."""
        assert slope(quotient_of_roots, 1.5, method=method) == pytest.approx(4.05342789389862, rel=TOLERANCE[method])

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_ndgrad_agrees(self, name: str, method: Method) -> None:
        """The backward pass and finite differences agree, with slopes of shape result.shape + point.shape."""
        f = FUNCTIONS[name]
        exact = ndgrad.jacobian(f)(X)
        nudged = slope(f, X, method=method)
        assert nudged.shape == exact.shape == (*np.shape(f(X)), 2, 3)
        np.testing.assert_allclose(nudged, exact, rtol=0, atol=TOLERANCE[method] * max(1, abs(exact).max()))

    @pytest.mark.parametrize("method", METHODS)
    def test_several_arrays(self, method: Method) -> None:
        """The slopes for several arguments are those for each argument alone."""

        def loss(x: Any, w: Any, b: Any) -> Any:
            return (ndgrad.tanh(x @ w + b) ** 2).sum()

        points = (X, W, np.array([0.1, -0.2]))
        for i, nudged in enumerate(slopes(loss, *points, method=method)):
            exact = ndgrad.grad(loss, i)(*points)
            assert np.array_equal(nudged, slope(loss, *points, towards=i, method=method))
            np.testing.assert_allclose(nudged, exact, rtol=0, atol=TOLERANCE[method] * abs(exact).max())

    def test_planted_fault(self) -> None:
        """A rule that is wrong by one part in two thousand is detected: this 2.001 is wrong, on purpose."""
        wrong = 2.001 * X
        assert not np.allclose(slope(lambda x: (x * x).sum(), X), wrong, rtol=1e-5)
        assert np.allclose(slope(lambda x: (x * x).sum(), X), 2 * X, rtol=1e-5)

    @given(x=st.floats(-1e6, 1e6), h=st.floats(1e-6, 10))
    def test_divides_by_the_step_taken(self, x: float, h: float) -> None:
        """The slope of x is exactly 1, however x + h is rounded."""
        assume(x + h != x)
        assert slope(lambda x: x, x, h=h) == 1
        assert slope(lambda x: x, x, h=h, method="central") == 1

    def test_what_the_formulas_neglect(self) -> None:
        """At large h, forward is off by h f''/2, central by h² f'''/6, complex by minus that: x³ at 1, h = 0.5."""
        cube: dict[Method, float] = {m: slope(lambda x: x * x * x, 1.0, h=0.5, method=m) for m in METHODS}
        assert cube == {"forward": 3 + 1.5 + 0.25, "central": 3 + 0.25, "complex": 3 - 0.25}

    def test_backward(self) -> None:
        """A negative step differs backward: at 0, the slope of |x| is 1 forward and -1 backward."""
        assert (slope(abs, 0.0, h=0.5), slope(abs, 0.0, h=-0.5), slope(abs, 0.0, method="central")) == (1, -1, 0)


class TestNumbers:
    """Dtypes."""

    def test_number_to_number_is_a_float(self) -> None:
        """For a number and a function that returns one, the slope is a float; otherwise it is an array."""
        assert type(slope(article, 3.0)) is float
        assert type(slope(article, np.array(3.0))) is float
        assert type(slope(article, np.array([3.0]))) is np.ndarray

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
    def test_dtype(self, dtype: Any, method: Method) -> None:
        """The function gets the point's dtype, or the complex dtype that holds it, and the slope has that dtype."""
        seen = set()

        def f(x: Any) -> Any:
            seen.add(x.dtype)
            return x * x

        found = slope(f, np.array([3.0, -1.0], dtype), method=method)
        assert found.dtype == dtype
        assert seen == ({np.result_type(dtype, np.complex64)} if method == "complex" else {np.dtype(dtype)})
        np.testing.assert_allclose(np.diagonal(found), [6, -2], rtol=8 * np.finfo(dtype).eps ** 0.5)

    def test_float32_steps_suit_float32(self) -> None:
        """In float32 the default steps are longer, and the slopes as accurate as float32 allows."""
        x = np.float32(1.5)
        exact = float(ndgrad.grad(FUNCTIONS["tanh"])(1.5))
        assert slope(ndgrad.tanh, x) == pytest.approx(exact, rel=3e-3)
        assert slope(ndgrad.tanh, x, method="central") == pytest.approx(exact, rel=3e-4)
        assert slope(ndgrad.tanh, x, method="complex") == pytest.approx(exact, rel=1e-6)

    def test_dtypes_of_other_arguments_stay(self) -> None:
        """Only the nudged argument may change its dtype."""

        def f(a: Any, b: Any) -> Any:
            assert (a.dtype, b.dtype) == (np.float32, np.float64)
            return (a * b).sum()

        a, b = slopes(f, np.ones(2, np.float32), np.ones(2))
        assert (a.dtype, b.dtype) == (np.float32, np.float64)

    @pytest.mark.parametrize("point", [3, np.uint8(3), [3, 3], np.array([[3]]), np.zeros(0, int)])
    def test_integers_become_floats(self, point: Any) -> None:
        """Integers are converted to float64, and not nudged by integers."""
        found = slope(lambda x: (3 * x**2 - 4 * x).sum(), point)
        assert np.asarray(found).dtype == np.float64
        np.testing.assert_allclose(found, np.full(np.shape(point), 14), rtol=1e-6)

    def test_booleans_become_floats(self) -> None:
        """Booleans are converted to float64."""
        np.testing.assert_allclose(slope(np.square, np.array([True, False])), [[2, 0], [0, 0]], atol=1e-6)

    def test_whole_results(self) -> None:
        """Results of integers or booleans are converted to floats, so that differences do not wrap around."""
        assert slope(lambda x: np.floor(x).astype(np.uint8), 3.0, h=-1.0) == 1
        assert slope(lambda x: x > 3, 3.0, h=0.5) == 2

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(("point", "shape"), [((0,), (0,)), ((2, 0), (2, 0, 2, 0)), ((0, 3), (0, 3, 0, 3))])
    def test_empty(self, point: tuple[int, ...], shape: tuple[int, ...], method: Method) -> None:
        """For an empty point the slopes are empty, with the right shape and dtype."""
        f = np.sum if len(shape) == 1 else np.negative
        found = slope(f, np.zeros(point, np.float32), method=method)
        assert (found.shape, found.dtype) == (shape, np.float32)

    def test_nan(self) -> None:
        """The slope at NaN is NaN, without an error."""
        assert math.isnan(slope(article, math.nan))
        assert slope(article, np.array([math.nan, 1.0]))[1, 1] == pytest.approx(2, rel=1e-6)


class TestCalls:
    """Calls of the function."""

    def test_each_number_is_nudged_alone(self) -> None:
        """The function is called at the point, and then with each entry nudged separately."""
        seen: list[Array] = []

        def f(x: Array) -> Any:
            seen.append(x.copy())
            return x.sum()

        slope(f, X, h=0.25)
        here, *nudged = seen
        assert np.array_equal(here, X)
        assert np.array_equal([x - X for x in nudged], 0.25 * np.eye(6).reshape(6, 2, 3))

    @pytest.mark.parametrize("method", METHODS)
    def test_points_stay_as_they_are(self, method: Method) -> None:
        """A function that writes to its arguments changes neither the points nor the slopes."""

        def f(x: Array, w: Array) -> Any:
            x *= x
            w += 1
            return x @ w

        x, w = X.copy(), W.copy()
        towards_x, towards_w = slopes(f, x, w, method=method)
        assert np.array_equal(x, X)
        assert np.array_equal(w, W)
        np.testing.assert_allclose(towards_x, ndgrad.jacobian(lambda x: x**2 @ (W + 1))(X), atol=1e-6)
        np.testing.assert_allclose(towards_w, ndgrad.jacobian(lambda w: X**2 @ (w + 1))(W), atol=1e-6)

    def test_read_only_points(self) -> None:
        """Points may be read-only, with stride 0."""
        found = slope(lambda x: (x * x).sum(), np.broadcast_to(np.float64(3.0), (2,)))
        np.testing.assert_allclose(found, [6, 6], rtol=1e-6)

    @pytest.mark.parametrize("method", METHODS)
    def test_results_in_one_buffer(self, method: Method) -> None:
        """The function may return the same array each time, with other numbers."""
        buffer = np.empty(3, complex if method == "complex" else float)

        def f(x: Array) -> Array:
            return np.multiply(x, x, out=buffer)

        found = slope(f, np.array([1.0, 2.0, 3.0]), method=method)
        np.testing.assert_allclose(found, np.diag([2.0, 4.0, 6.0]), atol=1e-6)

    @pytest.mark.parametrize("method", METHODS)
    def test_result_is_the_argument(self, method: Method) -> None:
        """The function may return its argument, and has slope 1."""
        np.testing.assert_allclose(slope(lambda x: x, np.zeros(2), method=method), np.eye(2), rtol=1e-12)


class TestRefusals:
    """Errors."""

    @pytest.mark.parametrize(
        ("f", "words"),
        [
            (lambda x: Value(x) * 2, "the result of f must be a number .* but is a Value; for a Value, pass its .data"),
            (lambda x: [Value(x), Value(x)], "the result of f .* but is a list; for a Value, pass its .data"),
            (lambda _: None, "the result of f .* but is a NoneType"),
            (lambda _: "12", "the result of f .* but is a str"),
            (lambda x: [[x], [x, x]], "the result of f .* but is a list"),
            (lambda x: x * 1j, "the result of f must be real, but is complex128"),
        ],
    )
    def test_results(self, f: Any, words: str) -> None:
        """A result that is neither a number nor a plain array is an error, which tells users of Values what to do."""
        with pytest.raises(TypeError, match=words):
            slope(f, 1.0)

    @pytest.mark.parametrize(
        ("point", "words"),
        [
            (Value(1.0), "argument 1 must be a number .* but is a Value; for a Value, pass its .data"),
            ([Value(1.0)], "argument 1 .* but is a list"),
            ("1", "argument 1 .* but is a str"),
            (1j, "argument 1 must be real, but is complex128"),
        ],
    )
    def test_points(self, point: Any, words: str) -> None:
        """The same holds for points."""
        with pytest.raises(TypeError, match=words):
            slope(np.add, 1.0, point)

    def test_method(self) -> None:
        """An unknown method is an error that lists the methods."""
        with pytest.raises(ValueError, match="method is 'centre', but must be one of forward, central, complex"):
            slope(article, 1.0, method="centre")  # type: ignore[arg-type]

    @pytest.mark.parametrize("towards", [1, -1])
    def test_towards(self, towards: int) -> None:
        """A position without an argument is an error."""
        with pytest.raises(ValueError, match=f"towards is {towards}, but f has 1 arguments"):
            slope(article, 1.0, towards=towards)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("h", [0, 0.0, math.inf, math.nan])
    def test_no_step(self, h: float, method: Method) -> None:
        """A step of 0, infinity or NaN is an error."""
        with pytest.raises(ValueError, match=f"h is {h}, but a step must be finite and not 0"):
            slope(article, 1.0, h=h, method=method)

    @pytest.mark.parametrize("method", ["forward", "central"])
    def test_too_small_a_step(self, method: Method) -> None:
        """A step that is lost in rounding is an error, and not a slope of 0; it says which step would do."""
        with pytest.raises(ValueError, match=r"does not move 1000\.0 by 1e-14: the next float64 is 1\.14e-13 away"):
            slope(article, 1000.0, h=1e-14, method=method)
        with pytest.raises(ValueError, match=r"the next float32 is 0\.25 away, take a larger h"):
            slope(article, np.float32(4e6), h=0.01, method=method)


class TestComplexStep:
    """The complex step."""

    def test_no_rounding(self) -> None:
        """Where central loses at least half of its digits, complex keeps all, down to the smallest steps."""
        exact = 1e3 * math.cos(1e3)
        for h in (1e-12, 1e-20, 1e-100, 1e-200):
            assert slope(lambda x: ndgrad.sin(1e3 * x), 1.0, h=h, method="complex") == pytest.approx(exact, rel=1e-15)

    @pytest.mark.parametrize(
        ("f", "words"),
        [
            (abs, "real numbers for complex ones"),
            (ndgrad.sigmoid, "real numbers for complex ones"),
            (lambda x: np.linalg.norm([x, x]), "real numbers for complex ones"),
            (lambda _: 7.0, "or it does not depend on this argument"),
            (math.sin, "f fails on complex numbers .*discards the imaginary part"),
            (lambda x: float(x) * x, "f fails on complex numbers .*discards the imaginary part"),
            (into_real_array, "f fails on complex numbers .*discards the imaginary part"),
            (ndgrad.softplus, "f fails on complex numbers .*logaddexp"),
            (lambda x: Value(x) * 2, "f fails on complex numbers .*real numbers, but got dtype complex128"),
        ],
    )
    def test_not_analytic(self, f: Any, words: str) -> None:
        """A function that drops the imaginary part is an error, which recommends another method."""
        with pytest.raises(TypeError, match=f"{words}.*take the method 'central'"):
            slope(f, 1.5, method="complex")

    def test_not_noticed(self) -> None:
        """As the docstring warns, abs of complex numbers gives a wrong slope without an error."""
        f = FUNCTIONS["square and sum"]
        assert slope(f, 1.5, method="complex") == 3
        assert slope(lambda x: x * abs(x), 1.5, method="central") == pytest.approx(3)
        assert slope(lambda x: x * abs(x), 1.5, method="complex") == 1.5

    def test_comparisons_are_no_obstacle(self) -> None:
        """relu, maximum and clip only select numbers, so they keep the imaginary part."""
        for f in (ndgrad.relu, lambda x: np.maximum(x, 0), lambda x: ndgrad.clip(x, -1, 1)):
            assert np.diagonal(slope(f, np.array([-0.5, 0.5]), method="complex"))[1] == 1
        assert np.diagonal(slope(ndgrad.relu, np.array([-0.5, 0.5]), method="complex"))[0] == 0


PRINTED = """\
h                forward    error          central    error          complex    error   errors 1e-3 to 1e0
5.0e-01             15.5  1.5e+00               14  0.0e+00               14  0.0e+00   *  f
7.8e-03       14.0234375  2.3e-02               14  0.0e+00               14  0.0e+00   *f
9.8e-04       14.0029297  2.9e-03               14  0.0e+00               14  0.0e+00   *
1.0e-17              nan      nan              nan      nan               14  0.0e+00   i"""


class TestErrorTable:
    """The table of errors, as data and as text."""

    def test_the_v(self) -> None:
        """As h shrinks, the errors of forward and central fall, then rise; that of complex falls, and stays."""
        table = error_table(np.exp, 1.0, math.e)
        lowest = {}
        for method in METHODS:
            errors = [row.errors[method] for row in table.rows if not math.isnan(row.errors[method])]
            lowest[method] = errors.index(min(errors))
            assert errors[0] > 1e4 * errors[lowest[method]]
            assert (errors[-1] > 1e4 * errors[lowest[method]]) == (method != "complex")
        assert table.rows[lowest["forward"]].h in (1e-7, 1e-8, 1e-9)
        assert table.rows[lowest["central"]].h in (1e-5, 1e-6, 1e-7)

    def test_orders(self) -> None:
        """A tenth of the step divides the error of forward by ten, and that of the others by a hundred."""
        first, second = error_table(np.exp, 1.0, math.e, hs=(1e-2, 1e-3)).rows
        ratio = {method: first.errors[method] / second.errors[method] for method in METHODS}
        assert ratio == pytest.approx({"forward": 10, "central": 100, "complex": 100}, rel=0.01)

    @pytest.mark.parametrize("size", [0.01, 1.0, 300.0])
    @pytest.mark.parametrize(("method", "root"), [("forward", 1 / 2), ("central", 1 / 3)])
    def test_default_step_is_at_the_bottom(self, method: Method, root: float, size: float) -> None:
        """Over fifty points, a step a hundred times the default, or a hundredth, has a larger error."""

        def error(factor: float | None) -> float:
            total = 0.0
            for x in size * np.random.default_rng(7).uniform(1, 2, 50):
                h = factor and factor * np.finfo(float).eps ** root * max(1, x)
                total += abs(slope(lambda x: x * x * x + 1, x, h=h, method=method) - 3 * x * x)
            return total

        assert error(None) == error(1)
        assert 3 * error(None) < error(100)
        assert 3 * error(None) < error(0.01)

    def test_rows_are_data(self) -> None:
        """A row has the step, and the slope and the error of each method."""
        table = error_table(article, 3, 14, hs=[0.5, 0.25])
        assert [row.h for row in table.rows] == [0.5, 0.25]
        assert [row.slopes["forward"] for row in table.rows] == [15.5, 14.75]
        assert [row.errors for row in table.rows] == [
            {"forward": 1.5, "central": 0, "complex": 0},
            {"forward": 0.75, "central": 0, "complex": 0},
        ]

    def test_too_small_steps(self) -> None:
        """If a step does not move x, the slope is NaN, and the other rows are unaffected."""
        row = error_table(np.exp, 1.0, math.e, hs=[1e-3, 1e-17]).rows[1]
        assert math.isnan(row.slopes["forward"])
        assert math.isnan(row.errors["central"])
        assert row.slopes["complex"] == pytest.approx(math.e, rel=1e-15)

    def test_prints_as_a_table(self) -> None:
        """The table prints a row for each step, with a plot of the errors."""
        assert repr(error_table(article, 3.0, 14.0, hs=[0.5, 2**-7, 2**-10, 1e-17])) == PRINTED

    def test_draws_the_v(self) -> None:
        """The letter of a method is at the power of ten of its error."""
        table = error_table(np.exp, 1.0, math.e, methods=["central"])
        lines = str(table).splitlines()
        left = lines[0].index("errors 1e")
        powers = [math.floor(math.log10(row.errors["central"])) for row in table.rows if row.errors["central"] > 0]
        columns = [line.rindex("c") - left for line in lines[1:] if "c" in line[left:]]
        assert len(columns) == 15
        assert columns == [power - min(powers) for power in powers]

    def test_infinite_errors(self) -> None:
        """An infinite error is at the right edge, and a table without rows is a header."""
        table = error_table(lambda x: np.where(x > 0.05, np.inf, x), 0.0, 1.1, hs=[0.1, 0.01], methods=["forward"])
        assert [line.rstrip()[-1] for line in str(table).splitlines()[1:]] == ["f", "f"]
        assert str(error_table(article, 3.0, 14.0, hs=[])).startswith("h")

    def test_without_complex_numbers(self) -> None:
        """The complex method can be left out."""
        with pytest.raises(TypeError, match="take the method 'central'"):
            error_table(math.sin, 1.0, math.cos(1.0))
        table = error_table(math.sin, 1.0, math.cos(1.0), methods=["forward", "central"])
        assert "complex" not in str(table)
        assert len(table.rows) == len(STEPS)

    @pytest.mark.parametrize(("f", "x"), [(np.sum, np.ones(2)), (lambda x: np.array([x, x]), 1.0)])
    def test_numbers_only(self, f: Any, x: Any) -> None:
        """Arrays are errors: the table is for numbers."""
        with pytest.raises(ValueError, match=r"must be one number each, but the slope has shape \(2,\)"):
            error_table(f, x, 1.0)
