"""The other table: complete, its mirrors mean what NumPy means, and every row of ndgrad agrees with PyTorch on it.

The last is the heart: for each op, programs that Hypothesis draws around it, through both engines, to second order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings

from ndgrad.rules import RULES
from reference import catalog
from reference.campaign import Campaign
from reference.catalog import ABOVE_M1, CATALOG, NONZERO, POSITIVE, POWERS, REAL, Domain, forward, promoted
from reference.engines import NdgradEngine, TorchEngine
from reference.plans import Options, Shape, any_shape
from reference.program import Operand, Program, Step, parse
from reference.report import text
from reference.source import Seeded, Unsuited, pick
from reference.strategies import programs
from reference.verdict import Result, judge
from tests.reference.drawing import EXPRESSIONS, sample
from tests.reference.plain import PLAIN

NDGRAD, TORCH = NdgradEngine(), TorchEngine()
DOMAINS = [REAL, NONZERO, POSITIVE, ABOVE_M1, POWERS]

# Fewer examples than for other properties, for there are so many ops.
FOR_EACH_OP = settings(max_examples=settings.default.max_examples // 4)  # type: ignore[union-attr]
# What stands before and after an op: few ops, so that one that is wrong fails its own test and not all the others'; and
# some of each kind, that broadcast, bend, reduce, give views. Expressions of all ops have a test of their own.
COMPANY = ["add", "multiply", "tanh", "sum", "transpose"]

# That numbers run out is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Degrees of freedom"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice"),
    pytest.mark.filterwarnings(r"ignore:(var|std)\(\). degrees of freedom"),
]


# Complete.


def test_every_rule_has_a_row_and_every_row_a_rule() -> None:
    """What ndgrad computes and what it must agree with are tables of the same ops."""
    assert sorted(CATALOG) == sorted(RULES)


def test_a_row_stands_under_its_name() -> None:
    """No two rows have one name: the table has as many rows as were written."""
    written = re.findall(r'^    Row\("(\w+)"', Path(catalog.__file__).read_text(encoding="utf-8"), re.MULTILINE)
    assert written == list(CATALOG)
    assert all(row.op == op for op, row in CATALOG.items())


def test_numpy_knows_every_op() -> None:
    """The table that these tests ask is as complete."""
    assert sorted(PLAIN) == sorted(CATALOG)


# Domains.


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_ordinary_numbers_lie_in_their_domain(domain: Domain) -> None:
    """All of them, no two alike, each short enough to be redone by hand; and exact in both dtypes."""
    numbers = np.array(domain.numbers)
    assert domain.holds(numbers)
    assert domain.holds(numbers.reshape(1, -1).astype(np.float32))
    assert np.unique(numbers).size == numbers.size >= 8
    assert max(len(repr(x)) for x in domain.numbers) <= 6
    assert (numbers.astype(np.float32) == numbers).all()


def test_numbers_of_both_signs_are_ordinary() -> None:
    """Wherever both are allowed: a default domain that never goes below 0 hides half of the bugs."""
    for domain in (REAL, NONZERO, POWERS, ABOVE_M1):
        assert min(domain.numbers) < 0 < max(domain.numbers)


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (REAL, [0.0, -1e300], [np.nan]),
        (NONZERO, [-1e-12, 5.0], [0.0, -0.0, np.nan]),
        (POSITIVE, [1e-300], [0.0, -0.0, -1.0, np.nan]),
        (ABOVE_M1, [-0.999, 0.0], [-1.0, -2.0, np.nan]),
    ],
    ids=lambda case: case.name if isinstance(case, Domain) else "",
)
def test_what_a_domain_holds(domain: Domain, inside: list[float], outside: list[float]) -> None:
    """All numbers of an array must lie inside; one outside is enough. Of no numbers all do."""
    assert domain.holds(np.array(inside))
    assert domain.holds(np.zeros((0, 2)))
    for number in outside:
        assert not domain.holds(np.array([*inside, number]))


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_edges_are_those_of_the_domain(domain: Domain) -> None:
    """Zeros of both signs or 0 and 1, what is tiny and what is large; and where a domain ends, its end."""
    edges = np.array(domain.edges)
    assert {0.0, 1.0, 2.0, -1.0} <= set(domain.edges)
    assert np.signbit(edges[edges == 0]).tolist() == ([False] if domain is POWERS else [False, True])
    assert domain is POWERS or {1e-12, -1e-12, 1000.0, -1000.0} <= set(domain.edges)
    assert not np.isfinite(domain.least) or domain.least in domain.edges


def test_each_operand_has_a_domain() -> None:
    """The last one named holds for all further operands."""
    divide, clip = CATALOG["divide"], CATALOG["clip"]
    assert [divide.domain(i) for i in range(2)] == [REAL, NONZERO]
    assert [clip.domain(i) for i in range(3)] == [REAL] * 3


# Mirrors.

Case = tuple[list[np.ndarray], Options]


def ordinary(op: str, dtype: str, number: int) -> Iterator[Case]:
    """Draw operands of ordinary numbers, and options, as the row has them."""
    row = CATALOG[op]
    for i in range(number):
        source = Seeded("ordinary", op, i)
        try:
            shapes, options = row.plan.draw(source, any_shape(source), 0)
        except Unsuited:
            continue
        yield [numbers(source, row.domain(j).numbers, shape, dtype) for j, shape in enumerate(shapes)], options


def numbers(source: Seeded, some: tuple[float, ...], shape: Shape, dtype: str) -> np.ndarray:
    """Draw an array of some numbers."""
    return np.array([pick(source, some) for _ in range(int(np.prod(shape)))], dtype).reshape(shape)


@pytest.mark.parametrize("op", CATALOG)
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float64", 1e-13, 1e-14), ("float32", 1e-5, 1e-6)])
def test_a_mirror_computes_what_numpy_does(op: str, dtype: str, rtol: float, atol: float) -> None:
    """Of ordinary numbers, with all options: the same shape, dtype and numbers, but for rounding.

    The differences allowed are those of plain NumPy, whose `log(softmax(x))` cancels a digit or two.
    """
    cases = list(ordinary(op, dtype, 40))
    for operands, options in cases:
        got = forward(CATALOG[op], operands, options)
        with np.errstate(all="ignore"):  # a variance of too few numbers
            wanted = np.asarray(PLAIN[op](*operands, **options))
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(got, wanted, rtol, atol)
    assert len(cases) > 30


# fmt: off
TRANSLATED: list[tuple[str, list[Any], Options, Any]] = [
    # op            operands                  options                           what NumPy means by it
    ("sum",         [[1.0, 2.0]],             {"axis": (), "keepdims": False},  [1.0, 2.0]),
    ("prod",        [[1.0, 2.0]],             {"axis": (), "keepdims": True},   [1.0, 2.0]),
    ("max",         [[1.0, 2.0]],             {"axis": (), "keepdims": False},  [1.0, 2.0]),
    ("min",         [[1.0, 2.0]],             {"axis": (), "keepdims": True},   [1.0, 2.0]),
    ("logsumexp",   [[1.0, 2.0]],             {"axis": (), "keepdims": False},  [1.0, 2.0]),
    ("prod",        [[[1.0, 2.0], [3.0, 4.0]]], {"axis": (1, 0), "keepdims": True}, [[24.0]]),
    ("prod",        [np.zeros((2, 0))],       {"axis": None, "keepdims": False},  1.0),
    ("cumsum",      [[[1.0, 2.0], [3.0, 4.0]]], {"axis": None},                 [1.0, 3.0, 6.0, 10.0]),
    ("transpose",   [[[[1.0, 2.0]]]],         {"axes": None},                   [[[1.0]], [[2.0]]]),
    ("expand_dims", [[1.0, 2.0]],             {"axis": (0, -1)},                [[[1.0], [2.0]]]),
    ("flip",        [[[1.0, 2.0]]],           {"axis": None},                   [[2.0, 1.0]]),
    ("concatenate", [[[1.0]], [2.0, 3.0]],    {"axis": None},                   [1.0, 2.0, 3.0]),
    ("split",       [[1.0, 2.0, 3.0]],        {"indices_or_sections": (2, 5), "axis": 0, "piece": 1}, [3.0]),
    ("pad",         [[[1.0, 2.0]]],           {"pad_width": ((1, 0), (0, 2)), "mode": "constant", "constant_values": 9},
                                                                                [[9.0] * 4, [1.0, 2.0, 9.0, 9.0]]),
    ("pad",         [[1.0, 2.0, 3.0]],        {"pad_width": (3, 0), "mode": "reflect"}, [2.0, 3.0, 2.0, 1.0, 2.0, 3.0]),
    ("getitem",     [[1.0, 2.0, 3.0]],        {"index": (slice(None, None, -2),)}, [3.0, 1.0]),
    ("getitem",     [[1.0, 2.0, 3.0]],        {"index": (np.array([True, False, True]),)}, [1.0, 3.0]),
    ("scatter",     [[1.0, 2.0, 4.0]],        {"index": (np.array([0, 0, -2]),), "shape": (2,)}, [7.0, 0.0]),
    ("clip",        [[5.0, 5.0], 1.0, [3.0]], {},                               [3.0, 3.0]),
    ("clip",        [2.0, 3.0, 1.0],          {},                               1.0),
    ("dot",         [2.0, [1.0, 3.0]],        {},                               [2.0, 6.0]),
    ("outer",       [[[1.0, 2.0]], 3.0],      {},                               [[3.0], [6.0]]),
    ("softplus",    [-40.0],                  {},                               4.248354255291589e-18),
    ("softplus",    [40.0],                   {},                               40.0),
]
# fmt: on


@pytest.mark.parametrize(("op", "operands", "options", "wanted"), TRANSLATED, ids=[op for op, *_ in TRANSLATED])
def test_a_mirror_translates(op: str, operands: list[Any], options: Options, wanted: Any) -> None:
    """Where PyTorch means something else by the same words, or has no such words, the mirror means what NumPy means."""
    got = forward(CATALOG[op], [np.array(x, float) for x in operands], options)
    np.testing.assert_array_equal(got, np.array(wanted), strict=True)


# What is refused.

SMALL: list[Shape] = [(0,), (1,), (3,), (1, 3), (2, 3), (2, 0), (2, 1, 3)]
AXES = [None, (), 0, 1, -1, -2, 2, -3, (0,), (0, 1), (1, 0), (-1, -2), (0, 2), (0, 0), (0, -1)]
NUMBERS = [a for a in AXES if isinstance(a, int)]


def every(**choices: Any) -> list[Options]:
    """Every combination of the choices."""
    return [dict(zip(choices, chosen, strict=True)) for chosen in itertools.product(*choices.values())]


# fmt: off
OPTIONS: dict[str, list[Options]] = {
    **dict.fromkeys(["sum", "mean", "prod", "max", "min", "logsumexp"], every(axis=AXES, keepdims=[False, True])),
    **dict.fromkeys(["var", "std"],             every(axis=AXES, keepdims=[False, True], ddof=[0, 1, 3])),
    **dict.fromkeys(["softmax", "log_softmax"], every(axis=NUMBERS)),
    "cumsum":       every(axis=[None, *NUMBERS]),
    "flip":         every(axis=AXES),
    "squeeze":      every(axis=AXES),
    "expand_dims":  every(axis=AXES[1:]),
    "swapaxes":     every(axis1=NUMBERS, axis2=NUMBERS),
    "transpose":    every(axes=[None, (), (0,), (0, 1), (1, 0), (0, 0), (-1, 0), (0, 2), (2, 0, 1), (-3, 1, 0)]),
    "reshape":      every(shape=[(), (1,), (3,), (6,), (-1,), (3, 2), (-1, 2), (-1, -1), (0,), (0, -1), (0, 3)]),
    "broadcast_to": every(shape=[(), (1,), (3,), (2, 3), (2, 2, 3), (-1, 3), (0,), (2, 0), (0, 3)]),
    "split":        every(indices_or_sections=[1, 2, 3, 0, -1, (), (1,), (2, 1), (-1,), (5,)], axis=NUMBERS, piece=[0]),
    "pad":          every(pad_width=[0, 1, (1, 2), ((1, 2),), ((0, 1), (1, 0)), -1, (0, -1), 1.5],
                          mode=["constant", "edge", "reflect", "symmetric", "wrap", "none"]),
}
# fmt: on


def answer(op: str, shape: Shape, options: Options) -> tuple[Any, Any, Any]:
    """What NumPy, PyTorch's mirror and ndgrad make of an operand: an array, or the error."""
    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    program = Program((Operand("x", x),), (Step(op, (0,), options),), None)
    outcomes = [engine.run(program) for engine in (TORCH, NDGRAD)]
    plain: Any
    try:
        with np.errstate(all="ignore"):
            plain = np.asarray(PLAIN[op](x, **options))
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        plain = error
    mirror, ours = (o.error or o.values[-1] for o in outcomes)
    return plain, mirror, ours


def differences(op: str, shape: Shape) -> Iterator[str]:
    """Where a side refuses what NumPy takes, or the other way about, or gives another shape, or has no clear error."""
    for options in OPTIONS[op]:
        plain, *sides = answer(op, shape, options)
        for name, side in zip(("the mirror", "ndgrad"), sides, strict=True):
            if isinstance(plain, Exception) != isinstance(side, Exception):
                yield f"{name} of {op} {shape} {options}: {side!r}, but NumPy: {plain!r}"
            elif isinstance(side, np.ndarray) and side.shape != plain.shape:
                yield f"{name} of {op} {shape} {options} has shape {side.shape}, but NumPy's {plain.shape}"
            elif isinstance(side, Exception) and not isinstance(
                side, (ValueError, IndexError, TypeError, RuntimeError)
            ):
                yield f"{name} of {op} {shape} {options} is refused by {side!r}, which says not what is wrong"


@pytest.mark.parametrize("op", OPTIONS)
def test_both_sides_refuse_what_numpy_refuses_and_nothing_else(op: str) -> None:
    """A bad axis, an axis named twice, a shape that does not fit: of each option every kind, on small shapes."""
    assert not [line for shape in SMALL for line in differences(op, shape)]


@pytest.mark.parametrize("op", OPTIONS)
def test_both_sides_refuse_the_same_of_a_single_number(op: str) -> None:
    """An operand of no axes has none to be named; where NumPy takes 0 and -1 all the same, both sides do."""
    assert not list(differences(op, ()))


# Kinks.

# fmt: off
KINKS: list[tuple[str, str, list[Any]]] = [
    # op            at the kink                                                                     the gradients
    ("abs",         "x=f8([0.0,-0.0]); a=abs(x); back(a,f8([3.0,5.0]))",                            [[0, 0]]),
    ("relu",        "x=f8([0.0,-0.0]); a=relu(x); back(a,f8([3.0,5.0]))",                           [[0, 0]]),
    ("leaky_relu",  "x=f8([0.0,-0.0]); a=leaky_relu(x,negative_slope=0.5); back(a,f8([3.0,5.0]))",  [[1.5, 2.5]]),
    ("maximum",     "x=f8([1.0,2.0]); y=f8(2.0); a=maximum(x,y); back(a,f8([3.0,5.0]))",            [[0, 2.5], 5.5]),
    ("minimum",     "x=f8([3.0,2.0]); y=f8(2.0); a=minimum(x,y); back(a,f8([3.0,5.0]))",            [[0, 2.5], 5.5]),
    ("clip",        "x=f8([1.0,2.0]); y=1.0; z=2.0; a=clip(x,y,z); back(a,f8([3.0,5.0]))",          [[3, 5]]),
    ("clip",        "x=f8([1.0,2.0]); y=f8(1.0); z=f8(2.0); a=clip(x,y,z); back(a,f8([3.0,5.0]))",  [[3, 5], 0, 0]),
    ("max",         "x=f8([1.0,2.0,2.0]); a=max(x,axis=0,keepdims=False); back(a,f8(3.0))",         [[0, 1.5, 1.5]]),
    ("min",         "x=f8([2.0,1.0,1.0]); a=min(x,axis=None,keepdims=True); back(a,f8([3.0]))",     [[0, 1.5, 1.5]]),
    ("std",         "x=f8([2.0,2.0]); a=std(x,axis=0,keepdims=False,ddof=0); back(a,f8(3.0))",      [[0, 0]]),
    ("power",       "x=f8([0.0,2.0]); y=f8([2.0,0.0]); a=power(x,y); back(a,f8([1.0,0.0]))",        [[0, 0], [0, 0]]),
    ("power",       "x=f8(0.0); y=f8(0.0); a=power(x,y); back(a,f8(3.0))",                          [0, 0]),
]
# fmt: on


@pytest.mark.parametrize(("op", "line", "wanted"), KINKS, ids=[op for op, *_ in KINKS])
def test_what_a_row_says_of_its_kinks_holds(op: str, line: str, wanted: list[Any]) -> None:
    """In PyTorch, and in ndgrad."""
    for engine in (TORCH, NDGRAD):
        outcome = engine.run(parse(line))
        for gradient, expected in zip(outcome.gradients, wanted, strict=True):
            np.testing.assert_array_equal(gradient, expected, err_msg=engine.name)


def test_all_rows_with_kinks_are_met_there() -> None:
    """The table above leaves out none."""
    assert {op for op, *_ in KINKS} == {op for op, row in CATALOG.items() if row.kinks}


@pytest.mark.parametrize("op", [op for op, row in CATALOG.items() if row.selects])
def test_what_selects_makes_no_number(op: str) -> None:
    """Each number of the result is one of the operands', but for its sign, or 0: so nothing was rounded."""
    for operands, options in ordinary(op, "float32", 40):
        irregular = [np.asarray(x + x / 3) for x in operands]  # with all digits in use
        result = forward(CATALOG[op], irregular, options)
        given = {0.0, *(abs(float(number)) for x in irregular for number in x.flat)}
        assert {abs(float(number)) for number in result.flat} <= given, options


# Promotion.


@pytest.mark.parametrize(
    ("operands", "dtype"),
    [
        ([np.zeros(2, np.float32), np.zeros(2, np.float64)], "float64"),
        ([np.zeros(2, np.float32), 1.5], "float32"),
        ([1.5, np.zeros((), np.float32)], "float32"),
        ([np.zeros(2, np.float32), np.zeros(2, np.int64)], "float32"),
        ([np.zeros(2, bool), np.zeros(2, np.float32)], "float32"),
        ([np.zeros(2, np.float64), 1], "float64"),
    ],
)
def test_operands_take_the_dtype_of_the_floats(operands: list[Any], dtype: str) -> None:
    """Of those that are arrays: Python numbers are weak, integers and booleans are cast."""
    assert promoted(operands) == dtype
    assert forward(CATALOG["add"], operands, {}).dtype == dtype


# Each op beside PyTorch.


def check(op: str, program: Program) -> Result:
    """Judge ndgrad by a program; print a failure as the report does."""
    verdict = judge(program, NDGRAD, TORCH)
    if verdict.result.blames:
        failure = Campaign(NDGRAD, TORCH).explained(program, before=verdict)
        pytest.fail(f"{op}: {text.failure(failure, NDGRAD.name, TORCH.name)}", pytrace=False)
    return verdict.result


@pytest.mark.parametrize("op", CATALOG)
def test_an_op_agrees_with_pytorch(op: str) -> None:
    """In mid-program, with any shapes, options, values and layouts: value and gradients differ by rounding alone."""

    @FOR_EACH_OP
    @given(programs(op, COMPANY))
    def property_of_the_op(program: Program) -> None:
        event(check(op, program))

    property_of_the_op()


@given(programs())
def test_expressions_of_all_ops_agree_with_pytorch(program: Program) -> None:
    """Whatever stands beside what: up to nine ops, and a leaf used up to twelve times."""
    event(check(EXPRESSIONS, program))


# Each was once found by a run as large as a release's. ndgrad is right in all of them, or as right as PyTorch is.
# fmt: off
NOT_WRONG = {
    "the sign of a sum that is 0": "x=f8([-0.0,1.0]); a=cumsum(x,axis=0); b=log(a); back(b,f8([1.0,1.0]))",
    "the sign of the larger 0": "x=f8(0.0); y=f8(-0.0); z=f8(1.0); a=clip(x,y,z); b=log(a); back(b,f8(1.0))",
    "the slope of a spread of 0, to second order":
        "x=f8([2.0]); y=f8(3.0); a=std(x,axis=None,keepdims=False,ddof=0); b=multiply(a,y); "
        "back(b,f8(1.0),along=(f8([1.0]),f8(1.0)))",
    "a spread of one unit in the last place, which PyTorch's mean rounds away":
        "x=f8([1.9,1.9,1.9000000000000004]); a=std(x,axis=0,keepdims=False,ddof=1); back(a,f8(3.0))",
    "probabilities that add up to 1, but for what is lost in single precision":
        "x=f8([3.375,1.5]); y=f8([-0.375,-1.0,3.875]); a=expm1(x); b=concatenate(a,y,y,axis=0); "
        "c=log_softmax(b,axis=0); d=logsumexp(c,axis=0,keepdims=False); back(d,f8(2.625))",
    "a product with a factor 0, which overflows in the one order and not in the other":
        "x=f8([[1e200,0.0],[1e200,1.0]]); a=prod(x,axis=(1,0),keepdims=False); back(a,f8(2.0))",
}
# fmt: on


@pytest.mark.parametrize("line", NOT_WRONG.values(), ids=list(NOT_WRONG))
def test_ndgrad_is_not_called_wrong_where_it_is_not(line: str) -> None:
    """Where rounding, or the sign of a zero, or PyTorch's own choice makes all the difference, no verdict is given."""
    check("regression", parse(line))


def to_second_order(program: Program, number: int) -> Program:
    """The program with its result squared, so that even a linear op has a Hessian; and to be differentiated twice."""
    assert program.cotangent is not None
    source = Seeded("directions", str(program), number)
    directions = tuple(numbers(source, REAL.numbers, o.data.shape, str(o.data.dtype)) for o in program.leaves)
    return replace(program, steps=(*program.steps, Step("square", (program.result,))), directions=directions)


@pytest.mark.parametrize("op", CATALOG)
def test_an_op_agrees_with_pytorch_to_second_order(op: str) -> None:
    """A Hessian times a vector, for seven programs at least of each op, none of them zero all over; in both dtypes."""
    compared = {"float64": 0, "float32": 0}
    for number, drawn in enumerate(sample(op, 24)):
        if drawn.cotangent is None:
            continue
        program = to_second_order(drawn, number)
        second = [g for g in TORCH.run(program).second if g is not None]
        if any(np.isfinite(g).all() and g.any() for g in second):
            check(op, program)
            compared[str(second[0].dtype)] += 1
    assert compared["float64"] >= 6
    assert compared["float32"] >= 1
