"""ndgrad as an engine: every op as users call it, a second backward pass, second order, and unchanged operands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import Value
from ndgrad.rules import RULES, Rule
from reference.engines.ndgrad import NdgradEngine
from reference.ops import OPS
from reference.programs import NUMBER, Program, parse
from reference.verdict import parts
from tests.reference.drawing import EXPRESSIONS, sample

ENGINE = NdgradEngine()


def finished(number: int = 200) -> list[Program]:
    """Draw programs of any ops that have a cotangent."""
    return [program for program in sample(EXPRESSIONS, number) if program.cotangent is not None]


def test_the_engine_has_every_op_of_the_table() -> None:
    """It has all ops, a name with its version, and the ability of second order."""
    assert sorted(ENGINE.ops) == sorted(OPS)
    assert ENGINE.name == f"ndgrad {ndgrad.__version__}"
    assert ENGINE.abilities.second_order


def test_a_table_of_rules_can_be_given() -> None:
    """An engine with other rules runs these. The slope of tanh is doubled here: it is wrong on purpose."""
    wrong = Rule(np.tanh, lambda g, y, x: 2 * g * (1 - y * y))
    wrong.__name__ = "tanh"
    program = parse("x=f8(1.0); a=tanh(x); back(a,f8(1.0))")
    spoilt, right = NdgradEngine({**RULES, "tanh": wrong}).run(program), ENGINE.run(program)
    assert spoilt.gradients[0] == 2 * right.gradients[0]


@pytest.mark.parametrize("op", [name for name, rule in RULES.items() if rule.operator])
def test_operators_are_called_as_operators(op: str) -> None:
    """Ops with an operator are called by it, so that Value's operators and their reflections are judged, too."""
    seen: list[str] = []

    class Operand:
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    def note(name: str) -> Any:
        def method(self: Any, *others: Any) -> Any:
            seen.append(name)
            return self

        return method

    dunder = f"__{RULES[op].operator}__"
    setattr(Operand, dunder, note(dunder))
    operands = [Operand()] * len(RULES[op].pullbacks)
    ENGINE.functions[op](*operands, **({"index": 0} if op == "getitem" else {}))
    assert seen == [dunder]


@pytest.mark.parametrize(
    "line",
    [
        "x=f8([1.0,2.0]); y=const(f8([3.0,4.0])); a=subtract(y,x); back(a,f8([1.0,5.0]))",
        "x=f8([1.0,2.0]); y=2; a=subtract(y,x); back(a,f8([1.0,5.0]))",
    ],
)
def test_constants_on_the_left_use_the_reflected_operator(line: str) -> None:
    """An array or a Python number on the left gives a Value, and the right operand gets its gradient."""
    assert ENGINE.run(parse(line)).gradients[0].tolist() == [-1.0, -5.0]


def test_results_of_constants_are_arrays() -> None:
    """They require no gradient, and are in the outcome like all other values."""
    outcome = ENGINE.run(parse("x=f8(1.0); y=const(f8([2.0])); z=3; a=multiply(y,z); b=add(a,x); back(b,f8([1.0]))"))
    assert outcome.error is None
    assert [v.tolist() for v in outcome.values] == [[6.0], [7.0]]
    assert all(isinstance(v, np.ndarray) for v in outcome.values)


# The second pass.


def test_a_second_pass_doubles_the_gradients() -> None:
    """They are exactly doubled in all programs, and gradients that were returned before do not change."""
    compared = 0
    for program in finished():
        outcome = ENGINE.run(program)
        for once, twice in zip(outcome.gradients, outcome.twice, strict=True):
            if once is not None:
                np.testing.assert_array_equal(twice, once + once)
                assert not np.shares_memory(once, twice)
                compared += bool(once.any())
    assert compared > 200


def test_a_leaf_without_gradient_has_none_twice() -> None:
    """A missing gradient is None, and not an array of zeros."""
    outcome = ENGINE.run(parse("x=f8(1.0); y=f8(2.0); a=exp(x); b=exp(y); back(b,f8(1.0))"))
    assert (outcome.gradients[0], outcome.twice[0]) == (None, None)
    assert outcome.gradients[1] == np.exp(2)


# Second order.


def second(line: str) -> list[Any]:
    """Return the second-order gradients of a program as lists."""
    outcome = ENGINE.run(parse(line))
    assert outcome.error is None
    return [None if g is None else g.tolist() for g in outcome.second]


def test_second_order_is_a_hessian_times_the_directions() -> None:
    """The Hessian of c·x³ is 6cx, and that of c·x·y is c off the diagonal."""
    cube = "x=f8([2.0,-1.0]); n=3.0; a=power(x,n); back(a,f8([1.0,10.0]),along=(f8([1.0,0.5]),))"
    product = "x=f8(2.0); y=f8(5.0); a=multiply(x,y); back(a,f8(3.0),along=(f8(1.0),f8(7.0)))"
    assert second(cube) == [[12.0, -30.0]]
    assert second(product) == [21.0, 3.0]


def test_linear_programs_have_no_second_order_gradients() -> None:
    """They are None or zeros; without directions they are not computed."""
    linear = "x=f8([1.0,2.0]); a=negative(x); back(a,f8([1.0,3.0]),along=(f8([1.0,1.0]),))"
    assert second(linear) in ([None], [[0, 0]])
    assert second("x=f8([1.0,2.0]); a=exp(x); back(a,f8([1.0,3.0]))") == []


def test_an_unused_leaf_has_no_second_order_gradient() -> None:
    """Its direction is ignored, and the other leaves' derivatives are not changed."""
    line = "x=f8(9.0); y=f8(2.0); a=exp(x); b=square(y); back(b,f8(3.0),along=(f8(1.0),f8(5.0)))"
    assert second(line) == [None, 30.0]


def test_second_order_does_not_change_the_first() -> None:
    """Gradients of both passes are equal to the bit with and without directions."""
    for program in finished():
        if program.directions:
            plain = Program(program.operands, program.steps, program.cotangent)
            with_, without = ENGINE.run(program), ENGINE.run(plain)
            assert len(with_.second) == len(program.leaves)
            for name in ("gradients", "twice"):
                for a, b in zip(getattr(with_, name), getattr(without, name), strict=True):
                    np.testing.assert_array_equal(a, b)


# Unchanged operands.


def test_operands_are_not_changed() -> None:
    """A run changes neither the program nor the arrays that are passed to the engine."""
    for program in finished():
        before = str(program)
        outcome = ENGINE.run(program)
        operands = [o.data for o in program.operands if o.kind != NUMBER]
        assert str(program) == before
        for array, data in zip(outcome.held, [*operands, program.cotangent], strict=True):
            np.testing.assert_array_equal(array, np.asarray(data))
            assert not array.flags.writeable


def test_gradients_share_no_memory() -> None:
    """They share memory neither with each other, nor with operands, values or the cotangent."""
    for program in finished():
        outcome = ENGINE.run(program)
        own = [g for g in (*outcome.gradients, *outcome.twice) if g is not None]
        others = [*outcome.held, *outcome.values]
        for i, gradient in enumerate(own):
            assert not any(np.shares_memory(gradient, other) for other in (*own[:i], *others))


def spoiling(x: Value) -> Value:
    """Overwrite a result's data. It is wrong on purpose."""
    y: Value = ndgrad.exp(x)
    y.data[...] = 0
    return y


SPOILING = NdgradEngine()
SPOILING.functions = {**SPOILING.functions, "exp": spoiling}
SPOILT = parse("x=f8([1.0]); a=exp(x); back(a,f8([1.0]))")


def test_writes_into_what_the_graph_needs_are_noticed() -> None:
    """A write into data that the graph needs raises RuntimeError."""
    outcome = SPOILING.run(SPOILT)
    assert isinstance(outcome.error, RuntimeError)
    assert "changed after it was used" in str(outcome.error)


def test_the_second_run_is_equal_and_has_no_additional_checks() -> None:
    """Without the additional checks every program gives equal results to the bit, and writes are not noticed."""
    for program in finished():
        once, again = ENGINE.run(program), ENGINE.again(program)
        for a, b in zip(parts(program, once), parts(program, again), strict=True):
            assert (a.array is None) == (b.array is None)
            assert a.array is None or a.array.tobytes() == b.array.tobytes()
        assert not again.twice
    assert SPOILING.again(SPOILT).error is None


def test_gradients_have_the_leafs_shape_and_dtype() -> None:
    """This also holds in programs of both precisions."""
    for program in finished():
        outcome = ENGINE.run(program)
        for leaf, *gradients in zip(program.leaves, outcome.gradients, outcome.twice, strict=True):
            assert all(g is None or (g.shape, g.dtype) == (leaf.data.shape, leaf.data.dtype) for g in gradients)
