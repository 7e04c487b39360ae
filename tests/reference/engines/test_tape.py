"""An engine of a few lines, plugged in: its programs run, and whatever it raises is its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference.engines import Outcome, TapeEngine
from reference.engines.torch import TorchEngine
from reference.programs import Program, parse
from reference.verdict import Result, judge
from tests.reference.drawing import draw

Pull = Callable[[np.ndarray], list[tuple[Any, np.ndarray]]]


class Node:
    """A value of a toy engine: its data, its gradient, and what carries a cotangent to what it was made of."""

    def __init__(self, data: np.ndarray, pull: Pull = lambda g: []) -> None:
        self.data = data
        self.grad: np.ndarray | None = None
        self.pull = pull


def number(x: Any) -> Any:
    """The data of a node; constants are their own."""
    return x.data if isinstance(x, Node) else x


def add(a: Any, b: Any) -> Node:
    """Two operands of one shape, added."""
    return Node(np.asarray(number(a) + number(b)), lambda g: [(a, g), (b, g)])


def multiply(a: Any, b: Any) -> Node:
    """Two operands of one shape, multiplied."""
    return Node(np.asarray(number(a) * number(b)), lambda g: [(a, g * number(b)), (b, g * number(a))])


def log(x: Node) -> Node:
    """The logarithm."""
    return Node(np.asarray(np.log(x.data)), lambda g: [(x, g / x.data)])


class Toy(TapeEngine):
    """The engine: it passes back along every path, one at a time."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        super().__init__("toy 1.0", {"add": add, "multiply": multiply, "log": log, **functions})

    def leaf(self, array: np.ndarray, name: str) -> Node:
        """Make a node."""
        del name
        return Node(array)

    def data(self, value: Any) -> np.ndarray:
        """Give a node's data."""
        return value.data  # type: ignore[no-any-return]

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        """Pass back."""
        result.grad = cotangent if result.grad is None else result.grad + cotangent
        for operand, g in result.pull(cotangent):
            if isinstance(operand, Node):
                self.back(operand, g)

    def gradient(self, leaf: Node) -> np.ndarray | None:
        """Give a node's gradient."""
        return leaf.grad


def failing(*args: Any, **options: Any) -> Any:
    """This is wrong, on purpose."""
    raise ZeroDivisionError("on purpose")


ADDED = parse(
    "x=f8([2.0,3.0]); y=f8([4.0,5.0]); z=2.0; a=multiply(x,y); b=add(a,x); c=multiply(b,z); back(c,f8([1.0,10.0]))"
)


def test_a_program_is_run() -> None:
    """Each step's value, in order, and each leaf's gradient; a leaf used twice gets both."""
    outcome = Toy().run(ADDED)
    assert outcome.error is None
    assert [v.tolist() for v in outcome.values] == [[8.0, 15.0], [10.0, 18.0], [20.0, 36.0]]
    assert [g.tolist() for g in outcome.gradients] == [[10.0, 120.0], [4.0, 60.0]]


def test_an_engine_of_twenty_lines_can_be_judged() -> None:
    """On all that it knows it agrees with PyTorch."""
    assert judge(ADDED, Toy(), TorchEngine()).result is Result.AGREES


def test_a_wrong_engine_of_twenty_lines_is_found() -> None:
    """This is wrong, on purpose: a product that forgets its second operand's gradient."""
    half = Toy(multiply=lambda a, b: Node(number(a) * number(b), lambda g: [(a, g * number(b))]))
    verdict = judge(ADDED, half, TorchEngine())
    assert verdict.result is Result.ENGINE_WRONG
    assert [finding.part for finding in verdict.findings] == ["grad[y]"]


def test_an_engine_says_what_it_knows() -> None:
    """Its name, and the ops that it was given functions for. It is not asked for second order."""
    assert Toy().name == "toy 1.0"
    assert Toy().ops == ("add", "multiply", "log")
    assert not Toy().abilities.second_order


def test_a_leaf_that_nothing_reaches_has_no_gradient() -> None:
    """None stands for it, in its place."""
    line = "x=f8(1.0); y=f8(2.0); a=tanh(x); b=log(y); back(b,f8(1.0))"
    outcome = Toy(tanh=lambda x: Node(np.tanh(x.data))).run(parse(line))
    assert outcome.gradients[0] is None
    assert outcome.gradients[1] == 0.5


def test_what_must_be_refused_is_not_passed_back() -> None:
    """Without a cotangent nothing but the steps is run."""

    class Forward(Toy):
        back = failing

    outcome = Forward().run(replace(ADDED, cotangent=None))
    assert (outcome.error, len(outcome.values), outcome.gradients) == (None, 3, ())


# Errors.


class FailingBack(Toy):
    """Cannot pass back."""

    back = failing


class FailingGradient(Toy):
    """Cannot give a gradient."""

    gradient = failing


class FailingData(Toy):
    """Cannot give a value."""

    data = failing


class FailingLeaf(Toy):
    """Cannot make a leaf, as an engine that knows no single precision cannot."""

    leaf = failing


class FailingOnceMore(Toy):
    """Cannot pass back a second time."""

    once_more = failing


@pytest.mark.parametrize(
    ("engine", "done"),
    [
        (Toy(add=failing), 1),
        (FailingBack(), 3),
        (FailingGradient(), 3),
        (FailingOnceMore(), 3),
        (FailingData(), 0),
        (FailingLeaf(), 0),
    ],
    ids=["a step", "the pass back", "a gradient", "the second pass", "a value", "a leaf"],
)
def test_what_an_engine_raises_is_its_answer(engine: TapeEngine, done: int) -> None:
    """Wherever it raises: the error is in the outcome, beside the steps that came to an end."""
    outcome = engine.run(ADDED)
    assert isinstance(outcome.error, ZeroDivisionError)
    assert len(outcome.values) == done
    assert outcome.gradients == ()


def test_an_op_that_is_not_known_is_an_error() -> None:
    """It names the op."""
    outcome = Toy().run(parse("x=f8(1.0); a=log(x); b=sinh(a); back(b,f8(1.0))"))
    assert isinstance(outcome.error, KeyError)
    assert "sinh" in str(outcome.error)
    assert len(outcome.values) == 1


def test_an_interrupt_is_no_answer() -> None:
    """Who stops a run stops it, whatever the engine is doing."""

    def interrupted(*operands: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Toy(add=interrupted).run(ADDED)


# What an engine is handed.


def test_operands_and_cotangent_are_read_only() -> None:
    """Who writes into one fails where it happens. This is wrong, on purpose."""

    def overwriting(a: Any, b: Any) -> Node:
        number(a)[...] = 0
        return add(a, b)

    class Overwriting(Toy):
        def back(self, result: Any, cotangent: np.ndarray) -> None:
            super().back(result, np.multiply(cotangent, 2, out=cotangent))

    plain = parse("x=f8([2.0]); y=const(f8([4.0])); a=add(x,y); b=add(y,a); back(b,f8([1.0]))")
    for engine in (Toy(add=overwriting), Overwriting()):
        outcome = engine.run(plain)
        assert isinstance(outcome.error, ValueError)
        assert "read-only" in str(outcome.error)
    assert plain.operands[0].data == 2
    assert plain.cotangent == 1


def test_arrays_come_in_their_layout_and_numbers_as_numbers() -> None:
    """A leaf by way of `leaf`, under its name; a constant as an array; a Python number as it is."""
    seen: list[Any] = []

    class Looking(Toy):
        def leaf(self, array: np.ndarray, name: str) -> Node:
            seen.append((name, array.strides))
            return super().leaf(array, name)

    def looking(a: Any, b: Any) -> Node:
        seen.append(type(b))
        return add(a, b)

    line = 'x=f8([[1.0,2.0]],layout="reversed"); y=const(f8(1.0)); z=2; a=add(x,y); b=add(a,z); back(b,f8([[1.0,2.0]]))'
    assert Looking(add=looking).run(parse(line)).error is None
    assert seen == [("x", (-16, -8)), np.ndarray, int]


def test_what_was_handed_in_is_kept_for_the_verdict() -> None:
    """The arrays of the operands, in order, and the cotangent: the very ones that the engine was given."""
    outcome = Toy().run(ADDED)
    assert [array.tolist() for array in outcome.held] == [[2.0, 3.0], [4.0, 5.0], [1.0, 10.0]]
    first, _, cotangent = outcome.held
    leaf = Toy().run(parse("x=f8([2.0]); a=add(x,x); back(a,f8([1.0]))"))
    assert not np.shares_memory(first, ADDED.operands[0].data)
    assert not np.shares_memory(cotangent, ADDED.cotangent)
    assert len(leaf.held) == 2


def test_poles_are_met_without_warnings() -> None:
    """NumPy's warnings are off while a program runs, and as they were afterwards."""
    assert Toy().run(parse("x=f8([0.0,-1.0]); a=log(x); back(a,f8([1.0,1.0]))")).error is None
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.log(np.zeros(1))


def test_each_run_is_a_run_of_its_own() -> None:
    """Gradients of one run do not reach the next, and a program is not changed by it."""
    before = str(ADDED)
    once, again = Toy().run(ADDED), Toy().run(ADDED)
    assert [g.tolist() for g in once.gradients] == [g.tolist() for g in again.gradients]
    assert str(ADDED) == before


def test_what_else_an_engine_can_do_is_asked_last() -> None:
    """`once_more` is given the program, the result, the leaves and the outcome; what it returns is the outcome."""

    class Twice(Toy):
        def once_more(self, program: Program, result: Any, leaves: Sequence[Any], outcome: Outcome) -> Outcome:
            assert program is ADDED
            assert result.data.tolist() == [20.0, 36.0]
            self.back(result, outcome.held[-1])
            return replace(outcome, twice=tuple(map(self.gradient, leaves)))

    outcome = Twice().run(ADDED)
    assert [(b / a).tolist() for a, b in zip(outcome.gradients, outcome.twice, strict=True)] == [[2.0, 2.0]] * 2


def test_a_program_for_another_engine_is_an_error_and_no_crash() -> None:
    """Programs of ops that the engine does not know, by the dozen: each is answered."""
    outcomes = [Toy().run(program) for i in range(30) if (program := draw("sample", "softmax", i))]
    assert len(outcomes) > 20
    assert all(outcome.error is not None for outcome in outcomes)
