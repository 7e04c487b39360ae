"""Each op's definition, run on floats and on exact numbers, and two independent opinions of it: PyTorch's and mpmath's.

The witness is no better than the definitions, and the generator and the refusals stand on them as well.
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
BARE = [(), (0,), (2, 0, 3)]  # every fifth operand has one of these shapes, which are rarely drawn
OVERFLOWS = 700  # beyond, a double has no exponential
ROUNDING = 8 * 2.0**-53
NUDGE = 2.0**-40  # how far operands are moved to see how far results move

pytestmark = pytest.mark.filterwarnings(r"ignore:(var|std)\(\). degrees of freedom")  # that numbers run out is meant


def pool(op: str, position: int, manner: str) -> Sequence[float]:
    """Ordinary numbers of an operand, such with all digits in use, its edges, and these with what is not finite."""
    domain = OPS[op].domain(position)
    edges = [x for x in domain.edges if abs(x) < OVERFLOWS]
    return {
        "ordinary": domain.numbers,
        "irregular": [x / 3 for x in domain.numbers],
        "edges": edges,
        "nonfinite": [*edges, np.inf, -np.inf, np.nan],
    }[manner]


def drawn(op: str, manner: str) -> Iterator[Case]:
    """Draw operands and options, as the row has them: of all numbers of a manner, or of two, so that there are ties."""
    inputs = OPS[op].inputs
    for i in range(CASES):
        source = Seeded("definitions", op, manner, i)
        shape = BARE[i // 5 % len(BARE)] if i % 5 == 0 else any_shape(source)
        try:
            shapes, options = inputs.draw(source, shape, source.integer(0, inputs.slots - 1))
        except Unsuited:
            continue
        pools = [pool(op, j, manner) for j in range(len(shapes))]
        few = [[pick(source, some), pick(source, some)] if chance(source, 25) else some for some in pools]
        yield [numbers(source, some, shape) for some, shape in zip(few, shapes, strict=True)], options


def exact(definition: Callable[..., Any], operands: Sequence[Any], options: Options) -> Any:
    """What a definition gives of exact numbers."""
    with precisely():
        return computed(definition, list(map(exactly, operands)), options)


def rounded(array: Any) -> np.ndarray:
    """Exact numbers as the nearest doubles."""
    return np.array([float(x) for x in array.reshape(-1)]).reshape(array.shape)


def allowed(op: Op, result: np.ndarray, operands: Sequence[np.ndarray], options: Options) -> np.ndarray:
    """How far rounding may take a float from each number: some units of it, and of what it moves with its operands."""
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
    """Where what another computes is not the exact number rounded, but for rounding of its own."""
    row = OPS[op]
    for operands, options in drawn(op, manner):
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
    """PyTorch's function of the op, on arrays."""
    return lambda *operands, **options: mirror(OPS[op])(*map(torch.tensor, operands), **options).numpy()


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("manner", MANNERS)
def test_floats_and_exact_numbers_agree(op: str, manner: str) -> None:
    """Dispatch changes no meaning: NaN, infinities and signs of zeros come out in the same places."""
    if manner == "nonfinite" and OPS[op].finite:
        return  # BLAS may leave out a product by 0
    assert not list(departures(op, manner, OPS[op].definition, OPS[op].definition))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("manner", MANNERS[:3])
def test_pytorch_is_of_the_same_opinion(op: str, manner: str) -> None:
    """At some 150 arrays of each op, ties and edges among them."""
    assert not list(departures(op, manner, OPS[op].definition, in_pytorch(op)))


@pytest.mark.parametrize("op", OPS)
def test_a_definition_that_is_off_would_be_seen(op: str) -> None:
    """These are wrong, on purpose: off by a relative 1e-13, or of the other sign, none of them passes."""
    right = in_pytorch(op)

    def times(factor: float) -> Callable[..., Any]:
        return lambda *operands, **options: right(*operands, **options) * factor

    for factor in (1 + 1e-13, -1.0):
        assert list(departures(op, "irregular", OPS[op].definition, times(factor)))


def test_empty_operands_and_single_numbers_are_among_the_drawn() -> None:
    """Every op meets an operand of no numbers, and one of no axes but for those whose row has none such."""
    shapes = {op: {x.shape for manner in MANNERS for xs, _ in drawn(op, manner) for x in xs} for op in OPS}
    assert not [op for op, met in shapes.items() if not any(0 in shape for shape in met)]
    assert {op for op, met in shapes.items() if () not in met} == {
        "softmax", "log_softmax", "label_cross_entropy", "swapaxes", "split", "matmul",
    }  # fmt: skip


# To a hundred digits.


def in_mpmath(op: Op) -> Callable[..., Any] | None:
    """Its function of the op's name or of an alias, for ops that work number by number without options."""
    names = [name for name in (op.name, *op.aliases) if hasattr(mpmath, name)]
    elementwise = isinstance(getattr(np, op.name, None), np.ufunc)
    return getattr(mpmath, names[0]) if names and elementwise else None


KNOWN_TO_MPMATH = {op.name: function for op in OPS.values() if (function := in_mpmath(op))}
POINTS = [0.1, -0.1, 1.0, -3.875, 20.5, 1e-12, -1e-12, 700.0, -1000.0, 1000.0]


def test_mpmath_knows_many() -> None:
    """The elementary functions, found by their names."""
    assert KNOWN_TO_MPMATH.keys() >= {"exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "tanh", "power"}


@pytest.mark.parametrize("op", KNOWN_TO_MPMATH)
def test_mpmath_is_of_the_same_opinion(op: str) -> None:
    """To a hundred digits: also of 0.1 as a double, which is not a tenth, and where a double overflows."""
    places = [np.array(grid) for grid in np.meshgrid(*[POINTS] * OPS[op].inputs.slots)]
    inside = np.all([[OPS[op].domain(i).holds(np.array(x)) for x in g.flat] for i, g in enumerate(places)], axis=0)
    operands = [g.reshape(-1)[inside] for g in places]
    got = exact(OPS[op].definition, operands, {})
    with mpmath.workprec(PRECISION + 60):
        for number, *given in zip(got, *operands, strict=True):
            wanted = KNOWN_TO_MPMATH[op](*(mpmath.mpf(float(x)) for x in given))
            off = abs(mpmath.mpf(f"{number:.130e}") - wanted)
            assert off <= abs(wanted) * mpmath.mpf("1e-100"), given


def test_nothing_overflows() -> None:
    """Beyond a double's range a number is one still: exp(1000) is the inverse of exp(-1000)."""
    (large,), (small,) = (exact(OPS["exp"].definition, [[x]], {}) for x in (1e3, -1e3))
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
    assert rounded(exact(OPS[op].definition, [given], options)).reshape(-1).tolist() == wanted


# Exactness.

MOVE = gmpy2.mpfr(2) ** -200  # what no double beside 1 holds


@pytest.mark.parametrize("op", OPS)
def test_no_digit_is_lost(op: str) -> None:
    """Operands that no double holds, moved by 2**-200: the difference comes out, so nothing goes through floats."""
    seen = 0
    for operands, options in drawn(op, "irregular"):
        with precisely():
            given = list(map(exactly, operands))
            moved = [x * (1 + (i + 1) * MOVE) for i, x in enumerate(given)]
            one, other = (computed(OPS[op].definition, xs, options) for xs in (given, moved))
            seen += bool(np.any(one != other))
    assert seen > 10


@pytest.mark.parametrize("definition", [np.gradient, lambda x: np.asarray(x, float), lambda x: [float(x[0]), *x[1:]]])
def test_what_goes_through_floats_is_refused(definition: Callable[..., Any]) -> None:
    """In silence, NumPy would give doubles."""
    with precisely(), pytest.raises(InexactError, match=r"goes through floats|fails on exact numbers"):
        computed(definition, [exactly([1.0, 2.0, 4.0])], {})


def test_operands_are_left_as_they_are() -> None:
    """No definition writes into what it is given."""
    for op in OPS:
        for operands, options in drawn(op, "ordinary"):
            with precisely():
                given = [exactly(x) for x in operands]
                computed(OPS[op].definition, given, options)
            assert all((rounded(x) == y).all() for x, y in zip(given, operands, strict=True)), op
