"""Each op's definition agrees with itself on floats and on exact numbers, with PyTorch and with mpmath.

The witness, the generator and the checks of refusals all rely on the definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gmpy2
import mpmath
import numpy as np
import pytest
import torch

from reference.engines.exact.numbers import PRECISION, InexactError, computed, exactly, precisely
from reference.engines.torch import mirror
from reference.ops import OPS, Op
from reference.ops.options import Options
from reference.ops.shapes import any_shape
from reference.ops.source import Seeded, Unsuited, chance, pick
from tests.reference.drawing import numbers

Case = tuple[list[np.ndarray], Options]

MANNERS = ("ordinary", "irregular", "edges", "nonfinite")
CASES = 60  # for each op and manner
RARE_SHAPES = [(), (0,), (2, 0, 3)]  # every fifth case has one of these shapes, which any_shape gives rarely
OVERFLOWS = 700  # the exponential of larger numbers overflows
ROUNDING = 8 * 2.0**-53
NUDGE = 2.0**-40  # the relative move of operands that shows the conditioning

# Some cases have no degrees of freedom on purpose.
pytestmark = pytest.mark.filterwarnings(r"ignore:(var|std)\(\). degrees of freedom")


def pool(op: str, position: int, manner: str) -> Sequence[float]:
    """An operand's ordinary numbers, numbers with all digits in use, its edges, or its edges with nonfinite numbers."""
    domain = OPS[op].domain(position)
    edges = [x for x in domain.edges if abs(x) < OVERFLOWS]
    return {
        "ordinary": domain.numbers,
        "irregular": [x / 3 for x in domain.numbers],
        "edges": edges,
        "nonfinite": [*edges, np.inf, -np.inf, np.nan],
    }[manner]


def draw_cases(op: str, manner: str) -> Iterator[Case]:
    """Draw operands and options as the row describes them. One operand in four has only two numbers, to have ties."""
    inputs = OPS[op].inputs
    for i in range(CASES):
        source = Seeded("definitions", op, manner, i)
        shape = RARE_SHAPES[i // 5 % len(RARE_SHAPES)] if i % 5 == 0 else any_shape(source)
        try:
            shapes, options = inputs.draw(source, shape, source.integer(0, inputs.slots - 1))
        except Unsuited:
            continue
        pools = [pool(op, j, manner) for j in range(len(shapes))]
        few = [[pick(source, some), pick(source, some)] if chance(source, 25) else some for some in pools]
        yield [numbers(source, some, shape) for some, shape in zip(few, shapes, strict=True)], options


def exact(definition: Callable[..., Any], operands: Sequence[Any], options: Options) -> Any:
    """A definition's value on exact numbers."""
    with precisely():
        return computed(definition, list(map(exactly, operands)), options)


def rounded(array: Any) -> np.ndarray:
    """The nearest doubles to exact numbers."""
    return np.array([float(x) for x in array.reshape(-1)]).reshape(array.shape)


def allowed(op: Op, result: np.ndarray, operands: Sequence[np.ndarray], options: Options) -> np.ndarray:
    """The rounding error allowed for each number: some units of the number, and of its move when operands move."""
    moved = np.zeros(result.shape)
    if not op.selects:
        rng = np.random.default_rng(0)
        for _ in range(3):
            near = [x * (1 + NUDGE * rng.uniform(-1, 1, x.shape)) for x in operands]
            with np.errstate(all="ignore"):
                by = np.abs(rounded(exact(op.definition, near, options)) - result) / NUDGE
            moved = np.maximum(moved, np.where(np.isfinite(by), by, 0.0))
    limit: np.ndarray = ROUNDING * (np.abs(result) + 4 * moved + op.logarithmic)
    return limit


def departures(op: str, manner: str, definition: Callable[..., Any], other: Callable[..., Any]) -> Iterator[str]:
    """The cases in which another function's result differs from the exact one by more than rounding."""
    row = OPS[op]
    for operands, options in draw_cases(op, manner):
        wanted = rounded(exact(definition, operands, options))
        with np.errstate(all="ignore"):
            got = np.asarray(other(*operands, **options))
            if got.shape != wanted.shape:
                yield f"shape {got.shape}, not {wanted.shape}: {operands} {options}"
                continue
            wanted = wanted.astype(got.dtype).astype(float)
            near = np.abs(got - wanted) <= allowed(row, wanted, operands, options)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        near &= np.isfinite(wanted) & (got.dtype == float)
        signs = (np.signbit(got) == np.signbit(wanted)) | (wanted != 0) | (got != 0) | np.isnan(got) | (not row.signed)
        if not (signs & (same | near)).all():
            yield f"{got}, not {wanted}: {operands} {options}"


def in_pytorch(op: str) -> Callable[..., Any]:
    """PyTorch's function for the op, on arrays."""
    return lambda *operands, **options: mirror(OPS[op])(*map(torch.tensor, operands), **options).numpy()


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("manner", MANNERS)
def test_floats_and_exact_numbers_agree(op: str, manner: str) -> None:
    """Dispatch on exact numbers gives the same values, with NaN, infinities and signs of zeros in the same places."""
    if manner == "nonfinite" and OPS[op].finite:
        return  # BLAS may leave out a product by 0
    assert not list(departures(op, manner, OPS[op].definition, OPS[op].definition))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("manner", MANNERS[:3])
def test_pytorch_agrees(op: str, manner: str) -> None:
    """PyTorch agrees on some 150 cases per op, ties and edges among them."""
    assert not list(departures(op, manner, OPS[op].definition, in_pytorch(op)))


@pytest.mark.parametrize("op", OPS)
def test_a_wrong_definition_would_be_found(op: str) -> None:
    """A relative error of 1e-13 and a wrong sign are both found. These are wrong, on purpose."""
    right = in_pytorch(op)

    def times(factor: float) -> Callable[..., Any]:
        return lambda *operands, **options: right(*operands, **options) * factor

    for factor in (1 + 1e-13, -1.0):
        assert list(departures(op, "irregular", OPS[op].definition, times(factor)))


def test_cases_include_empty_operands_and_scalars() -> None:
    """Every op has a case with an empty operand, and a case with a scalar unless its row has none."""
    shapes_of = {op: {x.shape for manner in MANNERS for xs, _ in draw_cases(op, manner) for x in xs} for op in OPS}
    assert not [op for op, shapes in shapes_of.items() if not any(0 in shape for shape in shapes)]
    assert {op for op, shapes in shapes_of.items() if () not in shapes} == {
        "softmax", "log_softmax", "label_cross_entropy", "swapaxes", "split", "matmul",
    }  # fmt: skip


# To a hundred digits.


def in_mpmath(op: Op) -> Callable[..., Any] | None:
    """mpmath's function with the op's name or alias, for elementwise ops without options."""
    names = [name for name in (op.name, *op.aliases) if hasattr(mpmath, name)]
    elementwise = isinstance(getattr(np, op.name, None), np.ufunc)
    return getattr(mpmath, names[0]) if names and elementwise else None


IN_MPMATH = {op.name: function for op in OPS.values() if (function := in_mpmath(op))}
POINTS = [0.1, -0.1, 1.0, -3.875, 20.5, 1e-12, -1e-12, 700.0, -1000.0, 1000.0]


def test_mpmath_has_the_elementary_functions() -> None:
    """The lookup by name finds mpmath's elementary functions."""
    assert IN_MPMATH.keys() >= {"exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "tanh", "power"}


@pytest.mark.parametrize("op", IN_MPMATH)
def test_mpmath_agrees(op: str) -> None:
    """mpmath agrees to a hundred digits, also on the double nearest to 0.1 and where doubles overflow."""
    places = [np.array(grid) for grid in np.meshgrid(*[POINTS] * OPS[op].inputs.slots)]
    inside = np.all([[OPS[op].domain(i).holds(np.array(x)) for x in g.flat] for i, g in enumerate(places)], axis=0)
    operands = [g.reshape(-1)[inside] for g in places]
    got = exact(OPS[op].definition, operands, {})
    with mpmath.workprec(PRECISION + 60):
        for number, *given in zip(got, *operands, strict=True):
            wanted = IN_MPMATH[op](*(mpmath.mpf(float(x)) for x in given))
            difference = abs(mpmath.mpf(f"{number:.130e}") - wanted)
            assert difference <= abs(wanted) * mpmath.mpf("1e-100"), given


def test_nothing_overflows() -> None:
    """Exact numbers exceed the range of doubles: exp(1000) is finite, and the inverse of exp(-1000)."""
    (large,), (small,) = (exact(OPS["exp"].definition, [[x]], {}) for x in (1e3, -1e3))
    with precisely():
        assert gmpy2.is_finite(large)
        assert abs(large * small - 1) < gmpy2.mpfr("1e-100")


# fmt: off
LARGE: list[tuple[str, list[float], list[float]]] = [
    ("softplus",    [1e9, 1e300, -1e300],        [1e9, 1e300, 0.0]),
    ("logsumexp",   [1e300, -1e300],             [1e300]),
    ("logsumexp",   [-1e300, -np.inf],           [-1e300]),
    ("softmax",     [1e9, 1e9, 1.0],             [0.5, 0.5, 0.0]),
    ("log_softmax", [1e9, -1e9, -np.inf],        [0.0, -2e9, -np.inf]),
]
# fmt: on


@pytest.mark.parametrize(("op", "given", "wanted"), LARGE)
def test_logarithms_of_exponentials_do_not_overflow(op: str, given: list[float], wanted: list[float]) -> None:
    """The results are right even if the exponentials exceed the range of exact numbers."""
    options = {} if op == "softplus" else {"axis": 0}
    assert rounded(exact(OPS[op].definition, [given], options)).reshape(-1).tolist() == wanted


# Exactness.

MOVE = gmpy2.mpfr(2) ** -200  # no double holds 1 + MOVE


@pytest.mark.parametrize("op", OPS)
def test_no_digit_is_lost(op: str) -> None:
    """A move of the operands by 2**-200 changes the results, so no number is converted to a float."""
    seen = 0
    for operands, options in draw_cases(op, "irregular"):
        with precisely():
            given = list(map(exactly, operands))
            moved = [x * (1 + (i + 1) * MOVE) for i, x in enumerate(given)]
            one, other = (computed(OPS[op].definition, xs, options) for xs in (given, moved))
            seen += bool(np.any(one != other))
    assert seen > 10


@pytest.mark.parametrize("definition", [np.gradient, lambda x: np.asarray(x, float), lambda x: [float(x[0]), *x[1:]]])
def test_a_conversion_to_floats_is_refused(definition: Callable[..., Any]) -> None:
    """A definition that converts exact numbers to floats raises InexactError, where NumPy would return doubles."""
    with precisely(), pytest.raises(InexactError, match=r"goes through floats|fails on exact numbers"):
        computed(definition, [exactly([1.0, 2.0, 4.0])], {})


def test_operands_are_left_as_they_are() -> None:
    """No definition writes into its operands."""
    for op in OPS:
        for operands, options in draw_cases(op, "ordinary"):
            with precisely():
                given = [exactly(x) for x in operands]
                computed(OPS[op].definition, given, options)
            assert all((rounded(x) == y).all() for x, y in zip(given, operands, strict=True)), op
