"""An engine of a few lines on TapeEngine runs programs, and the outcome holds any error that it raises."""

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
    """A value of a toy engine: its data, its gradient, and its pullback to its operands."""

    def __init__(self, data: np.ndarray, pull: Pull = lambda g: []) -> None:
        self.data = data
        self.grad: np.ndarray | None = None
        self.pull = pull


def number(x: Any) -> Any:
    """Return the data of a node; a constant is returned unchanged."""
    return x.data if isinstance(x, Node) else x


def add(a: Any, b: Any) -> Node:
    """Add two operands of one shape."""
    return Node(np.asarray(number(a) + number(b)), lambda g: [(a, g), (b, g)])


def multiply(a: Any, b: Any) -> Node:
    """Multiply two operands of one shape."""
    return Node(np.asarray(number(a) * number(b)), lambda g: [(a, g * number(b)), (b, g * number(a))])


def log(x: Node) -> Node:
    """The logarithm."""
    return Node(np.asarray(np.log(x.data)), lambda g: [(x, g / x.data)])


class Toy(TapeEngine):
    """The toy engine. Its backward pass follows each path of the graph by itself."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        super().__init__("toy 1.0", {"add": add, "multiply": multiply, "log": log, **functions})

    def leaf(self, array: np.ndarray, name: str) -> Node:
        """Make a node."""
        del name
        return Node(array)

    def data(self, value: Any) -> np.ndarray:
        """Return a node's data."""
        return value.data  # type: ignore[no-any-return]

    def back(self, result: Node, cotangent: np.ndarray) -> None:
        """Run a backward pass."""
        result.grad = cotangent if result.grad is None else result.grad + cotangent
        for operand, g in result.pull(cotangent):
            if isinstance(operand, Node):
                self.back(operand, g)

    def gradient(self, leaf: Node) -> np.ndarray | None:
        """Return a node's gradient."""
        return leaf.grad


def failing(*args: Any, **options: Any) -> Any:
    """Raise an error on purpose."""
    raise ZeroDivisionError("on purpose")


ADDED = parse(
    "x=f8([2.0,3.0]); y=f8([4.0,5.0]); z=2.0; a=multiply(x,y); b=add(a,x); c=multiply(b,z); back(c,f8([1.0,10.0]))"
)


def test_a_program_is_run() -> None:
    """The outcome has each step's value and each leaf's gradient; a leaf used twice gets the sum."""
    outcome = Toy().run(ADDED)
    assert outcome.error is None
    assert [v.tolist() for v in outcome.values] == [[8.0, 15.0], [10.0, 18.0], [20.0, 36.0]]
    assert [g.tolist() for g in outcome.gradients] == [[10.0, 120.0], [4.0, 60.0]]


def test_an_engine_of_twenty_lines_can_be_judged() -> None:
    """The toy engine agrees with PyTorch."""
    assert judge(ADDED, Toy(), TorchEngine()).result is Result.AGREES


def test_a_wrong_engine_of_twenty_lines_is_found() -> None:
    """A product without a gradient for its second operand is found. It is wrong on purpose."""
    half = Toy(multiply=lambda a, b: Node(number(a) * number(b), lambda g: [(a, g * number(b))]))
    verdict = judge(ADDED, half, TorchEngine())
    assert verdict.result is Result.ENGINE_WRONG
    assert [finding.part for finding in verdict.findings] == ["grad[y]"]


def test_an_engine_has_a_name_and_ops() -> None:
    """Its ops are those of its functions, and by default it lacks the ability of second order."""
    assert Toy().name == "toy 1.0"
    assert Toy().ops == ("add", "multiply", "log")
    assert not Toy().abilities.second_order


def test_an_unused_leaf_has_no_gradient() -> None:
    """Its gradient in the outcome is None."""
    line = "x=f8(1.0); y=f8(2.0); a=tanh(x); b=log(y); back(b,f8(1.0))"
    outcome = Toy(tanh=lambda x: Node(np.tanh(x.data))).run(parse(line))
    assert outcome.gradients[0] is None
    assert outcome.gradients[1] == 0.5


def test_a_program_without_cotangent_has_no_backward_pass() -> None:
    """Only its steps are run."""

    class Forward(Toy):
        back = failing

    outcome = Forward().run(replace(ADDED, cotangent=None))
    assert (outcome.error, len(outcome.values), outcome.gradients) == (None, 3, ())


# Errors.


class FailingBack(Toy):
    """Its backward pass raises."""

    back = failing


class FailingGradient(Toy):
    """Its `gradient` raises."""

    gradient = failing


class FailingData(Toy):
    """Its `data` raises."""

    data = failing


class FailingLeaf(Toy):
    """Its `leaf` raises, as in an engine without single precision."""

    leaf = failing


class FailingOnceMore(Toy):
    """Its second backward pass raises."""

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
    ids=["a step", "the backward pass", "a gradient", "the second pass", "a value", "a leaf"],
)
def test_errors_of_the_engine_are_in_the_outcome(engine: TapeEngine, done: int) -> None:
    """Wherever the engine raises, the outcome has the error and the values of finished steps."""
    outcome = engine.run(ADDED)
    assert isinstance(outcome.error, ZeroDivisionError)
    assert len(outcome.values) == done
    assert outcome.gradients == ()


def test_an_unknown_op_is_an_error() -> None:
    """The error names the op."""
    outcome = Toy().run(parse("x=f8(1.0); a=log(x); b=sinh(a); back(b,f8(1.0))"))
    assert isinstance(outcome.error, KeyError)
    assert "sinh" in str(outcome.error)
    assert len(outcome.values) == 1


def test_an_interrupt_is_not_caught() -> None:
    """A KeyboardInterrupt ends the run, and is not an error of the engine."""

    def interrupted(*operands: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Toy(add=interrupted).run(ADDED)


# The arrays passed to an engine.


def test_operands_and_cotangent_are_read_only() -> None:
    """A write into one of them raises at once. These engines are wrong on purpose."""

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


def test_operands_have_their_layouts_and_types() -> None:
    """A leaf comes through `leaf` with its name and layout; a constant is an array, and a number a Python number."""
    seen: list[Any] = []

    class Recording(Toy):
        def leaf(self, array: np.ndarray, name: str) -> Node:
            seen.append((name, array.strides))
            return super().leaf(array, name)

    def recording(a: Any, b: Any) -> Node:
        seen.append(type(b))
        return add(a, b)

    line = 'x=f8([[1.0,2.0]],layout="reversed"); y=const(f8(1.0)); z=2; a=add(x,y); b=add(a,z); back(b,f8([[1.0,2.0]]))'
    assert Recording(add=recording).run(parse(line)).error is None
    assert seen == [("x", (-16, -8)), np.ndarray, int]


def test_the_outcome_holds_the_passed_arrays() -> None:
    """`held` has the arrays of the operands in order and the cotangent, exactly those that the engine got."""
    outcome = Toy().run(ADDED)
    assert [array.tolist() for array in outcome.held] == [[2.0, 3.0], [4.0, 5.0], [1.0, 10.0]]
    first, _, cotangent = outcome.held
    leaf = Toy().run(parse("x=f8([2.0]); a=add(x,x); back(a,f8([1.0]))"))
    assert not np.shares_memory(first, ADDED.operands[0].data)
    assert not np.shares_memory(cotangent, ADDED.cotangent)
    assert len(leaf.held) == 2


def test_poles_give_no_warnings() -> None:
    """NumPy's warnings are off while a program runs, and restored afterwards."""
    assert Toy().run(parse("x=f8([0.0,-1.0]); a=log(x); back(a,f8([1.0,1.0]))")).error is None
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.log(np.zeros(1))


def test_runs_are_independent() -> None:
    """Gradients of one run do not affect the next, and a run does not change the program."""
    before = str(ADDED)
    once, again = Toy().run(ADDED), Toy().run(ADDED)
    assert [g.tolist() for g in once.gradients] == [g.tolist() for g in again.gradients]
    assert str(ADDED) == before


def test_once_more_is_called_last() -> None:
    """`once_more` gets the program, the result, the leaves and the outcome, and returns the final outcome."""

    class Twice(Toy):
        def once_more(self, program: Program, result: Any, leaves: Sequence[Any], outcome: Outcome) -> Outcome:
            assert program is ADDED
            assert result.data.tolist() == [20.0, 36.0]
            self.back(result, outcome.held[-1])
            return replace(outcome, twice=tuple(map(self.gradient, leaves)))

    outcome = Twice().run(ADDED)
    assert [(b / a).tolist() for a, b in zip(outcome.gradients, outcome.twice, strict=True)] == [[2.0, 2.0]] * 2


def test_programs_with_unknown_ops_give_errors() -> None:
    """Each of many programs with ops that the engine lacks has an outcome with an error."""
    outcomes = [Toy().run(program) for i in range(30) if (program := draw("sample", "softmax", i))]
    assert len(outcomes) > 20
    assert all(outcome.error is not None for outcome in outcomes)
