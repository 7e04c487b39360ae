"""The witness's slopes agree with PyTorch's, and those of known functions are right to forty digits.

It also tells where there is no single slope: at a kink, where those on the two sides differ, and at a pole or NaN.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gmpy2
import numpy as np
import pytest

from reference.engines import Noise, Outcome
from reference.engines.exact import ExactEngine, Jitter, Slopes, Witness, chain, differences, engine
from reference.engines.exact.numbers import exactly, precisely
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import planting
from reference.ops import OPS
from reference.programs import NUMBER, Operand, Program, parse
from reference.verdict import Result, judge
from reference.verdict.rounding import MARGIN, is_single
from tests.reference.drawing import EXPRESSIONS, first, sample

ENGINE, WITNESS, TORCH = ExactEngine(), Witness(), TorchEngine()
SIZE = 2.0**-30  # of the disturbances that show PyTorch's rounding errors
RUNS = 6
OWN = 1e-48  # the witness's error for a slope of ordinary size: the square of its step

Place = tuple[int, ...]


def exact_slope(line: str, place: Place = (), leaf: int = 0) -> Any:
    """Return the single slope of a leaf's number, or None."""
    return WITNESS.slopes(parse(line), leaf, place).exact


# Beside PyTorch.


def smooth(op: str, number: int) -> list[Program]:
    """Draw programs with an op, and move their numbers a little, so that no numbers tie and most kinks are avoided."""

    def holds(program: Program) -> bool:
        awkward = (
            bounded_twice(program) or spread_of_one_number(program) or not any(o.data.size for o in program.leaves)
        )
        return program.cotangent is not None and finite(irregular(program)) and not awkward

    return list(map(irregular, first(op, number, holds)))


def irregular(program: Program) -> Program:
    """Move a program's operands by up to a thousandth, also zeros."""
    rng = np.random.default_rng(0)

    def moved(operand: Operand) -> Operand:
        if operand.kind == NUMBER or operand.data.dtype.kind != "f":
            return operand
        by, plus = rng.uniform(-1, 1, (2, *operand.data.shape)) / 2**10
        return replace(operand, data=np.asarray(operand.data * (1 + by) + plus, operand.data.dtype), layout="C")

    return replace(program, operands=tuple(map(moved, program.operands)))


def twice(program: Program) -> Program:
    """Add random directions to a program."""
    rng = np.random.default_rng(1)
    leaves = [o.data for o in program.leaves]
    return replace(program, directions=tuple(rng.integers(-8, 8, x.shape).astype(x.dtype) / 8 for x in leaves))


def finite(program: Program) -> bool:
    """Whether all operands, and all of PyTorch's values and gradients, are finite."""
    outcome = TORCH.run(program)
    arrays = [*(o.data for o in program.operands), *outcome.values, *outcome.gradients, *outcome.second]
    return outcome.error is None and all(np.isfinite(x).all() for x in arrays if x is not None)


def bounded_twice(program: Program) -> bool:
    """Whether clip has one operand as both bounds: PyTorch gives it no gradient, although it is the result."""
    return any(step.op == "clip" and step.inputs[1] == step.inputs[2] for step in program.steps)


def spread_of_one_number(program: Program) -> bool:
    """Whether a variance is of equal numbers: its slopes are 0, and PyTorch's are rounding errors."""
    values = TORCH.run(program).values
    return any(step.op in ("var", "std") and not y.all() for step, y in zip(program.steps, values, strict=False))


class Rounding:
    """Bounds of PyTorch's rounding errors for one program, in the precision of its operands.

    Args:
        program: the case.
    """

    def __init__(self, program: Program) -> None:
        self._plain = TORCH.run(program, precision="float64")
        self._disturbed = [TORCH.run(program, noise=Noise(SIZE, seed), precision="float64") for seed in range(RUNS)]
        arrays = [*(o.data for o in program.operands), *TORCH.run(program).values]
        self._unit = 2.0 ** (-24 if is_single(arrays) else -53)

    def allowed(self, part: str, leaf: int, place: Place) -> float:
        """Return the bound for one number of the gradients or second-order gradients."""
        here = number_at(self._plain, part, leaf, place)
        moved = [abs(number_at(o, part, leaf, place) - here) / SIZE for o in self._disturbed]
        # A negative number has no power if the exponent is disturbed: nonfinite moves are ignored.
        return MARGIN * self._unit * (max(filter(np.isfinite, moved), default=0.0) + abs(here)) + OWN


def number_at(outcome: Outcome, part: str, leaf: int, place: Place) -> float:
    """Return a number of a gradient; 0 if there is none."""
    gradient = getattr(outcome, part)[leaf]
    return 0.0 if gradient is None else float(gradient[place])


def beside_pytorch(program: Program, part: str, ask: Callable[..., Slopes]) -> Iterator[tuple[bool, str]]:
    """Compare the first and last number of each leaf: give whether both agree, and a description."""
    outcome, rounding = TORCH.run(program), Rounding(program)
    for leaf, operand in enumerate(program.leaves):
        places = list(np.ndindex(operand.data.shape))
        for place in {*places[:1], *places[-1:]}:
            wanted, slopes = number_at(outcome, part, leaf, place), ask(program, leaf, place)
            near = slopes.exact is not None and abs(slopes.exact - wanted) <= rounding.allowed(part, leaf, place)
            yield bool(near), f"{operand.name}{place} {wanted} {slopes}: {program}"


@pytest.mark.parametrize("op", [*OPS, EXPRESSIONS])
def test_slopes_are_pytorchs_gradients(op: str) -> None:
    """In smooth programs of both precisions, they differ only by PyTorch's rounding errors."""
    found = [pair for program in smooth(op, 2) for pair in beside_pytorch(program, "gradients", WITNESS.slopes)]
    assert not [says for near, says in found if not near]
    assert len(found) >= 2


@pytest.mark.parametrize("op", [*OPS, EXPRESSIONS])
def test_second_slopes_are_pytorchs_second_gradients(op: str) -> None:
    """Hessian-vector products agree with PyTorch's."""
    programs = [program for program in map(twice, smooth(op, 8)) if finite(program)][:1]
    found = [pair for program in programs for pair in beside_pytorch(program, "second", WITNESS.second_slopes)]
    assert not [says for near, says in found if not near]
    assert found


@pytest.mark.parametrize("op", OPS)
def test_values_are_exact_numbers_in_any_program(op: str) -> None:
    """Also at edges, infinities and NaN, each step has PyTorch's shape and holds only exact numbers."""
    for program in [p for p in sample(op, 8) if p.cotangent is not None]:
        values = ENGINE.values(program)
        assert [y.shape for y in values] == [y.shape for y in TORCH.run(program).values]
        assert all(isinstance(number, type(gmpy2.mpfr(0))) for y in values for number in y.flat)


# Known functions.


def precise(function: Callable[[], Any]) -> Any:
    """Compute a number with as many digits as the witness has."""
    with precisely():
        return function()


TENTH: Any = gmpy2.mpfr(0.1)  # the double nearest to a tenth
TINY: Any = gmpy2.mpfr(1e-12)

# fmt: off
KNOWN: list[tuple[str, Callable[[], Any]]] = [
    # a function at a point                                                     its slope there
    ("x=f8(1.0); a=exp(x); back(a,f8(1.0))",                                    lambda: gmpy2.exp(1)),
    ("x=f8(20.0); a=tanh(x); back(a,f8(1.0))",                                  lambda: 1 / gmpy2.cosh(20) ** 2),
    ("x=f8(1e-12); a=log(x); back(a,f8(3.0))",                                  lambda: 3 / TINY),
    ("x=f8(1000.0); a=sin(x); back(a,f8(1.0))",                                 lambda: gmpy2.cos(1000)),
    ("x=f8(0.1); a=sqrt(x); back(a,f8(3.0))",                                   lambda: 3 / (2 * gmpy2.sqrt(TENTH))),
    ("x=f8(-700.0); a=sigmoid(x); back(a,f8(1.0))",                             lambda: 1 / (2 * gmpy2.cosh(350)) ** 2),
    ("x=f8(1e9); a=softplus(x); back(a,f8(3.0))",                               lambda: gmpy2.mpfr(3)),
    ("x=f8(3.0); y=0.1; a=power(x,y); back(a,f8(1.0))",                         lambda: TENTH * 3 ** (TENTH - 1)),
    ("x=f8([2.0,5.0]); a=prod(x,axis=0,keepdims=False); back(a,f8(0.1))",       lambda: TENTH * 5),
    ("x=f8([2.0,5.0]); a=logsumexp(x,axis=0,keepdims=False); back(a,f8(1.0))",  lambda: 1 / (1 + gmpy2.exp(3))),
]
SECOND: list[tuple[str, Callable[[], Any]]] = [
    # a function at a point                                                     its second slope there
    ("x=f8(1.0); a=exp(x); back(a,f8(1.0),along=(f8(2.0),))",                   lambda: 2 * gmpy2.exp(1)),
    ("x=f8(20.0); a=sin(x); back(a,f8(1.0),along=(f8(1.0),))",                  lambda: -gmpy2.sin(20)),
    ("x=f8(2.0); y=f8(7.0); a=multiply(x,y); back(a,f8(3.0),along=(f8(5.0),f8(0.1)))", lambda: TENTH * 3),
]
# fmt: on


@pytest.mark.parametrize(("line", "wanted"), KNOWN)
def test_a_known_slope_is_right_to_forty_digits(line: str, wanted: Callable[[], Any]) -> None:
    """The slope of the first number agrees with its formula far beyond the precision of doubles."""
    program = parse(line)
    slope = WITNESS.slopes(program, 0, (0,) * program.operands[0].data.ndim).exact
    with precisely():
        assert abs(slope - wanted()) <= abs(wanted()) * gmpy2.mpfr("1e-40")


@pytest.mark.parametrize(("line", "wanted"), SECOND)
def test_a_known_second_slope_is_right_to_forty_digits(line: str, wanted: Callable[[], Any]) -> None:
    """A difference quotient of difference quotients still has forty digits."""
    slope = WITNESS.second_slopes(parse(line), 0, ()).exact
    with precisely():
        assert abs(slope - wanted()) <= abs(wanted()) * gmpy2.mpfr("1e-40")


@pytest.mark.parametrize(
    "line",
    [
        "x=f8(0.0); a=square(x); back(a,f8(3.0))",
        "x=f8(0.0); a=cos(x); back(a,f8(1.0))",
        "x=f8(1000.0); y=1000.0; a=subtract(x,y); b=square(a); back(b,f8(1.0))",
        "x=f8(3.0); a=negative(x); b=add(a,x); c=exp(b); back(c,f8(1.0))",
    ],
)
def test_the_slope_at_an_extremum_is_0(line: str) -> None:
    """The slopes over a step differ there by curvature, which is not taken for a kink."""
    assert abs(exact_slope(line)) < OWN


def test_second_slopes_are_0_at_an_extremum_of_the_slope() -> None:
    """The second slope of the sine at 0 is 0."""
    line = "x=f8(0.0); a=sin(x); back(a,f8(1.0),along=(f8(1.0),))"
    assert abs(WITNESS.second_slopes(parse(line), 0, ()).exact) < OWN


# Points without a single slope.

# fmt: off
KINKS: list[tuple[str, Place, float, float]] = [
    # a program                                                                       where   the slopes on both sides
    ("x=f8([0.0,-0.0]); a=abs(x); back(a,f8([2.0,3.0]))",                             (1,),   -3.0, 3.0),
    ("x=f8([0.0,1.0]); a=relu(x); back(a,f8([2.0,3.0]))",                             (0,),   0.0,  2.0),
    ("x=f8(0.0); a=leaky_relu(x,negative_slope=0.5); back(a,f8(2.0))",                (),     1.0,  2.0),
    ("x=f8([1.0,2.0]); y=f8([1.0,3.0]); a=maximum(x,y); back(a,f8([2.0,5.0]))",       (0,),   0.0,  2.0),
    ("x=f8([1.0,2.0]); y=f8([1.0,3.0]); a=minimum(x,y); back(a,f8([2.0,5.0]))",       (0,),   2.0,  0.0),
    ("x=f8(1.0); y=1.0; z=2.0; a=clip(x,y,z); back(a,f8(2.0))",                       (),     0.0,  2.0),
    ("x=f8([3.0,3.0,1.0]); a=max(x,axis=0,keepdims=False); back(a,f8(-1.0))",         (1,),   0.0,  -1.0),
    ("x=f8([3.0,1.0,1.0]); a=min(x,axis=0,keepdims=False); back(a,f8(2.0))",          (2,),   2.0,  0.0),
    ("x=f8([3.0,3.0]); a=std(x,axis=0,keepdims=False,ddof=0); back(a,f8(2.0))",       (0,),   -1.0, 1.0),
    ("x=f8(0.0); a=abs(x); b=square(x); c=add(a,b); back(c,f8(1.0))",                 (),     -1.0, 1.0),
]
POLES: list[str] = [
    "x=f8(0.0); a=log(x); back(a,f8(1.0))",
    "x=f8(0.0); a=sqrt(x); back(a,f8(1.0))",
    "x=f8(-1.0); a=log1p(x); back(a,f8(1.0))",
    "x=f8(0.0); y=1.0; a=divide(y,x); back(a,f8(1.0))",
    "x=f8(0.0); y=-1.0; a=power(x,y); back(a,f8(1.0))",
    "x=f8(2.0); y=-2.0; a=power(y,x); back(a,f8(1.0))",
]
# fmt: on


@pytest.mark.parametrize(("line", "place", "left", "right"), KINKS)
def test_a_kink_has_two_slopes(line: str, place: Place, left: float, right: float) -> None:
    """Each side's slope is known, and there is no single slope."""
    slopes = WITNESS.slopes(parse(line), 0, place)
    assert abs(slopes.left - left) < 1e-20
    assert abs(slopes.right - right) < 1e-20
    assert slopes.exact is None
    assert abs(slopes.middle - (left + right) / 2) < 1e-20


@pytest.mark.parametrize("line", POLES)
def test_a_pole_and_nan_have_no_slope(line: str) -> None:
    """If a side's slope is not finite, there is neither a mean nor a single slope."""
    slopes = WITNESS.slopes(parse(line), 0, (0,) * parse(line).operands[0].data.ndim)
    assert None in (slopes.left, slopes.right)
    assert slopes.middle is None
    assert slopes.exact is None


def test_unchanged_numbers_do_not_count() -> None:
    """A number has a slope although infinities and NaN stand beside it."""
    line = "x=f8([0.0,nan,-inf,2.0]); a=log(x); back(a,f8([1.0,2.0,3.0,4.0]))"
    assert abs(exact_slope(line, (3,)) - 2) < OWN


TIED = (
    "x=f8([1.0,4.0]); y=f8([1.0,5.0]); a=maximum(x,y); b=square(a); "
    "back(b,f8([1.0,1.0]),along=(f8([1.0,3.0]),f8([0.5,2.0])))"
)


def test_a_kink_has_no_second_slope() -> None:
    """If directions cross a kink, slopes of slopes grow as the step shrinks; a number beside it has its own."""
    at_the_tie, beside = (WITNESS.second_slopes(parse(TIED), 1, (place,)) for place in (0, 1))
    assert at_the_tie.exact is None
    assert abs(beside.exact - 4) < OWN


# Values.


def test_one_number_of_the_result_can_be_computed() -> None:
    """`value` returns one number of the last step with all its digits."""
    program = parse("x=f8([0.1,2.0]); y=f8(3.0); a=multiply(x,y); b=exp(a); back(b,f8([1.0,1.0]))")
    assert ENGINE.value(program, (0,)) == precise(lambda: gmpy2.exp(gmpy2.mpfr(0.1) * 3))


def test_leaves_can_have_other_numbers() -> None:
    """`values` takes other numbers by the index of the operand, and does not change the program."""
    program = parse("x=const(f8(2.0)); y=f8(3.0); a=multiply(x,y); back(a,f8(1.0))")
    assert ENGINE.values(program, {1: exactly(5.0)})[0] == 10
    assert ENGINE.values(program)[0] == 6


# fmt: off
SINGLE = float(np.float32(0.1))
ROUNDED: list[tuple[str, float]] = [
    # a tenth beside other precisions                                                           its value there
    ("x=f4([3.0]); y=0.1; a=multiply(x,y); back(a,f4([1.0]))",                                  SINGLE),
    ("x=f8([3.0]); y=0.1; a=multiply(x,y); back(a,f8([1.0]))",                                  0.1),
    ("x=f4([3.0]); y=const(f8(0.1)); a=multiply(x,y); back(a,f8([1.0]))",                       0.1),
    ("x=f4([3.0]); y=const(f4(0.1)); a=multiply(x,y); back(a,f4([1.0]))",                       SINGLE),
    ("x=f8([3.0]); y=0.1; a=astype(x,dtype='float32'); b=multiply(a,y); back(b,f4([1.0]))",     SINGLE),
    ("x=f4([3.0]); y=0.1; a=astype(x,dtype='float64'); b=multiply(a,y); back(b,f8([1.0]))",     0.1),
]
# fmt: on


@pytest.mark.parametrize(("line", "slope"), ROUNDED)
def test_a_python_number_has_the_precision_of_the_floats_beside_it(line: str, slope: float) -> None:
    """A Python 0.1 beside singles is rounded to single precision; an array of doubles is not rounded."""
    assert exact_slope(line, (0,)) == slope


def test_a_cast_does_not_round() -> None:
    """The rounding of a value to single precision is an engine's error, and not part of the program."""
    program = parse("x=f8(0.1); a=astype(x,dtype='float32'); back(a,f4(1.0))")
    assert ENGINE.value(program, ()) == 0.1


# Jitter.

SUM = parse("x=f8([0.0,3.0]); y=f8([-2.0,0.0]); a=add(x,y); back(a,f8([1.0,1.0]))")


def moved(jitter: Jitter | None) -> list[float]:
    """Return the sums with jitter."""
    return [float(number) for number in ExactEngine(jitter=jitter).values(SUM)[0]]


def test_jitter_depends_on_the_seed_alone() -> None:
    """The same seed gives the same numbers, whatever was computed before; another seed gives others."""
    first = moved(Jitter(3, 1e-3))
    assert moved(Jitter(4, 1e-3)) != first
    assert moved(Jitter(3, 1e-3)) == first


def test_a_number_moves_by_a_part_of_itself() -> None:
    """Moves are at most the relative size, and a size of 0 moves nothing."""
    still = moved(None)
    assert moved(Jitter(3, 0.0)) == still
    for seed in range(20):
        assert all(0 < abs(x - y) <= 1e-3 * abs(y) for x, y in zip(moved(Jitter(seed, 1e-3)), still, strict=True))


# Independence.


def test_it_imports_no_gradient_rule() -> None:
    """It imports only exact numbers, programs and the op table, which has definitions and no rules."""
    nodes = [node for module in (chain, differences, engine) for node in ast.walk(ast.parse(inspect.getsource(module)))]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    ours = {name for name in modules if name and name.startswith(("reference", "ndgrad"))}
    exact = {f"reference.engines.exact.{name}" for name in ("differences", "engine", "jitter", "numbers")}
    assert ours == {"reference.ops", "reference.programs"} | exact
    assert {str(name).partition(".")[0] for name in modules - ours} <= {*sys.stdlib_module_names, "gmpy2", "numpy"}


def test_it_finds_a_wrong_engine_at_extreme_numbers() -> None:
    """A relative error of 1e-4 in a gradient of softplus is found at 1e9, where exp(x) exceeds the witness's range."""
    line = "x=f8([1e9]); a=softplus(x); back(a,f8([3.0]))"
    with planting.scaled("softplus", 0, 1.0001)():
        assert judge(parse(line), NdgradEngine(), TORCH).result is Result.ENGINE_WRONG
