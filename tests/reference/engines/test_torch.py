"""PyTorch behind the protocol: in each precision, disturbed, and asked what rounding may have decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reference.engines import Noise, Outcome
from reference.engines.torch import Disturbance, TorchEngine
from reference.ops import OPS
from reference.programs import Program, parse
from tests.reference.drawing import EXPRESSIONS, sample

TORCH = TorchEngine()
SIZE = 2.0**-30

PRODUCT = parse("x=f8([1.5,-2.0,3.0]); y=f8([3.0,0.5,7.0]); a=multiply(x,y); back(a,f8([2.0,-1.0,0.5]))")


def run(line: str, **options: Any) -> Outcome:
    """Run a line without error."""
    outcome = TORCH.run(parse(line), **options)
    assert outcome.error is None
    return outcome


def moved(program: Program, size: float = SIZE, seeds: int = 5) -> tuple[float, float]:
    """How far a disturbance of this size moves the value and the first gradient, in parts of the size, at most."""
    plain = TORCH.run(program)
    outcomes = [TORCH.run(program, noise=Noise(size, seed)) for seed in range(seeds)]

    def largest(pairs: list[tuple[Any, Any]]) -> float:
        return max(float(np.max(np.abs(a / b - 1))) for a, b in pairs) / size

    return (
        largest([(o.values[-1], plain.values[-1]) for o in outcomes]),
        largest([(o.gradients[0], plain.gradients[0]) for o in outcomes]),
    )


# A program.


def test_a_program_is_run() -> None:
    """Each step's value, and each leaf's gradient."""
    outcome = TORCH.run(PRODUCT)
    assert outcome.values[0].tolist() == [4.5, -1.0, 21.0]
    assert [g.tolist() for g in outcome.gradients] == [[6.0, -0.5, 3.5], [3.0, 2.0, 1.5]]


def test_it_knows_every_row_and_says_its_version() -> None:
    """Without what the build adds to it."""
    assert TORCH.ops == tuple(OPS)
    assert TORCH.name == "PyTorch " + torch.__version__.split("+")[0]
    assert TORCH.abilities.second_order


def test_mirrors_can_be_given() -> None:
    """An engine of a few mirrors knows those ops, and no others."""
    few = TorchEngine({"exp": torch.exp})
    assert few.ops == ("exp",)
    assert few.run(parse("x=f8(0.0); a=exp(x); back(a,f8(1.0))")).values[0] == 1
    assert isinstance(few.run(PRODUCT).error, KeyError)


def test_second_order_is_a_hessian_times_the_directions() -> None:
    """By hand: of c·x³ the Hessian is 6cx, of c·x·y it is c off the diagonal; what is linear has none."""
    cube = "x=f8([2.0,-1.0]); n=3.0; a=power(x,n); back(a,f8([1.0,10.0]),along=(f8([1.0,0.5]),))"
    product = "x=f8(2.0); y=f8(5.0); a=multiply(x,y); back(a,f8(3.0),along=(f8(1.0),f8(7.0)))"
    linear = "x=f8(2.0); a=negative(x); back(a,f8(3.0),along=(f8(1.0),))"
    assert [g.tolist() for g in run(cube).second] == [[12.0, -30.0]]
    assert [g.tolist() for g in run(product).second] == [21.0, 3.0]
    assert run(linear).second == (None,)


def test_gradients_are_those_of_an_ordinary_pass() -> None:
    """A pass that is differentiated may take other formulas: `cumprod` leaves out what comes after a 0 in one alone."""
    line = "x=f8([0.0,inf]); a=cumprod(x,axis=0); back(a,f8([1.0,1.0])"
    alone, along = (TorchEngine().run(parse(line + end)) for end in (")", ",along=(f8([1.0,1.0]),))"))
    np.testing.assert_array_equal(alone.gradients[0], along.gradients[0])
    assert along.gradients[0][1] == 0


def test_a_leaf_that_nothing_reaches_has_no_gradient() -> None:
    """None stands for it, to first and to second order."""
    outcome = run("x=f8(9.0); y=f8(2.0); a=exp(x); b=square(y); back(b,f8(3.0),along=(f8(1.0),f8(5.0)))")
    assert (outcome.gradients[0], outcome.second[0]) == (None, None)
    assert (outcome.gradients[1], outcome.second[1]) == (12, 30)


@pytest.mark.parametrize(
    "line",
    [
        "x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y); back(a,f8([1.0,2.0]))",
        "x=f8([1.0,2.0]); a=sum(x,axis=3,keepdims=False)",
        "x=f8([1.0,2.0]); a=exp(x); back(a,f8([1.0,2.0,3.0]))",
        "x=f8([1.0,2.0]); a=sinh(x); back(a,f8([1.0,2.0]))",
        "x=f8([1.0,2.0]); a=exp(x,axis=0); back(a,f8([1.0,2.0]))",
    ],
)
def test_what_pytorch_raises_is_its_answer(line: str) -> None:
    """In a step, in the pass back, and where the program cannot be: the outcome holds the error."""
    outcome = TORCH.run(parse(line))
    assert outcome.error is not None
    assert outcome.gradients == ()


@pytest.mark.parametrize(
    "line",
    [
        "x=f8(3.0); y=2.0; a=multiply(y,y); b=multiply(a,x); back(b,f8(1.0))",
        "x=f8(3.0); y=const(i8(2)); a=multiply(y,y); b=multiply(a,x); back(b,f8(1.0))",
    ],
)
def test_a_step_may_have_no_floats(line: str) -> None:
    """Python numbers, or integers, alone: a person who types a program may multiply two of them first."""
    assert run(line).gradients[0] == 4


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x=f8([1.0,3.0]); a=sum(x); back(a,f8(2.0))", 4.0),
        ("x=f8([1.0,3.0]); a=max(x,axis=0); back(a,f8(2.0))", 3.0),
        ("x=f8([1.0,3.0]); a=var(x); back(a,f8(2.0))", 1.0),
        ("x=f8(3.0); a=transpose(x); back(a,f8(2.0))", 3.0),
        ("x=f8([3.0]); a=squeeze(x); back(a,f8(2.0))", 3.0),
    ],
)
def test_options_may_be_left_out_where_numpy_has_a_default(line: str, value: float) -> None:
    """A person who types a program leaves them out; an engine that takes it must not be called wrong for that."""
    assert run(line).values[0] == value


def test_operands_are_copied() -> None:
    """Nothing that PyTorch computes shares memory with a program's arrays."""
    for program in sample(EXPRESSIONS, 60):
        outcome = TORCH.run(program)
        made = [*outcome.values, *(g for g in (*outcome.gradients, *outcome.second) if g is not None)]
        assert not any(np.shares_memory(array, o.data) for array in made for o in program.operands)


# Precision.


def test_precision_is_that_of_the_operands() -> None:
    """Single stays single, a Python number is weak, and both together are double, with gradients as the leaves are."""
    single = run("x=f4([1.0,2.0]); y=0.1; a=multiply(x,y); back(a,f4([1.0,2.0]))")
    mixed = run("x=f4([1.0,2.0]); y=f8(0.1); a=multiply(x,y); back(a,f8([1.0,2.0]))")
    assert single.values[0].dtype == single.gradients[0].dtype == np.float32
    assert mixed.values[0].dtype == np.float64
    assert [g.dtype for g in mixed.gradients] == [np.float32, np.float64]


@pytest.mark.parametrize("operand", ["f4(0.5)", "f8(0.5)"])
def test_wide_computes_in_double_and_narrow_in_single(operand: str) -> None:
    """Whatever the operands are: exp(0.5) has 53 bits there and 24 here, forward and backward."""
    line = f"x={operand}; a=exp(x); back(a,f8(1.0))"
    wide, narrow = run(line, precision="float64"), run(line, precision="float32")
    assert (wide.values[0], wide.gradients[0]) == (np.exp(0.5), np.exp(0.5))
    assert (narrow.values[0], narrow.gradients[0]) == (np.exp(np.float32(0.5)), np.exp(np.float32(0.5)))
    assert wide.values[0].dtype == wide.gradients[0].dtype == np.float64
    assert narrow.values[0].dtype == narrow.gradients[0].dtype == np.float32


def test_no_step_leaves_the_precision_that_was_asked_for() -> None:
    """Not even a cast to another: what `astype` rounds must not be rounded in double precision."""
    line = 'x=f8(0.1); a=astype(x,dtype="float32"); b=astype(a,dtype="float64"); back(b,f8(1.0))'
    assert run(line).values[-1] == np.float32(0.1)
    assert [v.dtype for v in run(line, precision="float64").values] == [np.float64] * 2
    assert run(line, precision="float64").values[-1] == 0.1
    assert [v.dtype for v in run(line, precision="float32").values] == [np.float32] * 2


def test_integers_and_booleans_take_the_precision_that_was_asked_for() -> None:
    """Constants of them become floats where they meet floats."""
    line = (
        "x=f8([0.1,0.2]); y=const(i8([3,4])); z=const(b1([True,False])); a=add(x,y); b=add(a,z); back(b,f8([1.0,2.0]))"
    )
    for precision in ("float64", "float32"):
        assert run(line, precision=precision).values[-1].dtype == precision


# Disturbed.


def test_a_disturbance_moves_what_is_well_conditioned_by_its_size() -> None:
    """A product's two factors are disturbed once each; on the way back, what was kept and its disturbance are, too."""
    value, gradient = moved(PRODUCT)
    assert 1 < value < 2.1
    assert 1 < gradient < 4.1


def test_twice_the_disturbance_moves_twice_as_far() -> None:
    """So what results move is a property of the program, and of no size."""
    for one, two in zip(moved(PRODUCT, SIZE), moved(PRODUCT, 2 * SIZE), strict=True):
        assert one == pytest.approx(two, rel=1e-3)


def test_cancellation_moves_the_value() -> None:
    """Of numbers that agree in four digits the difference moves ten thousand times as far, the gradient hardly."""
    value, gradient = moved(parse("x=f8(1.0001); y=f8(1.0); a=subtract(x,y); back(a,f8(1.0))"))
    assert 10_000 < value < 20_100
    assert gradient < 3


def test_saturation_moves_the_gradient() -> None:
    """1 - tanh² reads the rounded result: at 5 its condition is about 11,000, though the value's is tiny."""
    value, gradient = moved(parse("x=f8(5.0); a=tanh(x); back(a,f8(1.0))"))
    assert value < 0.01
    assert 10_000 < gradient < 50_000


def test_a_disturbance_goes_along_all_steps() -> None:
    """Of ten products in a row each is disturbed: results move further than one's, and no further than all together."""
    chain = "; ".join(f"a{i}=multiply({f'a{i - 1}' if i else 'x'},y)" for i in range(10))
    value, _ = moved(parse(f"x=f8(1.5); y=f8(0.5); {chain}; back(a9,f8(1.0))"))
    assert 2.1 < value < 20.1


def test_each_use_is_disturbed_by_itself() -> None:
    """x - x is 0 for one number; for two that are disturbed apart it is not."""
    outcomes = [
        TORCH.run(parse("x=f8(3.0); a=subtract(x,x); back(a,f8(1.0))"), noise=Noise(SIZE, seed)) for seed in range(10)
    ]
    assert {round(float(o.values[0]) / SIZE, 3) for o in outcomes} == {-6.0, 0.0, 6.0}


def test_each_number_is_disturbed_by_itself() -> None:
    """Of a hundred equal numbers about half go up and half go down; none stays."""
    disturbance = Disturbance(Noise(SIZE, 0))
    disturbed = disturbance.on(torch.full((100,), 2.0, dtype=torch.float64)).numpy() / 2 - 1
    assert set(disturbed) == {-SIZE, SIZE}
    assert 25 < (disturbed > 0).sum() < 75


def test_integers_are_not_disturbed() -> None:
    """Places stay the places that they are."""
    places = torch.arange(10)
    assert Disturbance(Noise(0.5, 0)).on(places) is places


def test_a_seed_disturbs_always_in_the_same_way() -> None:
    """The same seed moves to the same numbers, another to others."""
    one, same, other = (TORCH.run(PRODUCT, noise=Noise(SIZE, seed)) for seed in (1, 1, 2))
    for name in ("values", "gradients"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.values[0], other.values[0])


@pytest.mark.parametrize("op", [op for op, row in OPS.items() if row.selects])
def test_what_only_selects_is_not_disturbed(op: str) -> None:
    """Disturbed, it would select otherwise: its result stays the same to the bit."""
    for program in sample(op, 20):
        alone = Program(program.operands, program.steps[:1], None)
        if alone.steps[0].op == op:
            plain, noisy = TORCH.run(alone), TORCH.run(alone, noise=Noise(2.0**-10, 0))
            np.testing.assert_array_equal(plain.values, noisy.values)


def test_precision_and_disturbance_go_together() -> None:
    """A program in single precision, disturbed in double: how single precision's rounding is judged."""
    line = "x=f4(1.5); y=f4(3.0); a=multiply(x,y); back(a,f4(2.0))"
    outcomes = [run(line, noise=Noise(SIZE, seed), precision="float64") for seed in range(10)]
    assert all(o.values[0].dtype == o.gradients[0].dtype == np.float64 for o in outcomes)
    assert SIZE < max(abs(o.values[0] / 4.5 - 1) for o in outcomes) < 2.1 * SIZE


def test_another_engines_way_is_gone_whatever_its_arrays_are_like() -> None:
    """Values that lie the other way round in memory, as those of a flip do, are gone on from as others are."""
    program = parse("x=f8([1.0,2.0]); a=flip(x,axis=0); b=square(a); back(b,f8([1.0,1.0]))")
    way = (np.flip(np.array([3.0, 5.0])), np.array([1.0, 1.0]))
    outcome = TORCH.run(program, path=way)
    assert [v.tolist() for v in outcome.values] == [[2.0, 1.0], [25.0, 9.0]]
    assert outcome.gradients[0].tolist() == [6.0, 10.0]
