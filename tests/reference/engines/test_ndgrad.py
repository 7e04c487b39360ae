"""ndgrad behind the protocol: every op, spelled as users spell it, twice over, to second order, and nothing touched."""

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
    """Programs of any ops that have a way back."""
    return [program for program in sample(EXPRESSIONS, number) if program.cotangent is not None]


def test_the_engine_knows_every_op_of_the_table() -> None:
    """It says its name with its version, and can be asked for second order."""
    assert sorted(ENGINE.ops) == sorted(OPS)
    assert ENGINE.name == f"ndgrad {ndgrad.__version__}"
    assert ENGINE.abilities.second_order


def test_a_table_of_rules_can_be_given() -> None:
    """An engine of other rules runs those. This is wrong, on purpose: a slope of tanh that is twice what it is."""
    wrong = Rule(np.tanh, lambda g, y, x: 2 * g * (1 - y * y))
    wrong.__name__ = "tanh"
    program = parse("x=f8(1.0); a=tanh(x); back(a,f8(1.0))")
    spoilt, right = NdgradEngine({**RULES, "tanh": wrong}).run(program), ENGINE.run(program)
    assert spoilt.gradients[0] == 2 * right.gradients[0]


@pytest.mark.parametrize("op", [name for name, rule in RULES.items() if rule.operator])
def test_operators_are_met_as_operators(op: str) -> None:
    """Not by way of the function: so what `Value` does with `+` and with its reflection is judged, too."""
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
def test_constants_on_the_left_meet_the_reflected_operator(line: str) -> None:
    """An array and a Python number there give a Value, and the gradient goes to the operand on the right."""
    assert ENGINE.run(parse(line)).gradients[0].tolist() == [-1.0, -5.0]


def test_values_that_constants_alone_made_are_arrays() -> None:
    """They want no gradient, and stand in the outcome like all others."""
    outcome = ENGINE.run(parse("x=f8(1.0); y=const(f8([2.0])); z=3; a=multiply(y,z); b=add(a,x); back(b,f8([1.0]))"))
    assert outcome.error is None
    assert [v.tolist() for v in outcome.values] == [[6.0], [7.0]]
    assert all(isinstance(v, np.ndarray) for v in outcome.values)


# The second pass.


def test_a_second_pass_doubles_the_gradients() -> None:
    """In all programs, exactly, and without touching those that were handed out before."""
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
    """A gradient that is missing is None, and no array of zeros."""
    outcome = ENGINE.run(parse("x=f8(1.0); y=f8(2.0); a=exp(x); b=exp(y); back(b,f8(1.0))"))
    assert (outcome.gradients[0], outcome.twice[0]) == (None, None)
    assert outcome.gradients[1] == np.exp(2)


# Second order.


def second(line: str) -> list[Any]:
    """The second-order gradients of a program, as lists."""
    outcome = ENGINE.run(parse(line))
    assert outcome.error is None
    return [None if g is None else g.tolist() for g in outcome.second]


def test_second_order_is_a_hessian_times_the_directions() -> None:
    """By hand: of c·x³ the Hessian is 6cx, of c·x·y it is c off the diagonal."""
    cube = "x=f8([2.0,-1.0]); n=3.0; a=power(x,n); back(a,f8([1.0,10.0]),along=(f8([1.0,0.5]),))"
    product = "x=f8(2.0); y=f8(5.0); a=multiply(x,y); back(a,f8(3.0),along=(f8(1.0),f8(7.0)))"
    assert second(cube) == [[12.0, -30.0]]
    assert second(product) == [21.0, 3.0]


def test_what_is_linear_has_no_second_order() -> None:
    """Nothing arrives, or zeros do; and without directions nothing is asked."""
    linear = "x=f8([1.0,2.0]); a=negative(x); back(a,f8([1.0,3.0]),along=(f8([1.0,1.0]),))"
    assert second(linear) in ([None], [[0, 0]])
    assert second("x=f8([1.0,2.0]); a=exp(x); back(a,f8([1.0,3.0]))") == []


def test_a_leaf_that_nothing_reaches_has_no_part_in_second_order() -> None:
    """Its direction is passed over; the others' derivatives are as they were."""
    line = "x=f8(9.0); y=f8(2.0); a=exp(x); b=square(y); back(b,f8(3.0),along=(f8(1.0),f8(5.0)))"
    assert second(line) == [None, 30.0]


def test_the_second_order_leaves_the_first_as_it_is() -> None:
    """Gradients with directions are the gradients without, to the bit; both passes of them."""
    for program in finished():
        if program.directions:
            plain = Program(program.operands, program.steps, program.cotangent)
            with_, without = ENGINE.run(program), ENGINE.run(plain)
            assert len(with_.second) == len(program.leaves)
            for name in ("gradients", "twice"):
                for a, b in zip(getattr(with_, name), getattr(without, name), strict=True):
                    np.testing.assert_array_equal(a, b)


# Nothing touched.


def test_operands_stay_as_they_are() -> None:
    """A program is the same to the bit after it ran, and so are the arrays that were handed in."""
    for program in finished():
        before = str(program)
        outcome = ENGINE.run(program)
        given = [o.data for o in program.operands if o.kind != NUMBER]
        assert str(program) == before
        for array, data in zip(outcome.held, [*given, program.cotangent], strict=True):
            np.testing.assert_array_equal(array, np.asarray(data))
            assert not array.flags.writeable


def test_gradients_share_no_memory() -> None:
    """Neither with one another, nor with operands, values or the cotangent: who writes into one changes no other."""
    for program in finished():
        outcome = ENGINE.run(program)
        own = [g for g in (*outcome.gradients, *outcome.twice) if g is not None]
        others = [*outcome.held, *outcome.values]
        for i, gradient in enumerate(own):
            assert not any(np.shares_memory(gradient, other) for other in (*own[:i], *others))


def spoiling(x: Value) -> Value:
    """An op that spoils its result's data. This is wrong, on purpose."""
    y: Value = ndgrad.exp(x)
    y.data[...] = 0
    return y


SPOILING = NdgradEngine()
SPOILING.functions = {**SPOILING.functions, "exp": spoiling}
SPOILT = parse("x=f8([1.0]); a=exp(x); back(a,f8([1.0]))")


def test_writes_into_what_the_graph_needs_are_noticed() -> None:
    """While a program runs, contents are compared."""
    outcome = SPOILING.run(SPOILT)
    assert isinstance(outcome.error, RuntimeError)
    assert "changed after it was used" in str(outcome.error)


def test_run_again_it_answers_the_same_and_is_not_watched() -> None:
    """Run as a user runs it, every program gives what it gave, to the bit; a write into data goes unnoticed."""
    for program in finished():
        once, again = ENGINE.run(program), ENGINE.again(program)
        for a, b in zip(parts(program, once), parts(program, again), strict=True):
            assert (a.array is None) == (b.array is None)
            assert a.array is None or a.array.tobytes() == b.array.tobytes()
        assert not again.twice
    assert SPOILING.again(SPOILT).error is None


def test_gradients_have_the_leafs_shape_and_dtype() -> None:
    """In programs of both precisions, too."""
    for program in finished():
        outcome = ENGINE.run(program)
        for leaf, *gradients in zip(program.leaves, outcome.gradients, outcome.twice, strict=True):
            assert all(g is None or (g.shape, g.dtype) == (leaf.data.shape, leaf.data.dtype) for g in gradients)
