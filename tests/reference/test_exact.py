"""Each row's exact forward: what plain NumPy computes on the same numbers, but for NumPy's own rounding.

The witness is no better than these forwards. So they are held against definitions that owe nothing to them, on all
shapes and options that a row has, and on its edges; and, to a hundred digits, against Python's decimal numbers.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any

import gmpy2
import numpy as np
import pytest

from reference import exact
from reference.catalog import CATALOG
from reference.exact import PRECISION, exactly, precisely
from reference.plans import Options, Shape, any_shape
from reference.source import Seeded, Unsuited, chance, pick
from tests.reference.plain import PLAIN

# Infinities, poles, and spreads of too few numbers are met on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

Case = tuple[list[np.ndarray], Options]

MANNERS = ("ordinary", "irregular", "edges", "nonfinite")
CASES = 40  # for each op and manner
BARE = [(), (0,), (2, 0, 3)]  # every fifth operand has one of these shapes, which are rarely drawn
OVERFLOWS = 700  # beyond, a double has no exponential


def _at(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.take_along_axis(x, labels[..., None], -1)[..., 0]
    return found


# Where plain NumPy takes care not to overflow, or makes NaN of 0 * inf, it says something else of infinities than the
# op's definition does; its power a half is the root, which -inf has not; and its product with a single 0 is 0, infinite
# though the other may be. Here the definitions themselves stand, for operands not so large that they overflow.
# fmt: off
DEFINED: dict[str, Callable[..., Any]] = {
    **PLAIN,
    "power":       np.float_power,
    "relu":        lambda x: np.where(x < 0, 0.0, x),
    "softplus":    lambda x: np.log1p(np.exp(x)),
    "softmax":     lambda x, *, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
    "log_softmax": lambda x, *, axis: x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)),
    "label_cross_entropy": lambda x, *, labels: np.log(np.exp(x).sum(-1)) - _at(x, labels),
    "dot":         lambda a, b: products(a, b).sum(-1) if a.ndim and b.ndim else a * b,
}
# fmt: on


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The terms of each sum of `dot`, along the last axis."""
    rows = b if b.ndim == 1 else np.moveaxis(b, -2, -1)
    terms: np.ndarray = np.expand_dims(a, tuple(range(-b.ndim, -1))) * rows
    return terms


# NumPy's vector functions err by up to 4 ULP, and a definition here calls two of them. The largest error met is 1.9.
ROUNDING = 8 * 2.0**-52
SUMS = {"sum", "mean", "cumsum", "scatter", "matmul", "dot"}  # each term is rounded, though they may cancel
LOGARITHMS = {
    "log",
    "log1p",
    "softplus",
    "logsumexp",
    "log_softmax",
    "label_cross_entropy",
}  # an error in their argument is added to them

# Which of two zeros is the larger, and whether a sum begins with 0, NumPy leaves to the machine.
UNSIGNED = SUMS | {"maximum", "minimum", "clip", "max", "min"}

STARTED = {"mean", "var", "std", "max", "min", "logsumexp"}  # reductions that need a number to start from


def pool(op: str, position: int, manner: str) -> Sequence[float]:
    """Ordinary numbers of an operand, such with all digits in use, its edges, and these with what is not finite."""
    domain = CATALOG[op].domain(position)
    edges = [x for x in domain.edges if abs(x) < OVERFLOWS]
    return {
        "ordinary": domain.numbers,
        "irregular": [x / 3 for x in domain.numbers],
        "edges": edges,
        "nonfinite": [*edges, np.inf, -np.inf, np.nan],
    }[manner]


def drawn(op: str, manner: str) -> Iterator[Case]:
    """Draw operands and options, as the row has them."""
    plan = CATALOG[op].plan
    for i in range(CASES):
        source = Seeded("exact", op, manner, i)
        shape = BARE[i // 5 % len(BARE)] if i % 5 == 0 else any_shape(source)
        try:
            shapes, options = plan.draw(source, shape, source.integer(0, plan.slots - 1))
        except Unsuited:
            continue
        yield [numbers(source, pool(op, j, manner), shape) for j, shape in enumerate(shapes)], options


def numbers(source: Seeded, some: Sequence[float], shape: Shape) -> np.ndarray:
    """Draw an array of some numbers: of all of them, or of two, so that there are ties."""
    few = [pick(source, some), pick(source, some)] if chance(source, 25) else some
    return np.array([pick(source, few) for _ in range(int(np.prod(shape)))]).reshape(shape)


def computed(forward: Callable[..., Any], operands: Sequence[Any], options: Options) -> Any:
    """What an exact forward gives, as an array."""
    with precisely():
        return np.asarray(forward(*map(exactly, operands), **options), dtype=object)


def rounded(array: Any) -> np.ndarray:
    """Exact numbers as the nearest doubles."""
    return np.array([float(x) for x in array.reshape(-1)]).reshape(array.shape)


def allowed(op: str, result: np.ndarray, operands: Sequence[np.ndarray], options: Options) -> np.ndarray:
    """How far NumPy's rounding may take it from each number."""
    scale = np.abs(result)
    if op in SUMS:
        scale = rounded(computed(CATALOG[op].exact, [np.abs(x) for x in operands], options))
    if op in LOGARITHMS:
        scale = scale + 1 + max((abs(x) for x in operands[0].flat if np.isfinite(x)), default=0)
    spread: np.ndarray = ROUNDING * scale
    return spread


def departures(op: str, manner: str, forward: Callable[..., Any]) -> Iterator[str]:
    """Where an exact forward is not what NumPy computes."""
    for operands, options in drawn(op, manner):
        got = computed(forward, operands, options)
        with np.errstate(all="ignore"):
            wanted = np.asarray(DEFINED[op](*operands, **options))
        if got.shape != wanted.shape:
            yield f"shape {got.shape}, not {wanted.shape}: {operands} {options}"
            continue
        mine, theirs = rounded(got).astype(wanted.dtype), wanted
        with np.errstate(all="ignore"):
            near = np.abs(mine - theirs) <= allowed(op, theirs.astype(float), operands, options)
        same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        signs = (np.signbit(mine) == np.signbit(theirs)) | (mine != 0) | (theirs != 0) | (op in UNSIGNED)
        if not (signs & (same | (near & np.isfinite(theirs)))).all():
            yield f"{mine}, not {theirs}: {operands} {options}"


@pytest.mark.parametrize("op", CATALOG)
@pytest.mark.parametrize("manner", MANNERS)
def test_a_row_computes_what_numpy_does(op: str, manner: str) -> None:
    """The same shape, the same numbers but for NumPy's rounding; NaN, infinities and signs of zeros in their places."""
    assert not list(departures(op, manner, CATALOG[op].exact))


@pytest.mark.parametrize("op", CATALOG)
def test_a_forward_that_is_off_would_be_seen(op: str) -> None:
    """These are wrong, on purpose: off by a relative 1e-13, or of the other sign, none of them passes."""
    right = CATALOG[op].exact

    def times(factor: float) -> Callable[..., Any]:
        return lambda *operands, **options: right(*operands, **options) * gmpy2.mpfr(factor)

    assert list(departures(op, "irregular", times(1 + 1e-13)))
    assert list(departures(op, "irregular", times(-1.0)))


def test_empty_operands_and_single_numbers_are_among_the_drawn() -> None:
    """Every op meets an operand of no numbers, and one of no axes but for those whose row has none such."""
    shapes = {op: {x.shape for manner in MANNERS for xs, _ in drawn(op, manner) for x in xs} for op in CATALOG}
    assert not [op for op, met in shapes.items() if not any(0 in shape for shape in met)]
    assert {op for op, met in shapes.items() if () not in met} == {
        "softmax", "log_softmax", "label_cross_entropy", "swapaxes", "split", "matmul",
    }  # fmt: skip


@pytest.mark.parametrize("op", sorted(STARTED))
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (0, 2, 0)])
def test_of_no_numbers_a_row_computes_what_numpy_does(op: str, shape: Shape) -> None:
    """Over any axes: where NumPy has no answer, or NaN, or infinity, or no numbers either, so has the row."""
    for axis in [None, (), *range(len(shape)), tuple(range(len(shape)))]:
        options = {"axis": axis, "keepdims": False}
        try:
            with np.errstate(all="ignore"):
                wanted = np.asarray(DEFINED[op](np.zeros(shape), **options))
        except ValueError:
            with pytest.raises(ValueError, match="no identity"):
                computed(CATALOG[op].exact, [np.zeros(shape)], options)
        else:
            got = rounded(computed(CATALOG[op].exact, [np.zeros(shape)], options))
            np.testing.assert_array_equal(got, wanted, strict=True)


# To a hundred digits.


def sine(x: Decimal) -> Decimal:
    """By its series, which converges whatever x is."""
    term, total, n = x, x, 1
    while total + term != total or n < abs(x):
        n += 2
        term *= -x * x / (n * (n - 1))
        total += term
    return total


def cosine(x: Decimal) -> Decimal:
    """By the sine of half of it."""
    return 1 - 2 * sine(x / 2) ** 2


# fmt: off
BY_DECIMALS: dict[str, Callable[[Decimal], Decimal]] = {
    "exp":      lambda x: x.exp(),
    "expm1":    lambda x: x.exp() - 1,
    "sin":      sine,
    "cos":      cosine,
    "tan":      lambda x: sine(x) / cosine(x),
    "tanh":     lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "sigmoid":  lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: (1 + x.exp()).ln(),
    "square":   lambda x: x * x,
}
OF_POSITIVE: dict[str, Callable[[Decimal], Decimal]] = {
    "log":      lambda x: x.ln(),
    "log1p":    lambda x: (1 + x).ln(),
    "sqrt":     lambda x: x.sqrt(),
}
# fmt: on
EVERYWHERE = [0.1, -0.1, 1.0, -3.875, 20.5, 1e-12, -1e-12, 700.0, -1000.0, 1000.0]


@pytest.mark.parametrize("op", [*BY_DECIMALS, *OF_POSITIVE])
def test_a_row_is_right_to_a_hundred_digits(op: str) -> None:
    """Beside Python's decimal numbers: also of 0.1 as a double, which is not a tenth, and where a double overflows."""
    points = EVERYWHERE if op in BY_DECIMALS else [x for x in EVERYWHERE if x > 0]
    got = computed(CATALOG[op].exact, [points], {})
    for x, number in zip(points, got, strict=True):
        with localcontext(prec=1200, Emax=10**9, Emin=-(10**9)):
            wanted = {**BY_DECIMALS, **OF_POSITIVE}[op](Decimal(x))
            off = abs(Decimal(f"{number:.130e}") - wanted)
            assert off <= abs(wanted) * Decimal("1e-100"), x


def test_nothing_overflows() -> None:
    """Beyond a double's range a number is one still: exp(1000) is the inverse of exp(-1000)."""
    (large,), (small,) = (computed(CATALOG["exp"].exact, [[x]], {}) for x in (1e3, -1e3))
    with precisely():
        assert gmpy2.is_finite(large)
        assert abs(large * small - 1) < gmpy2.mpfr("1e-100")


# fmt: off
FAR_OUT: list[tuple[str, list[float], list[float]]] = [
    ("softplus",    [1e9, 1e300, -1e300],        [1e9, 1e300, 0.0]),
    ("logsumexp",   [1e300, -1e300],             [1e300]),
    ("logsumexp",   [-1e300, -np.inf],           [-1e300]),
    ("softmax",     [1e9, 1e9, 1.0],             [0.5, 0.5, 0.0]),
    ("log_softmax", [1e9, -1e9, -np.inf],        [0.0, -2e9, -np.inf]),
]
# fmt: on


@pytest.mark.parametrize(("op", "given", "wanted"), FAR_OUT)
def test_what_comes_back_from_an_exponential_comes_back(op: str, given: list[float], wanted: list[float]) -> None:
    """Also where that is beyond what any of these numbers holds."""
    options = {} if op == "softplus" else {"axis": 0}
    assert rounded(computed(CATALOG[op].exact, [given], options)).reshape(-1).tolist() == wanted


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
def test_numbers_are_exact_as_they_are(given: Any) -> None:
    """Of any dtype: a single-precision tenth is that number, and no tenth; the shape stays, and the sign of a zero."""
    with precisely():
        numbers = exactly(given)
    array = np.asarray(given)
    assert (numbers.shape, numbers.dtype) == (array.shape, object)
    assert all(isinstance(x, gmpy2.mpfr(0).__class__) for x in numbers.flat)
    assert [int(x) if array.dtype.kind in "ib" else float(x) for x in numbers.flat] == array.reshape(-1).tolist()
    assert [gmpy2.is_signed(x) for x in numbers.flat] == np.signbit(array.astype(float)).reshape(-1).tolist()


def test_operands_are_left_as_they_are() -> None:
    """No forward writes into what it is given."""
    for op in CATALOG:
        for operands, options in drawn(op, "ordinary"):
            with precisely():
                given = [exactly(x) for x in operands]
                CATALOG[op].exact(*given, **options)
            assert all((rounded(x) == y).all() for x, y in zip(given, operands, strict=True)), op


def test_precision_lasts_as_long_as_it_is_asked_for() -> None:
    """It ends with its block, and one block may stand within another."""
    before = gmpy2.get_context().precision
    with precisely():
        with precisely():
            assert gmpy2.get_context().precision == PRECISION
        assert gmpy2.get_context().precision == PRECISION
    assert gmpy2.get_context().precision == before


def test_precision_ends_with_an_error() -> None:
    """What follows computes as before."""
    before = gmpy2.get_context().precision
    with pytest.raises(KeyError), precisely():
        raise KeyError
    assert gmpy2.get_context().precision == before


def test_no_gradient_rule_is_in_reach() -> None:
    """The module imports numbers and arrays, and nothing that differentiates."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(exact))))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert modules == {"__future__", "collections.abc", "contextlib", "typing", "gmpy2", "numpy"}


# What users write.


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
    """As for floats, on arrays with and without axes; all digits are exact."""
    for x in (np.array([[-3.0, 0.5], [20.0, -0.25]]), np.array(1.5)):
        if x.ndim or "axis" not in str(definition.__code__.co_consts) + str(definition.__code__.co_names):
            with exact.precisely():
                got = exact.defined(definition, [exact.exactly(x)], {})
            assert type(got) is np.ndarray
            np.testing.assert_allclose(got.astype(float), double(x), rtol=1e-13)


def test_logaddexp_knows_infinities() -> None:
    """The larger of the two, where one is infinite."""
    inf = float("inf")
    with exact.precisely():
        pairs = [exact.exactly([inf, -inf, -inf, inf]), exact.exactly([inf, -inf, 1.0, 1.0])]
        got = exact.defined(np.logaddexp, pairs, {})
    assert got.astype(float).tolist() == [inf, -inf, 1.0, inf]


def test_a_function_that_exact_numbers_have_not() -> None:
    """The error names those that they have."""
    with pytest.raises(TypeError, match=r"which know arccos, .*, exp, .*tanh: "):
        exact.defined(np.deg2rad, [exact.exactly([1.0])], {})
