"""PyTorch as an engine: in each precision, disturbed, and from another engine's values."""

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
    """Run a line, which must not raise."""
    outcome = TORCH.run(parse(line), **options)
    assert outcome.error is None
    return outcome


def moved(program: Program, size: float = SIZE, seeds: int = 5) -> tuple[float, float]:
    """Return the largest relative moves of the value and the first gradient, divided by the disturbance's size."""
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
    """The outcome has each step's value and each leaf's gradient."""
    outcome = TORCH.run(PRODUCT)
    assert outcome.values[0].tolist() == [4.5, -1.0, 21.0]
    assert [g.tolist() for g in outcome.gradients] == [[6.0, -0.5, 3.5], [3.0, 2.0, 1.5]]


def test_it_has_every_op_and_a_name_with_its_version() -> None:
    """The version is without the suffix of the build."""
    assert TORCH.ops == tuple(OPS)
    assert TORCH.name == "PyTorch " + torch.__version__.split("+")[0]
    assert TORCH.abilities.second_order


def test_mirrors_can_be_given() -> None:
    """An engine of a few mirrors supports only those ops."""
    few = TorchEngine({"exp": torch.exp})
    assert few.ops == ("exp",)
    assert few.run(parse("x=f8(0.0); a=exp(x); back(a,f8(1.0))")).values[0] == 1
    assert isinstance(few.run(PRODUCT).error, KeyError)


def test_second_order_is_a_hessian_times_the_directions() -> None:
    """The Hessian of c·x³ is 6cx, and that of c·x·y is c off the diagonal; a linear program has none."""
    cube = "x=f8([2.0,-1.0]); n=3.0; a=power(x,n); back(a,f8([1.0,10.0]),along=(f8([1.0,0.5]),))"
    product = "x=f8(2.0); y=f8(5.0); a=multiply(x,y); back(a,f8(3.0),along=(f8(1.0),f8(7.0)))"
    linear = "x=f8(2.0); a=negative(x); back(a,f8(3.0),along=(f8(1.0),))"
    assert [g.tolist() for g in run(cube).second] == [[12.0, -30.0]]
    assert [g.tolist() for g in run(product).second] == [21.0, 3.0]
    assert run(linear).second == (None,)


def test_gradients_are_those_of_an_ordinary_pass() -> None:
    """They are not those of a pass with create_graph, in which `cumprod`, for one, has another formula after a 0."""
    line = "x=f8([0.0,inf]); a=cumprod(x,axis=0); back(a,f8([1.0,1.0])"
    alone, along = (TorchEngine().run(parse(line + end)) for end in (")", ",along=(f8([1.0,1.0]),))"))
    np.testing.assert_array_equal(alone.gradients[0], along.gradients[0])
    assert along.gradients[0][1] == 0


def test_an_unused_leaf_has_no_gradient() -> None:
    """Its gradients of first and second order are None."""
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
def test_errors_of_pytorch_are_in_the_outcome(line: str) -> None:
    """The outcome has an error of a step, of the backward pass, or about an unknown op or option."""
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
    """A step may have only Python numbers or integers, for a user may write such a program."""
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
def test_options_with_a_default_may_be_left_out(line: str, value: float) -> None:
    """A user may leave them out, and an engine that accepts the program must not be blamed."""
    assert run(line).values[0] == value


def test_operands_are_copied() -> None:
    """PyTorch's results share no memory with a program's arrays."""
    for program in sample(EXPRESSIONS, 60):
        outcome = TORCH.run(program)
        results = [*outcome.values, *(g for g in (*outcome.gradients, *outcome.second) if g is not None)]
        assert not any(np.shares_memory(array, o.data) for array in results for o in program.operands)


# Precision.


def test_precision_is_that_of_the_operands() -> None:
    """Python numbers are weak, mixed operands give doubles, and gradients have the dtype of their leaves."""
    single = run("x=f4([1.0,2.0]); y=0.1; a=multiply(x,y); back(a,f4([1.0,2.0]))")
    mixed = run("x=f4([1.0,2.0]); y=f8(0.1); a=multiply(x,y); back(a,f8([1.0,2.0]))")
    assert single.values[0].dtype == single.gradients[0].dtype == np.float32
    assert mixed.values[0].dtype == np.float64
    assert [g.dtype for g in mixed.gradients] == [np.float32, np.float64]


@pytest.mark.parametrize("operand", ["f4(0.5)", "f8(0.5)"])
def test_wide_computes_in_double_and_narrow_in_single(operand: str) -> None:
    """For any operands, exp(0.5) has 53 bits in `float64` and 24 in `float32`, forward and backward."""
    line = f"x={operand}; a=exp(x); back(a,f8(1.0))"
    wide, narrow = run(line, precision="float64"), run(line, precision="float32")
    assert (wide.values[0], wide.gradients[0]) == (np.exp(0.5), np.exp(0.5))
    assert (narrow.values[0], narrow.gradients[0]) == (np.exp(np.float32(0.5)), np.exp(np.float32(0.5)))
    assert wide.values[0].dtype == wide.gradients[0].dtype == np.float64
    assert narrow.values[0].dtype == narrow.gradients[0].dtype == np.float32


def test_every_step_has_the_given_precision() -> None:
    """This also holds for `astype`: in double precision it must not round."""
    line = 'x=f8(0.1); a=astype(x,dtype="float32"); b=astype(a,dtype="float64"); back(b,f8(1.0))'
    assert run(line).values[-1] == np.float32(0.1)
    assert [v.dtype for v in run(line, precision="float64").values] == [np.float64] * 2
    assert run(line, precision="float64").values[-1] == 0.1
    assert [v.dtype for v in run(line, precision="float32").values] == [np.float32] * 2


def test_integers_and_booleans_take_the_given_precision() -> None:
    """Constants of integers and booleans become floats of this precision."""
    line = (
        "x=f8([0.1,0.2]); y=const(i8([3,4])); z=const(b1([True,False])); a=add(x,y); b=add(a,z); back(b,f8([1.0,2.0]))"
    )
    for precision in ("float64", "float32"):
        assert run(line, precision=precision).values[-1].dtype == precision


# Disturbances.


def test_a_disturbance_moves_well_conditioned_results_by_its_size() -> None:
    """A product's factors are disturbed once each; in the backward pass, saved tensors are disturbed, too."""
    value, gradient = moved(PRODUCT)
    assert 1 < value < 2.1
    assert 1 < gradient < 4.1


def test_twice_the_disturbance_moves_twice_as_far() -> None:
    """The move is proportional to the size, so that its ratio is a property of the program."""
    for one, two in zip(moved(PRODUCT, SIZE), moved(PRODUCT, 2 * SIZE), strict=True):
        assert one == pytest.approx(two, rel=1e-3)


def test_cancellation_moves_the_value() -> None:
    """The difference of numbers that agree in four digits moves ten thousand times as far; the gradient does not."""
    value, gradient = moved(parse("x=f8(1.0001); y=f8(1.0); a=subtract(x,y); back(a,f8(1.0))"))
    assert 10_000 < value < 20_100
    assert gradient < 3


def test_saturation_moves_the_gradient() -> None:
    """1 - tanh² reads the rounded result: at 5 its condition is about 11,000, while the value's is tiny."""
    value, gradient = moved(parse("x=f8(5.0); a=tanh(x); back(a,f8(1.0))"))
    assert value < 0.01
    assert 10_000 < gradient < 50_000


def test_all_steps_are_disturbed() -> None:
    """The result of ten products moves further than that of one, and at most as far as the sum of all moves."""
    chain = "; ".join(f"a{i}=multiply({f'a{i - 1}' if i else 'x'},y)" for i in range(10))
    value, _ = moved(parse(f"x=f8(1.5); y=f8(0.5); {chain}; back(a9,f8(1.0))"))
    assert 2.1 < value < 20.1


def test_each_use_is_disturbed_independently() -> None:
    """x - x is 0 for one number, but not for two uses that are disturbed independently."""
    outcomes = [
        TORCH.run(parse("x=f8(3.0); a=subtract(x,x); back(a,f8(1.0))"), noise=Noise(SIZE, seed)) for seed in range(10)
    ]
    assert {round(float(o.values[0]) / SIZE, 3) for o in outcomes} == {-6.0, 0.0, 6.0}


def test_each_number_is_disturbed_independently() -> None:
    """Of a hundred equal numbers, about half become larger and half smaller, and none stays."""
    disturbance = Disturbance(Noise(SIZE, 0))
    disturbed = disturbance.on(torch.full((100,), 2.0, dtype=torch.float64)).numpy() / 2 - 1
    assert set(disturbed) == {-SIZE, SIZE}
    assert 25 < (disturbed > 0).sum() < 75


def test_integers_are_not_disturbed() -> None:
    """Integers are returned unchanged."""
    places = torch.arange(10)
    assert Disturbance(Noise(0.5, 0)).on(places) is places


def test_a_disturbance_depends_on_the_seed() -> None:
    """The same seed gives the same numbers, and another seed gives others."""
    one, same, other = (TORCH.run(PRODUCT, noise=Noise(SIZE, seed)) for seed in (1, 1, 2))
    for name in ("values", "gradients"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.values[0], other.values[0])


@pytest.mark.parametrize("op", [op for op, row in OPS.items() if row.selects])
def test_ops_that_select_are_not_disturbed(op: str) -> None:
    """Their results stay equal to the bit, for disturbed operands would be selected differently."""
    for program in sample(op, 20):
        alone = Program(program.operands, program.steps[:1], None)
        if alone.steps[0].op == op:
            plain, noisy = TORCH.run(alone), TORCH.run(alone, noise=Noise(2.0**-10, 0))
            np.testing.assert_array_equal(plain.values, noisy.values)


def test_precision_and_disturbance_go_together() -> None:
    """A program of singles can be disturbed in double precision, as the verdict does."""
    line = "x=f4(1.5); y=f4(3.0); a=multiply(x,y); back(a,f4(2.0))"
    outcomes = [run(line, noise=Noise(SIZE, seed), precision="float64") for seed in range(10)]
    assert all(o.values[0].dtype == o.gradients[0].dtype == np.float64 for o in outcomes)
    assert SIZE < max(abs(o.values[0] / 4.5 - 1) for o in outcomes) < 2.1 * SIZE


def test_a_path_may_have_any_memory_layout() -> None:
    """Steps continue from values with negative strides, like those of a flip, as from others."""
    program = parse("x=f8([1.0,2.0]); a=flip(x,axis=0); b=square(a); back(b,f8([1.0,1.0]))")
    way = (np.flip(np.array([3.0, 5.0])), np.array([1.0, 1.0]))
    outcome = TORCH.run(program, path=way)
    assert [v.tolist() for v in outcome.values] == [[2.0, 1.0], [25.0, 9.0]]
    assert outcome.gradients[0].tolist() == [6.0, 10.0]
