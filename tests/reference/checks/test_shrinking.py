"""Failing programs are shrunk to the fewest steps, operands and numbers that still fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reference.checks import Case, ProgramCase, Trial, shrink
from reference.engines.torch import TorchEngine
from reference.programs import Program, parse
from reference.verdict import Result, Verdict

TORCH = TorchEngine()
LONG = (
    'x=f4([[2.5,-1.0,3.0],[0.5,1.5,2.0]],layout="F"); y=f8([[1.0],[4.0]]); z=f8([2.0,3.0]); a=multiply(x,y); '
    "b=tanh(a); c=sum(b,axis=(1,),keepdims=True); d=exp(z); e=concatenate(c,d,axis=None); "
    "back(e,f8([1.0,2.0,-1.0,3.0]),along=(f4([[1.0,2.0,1.0],[0.5,1.0,1.0]]),f8([[1.0],[2.0]]),f8([1.0,1.0])))"
)


def small(line: str, fails: Callable[[Program], bool]) -> str:
    """Shrink a program and return its line."""

    def failed(case: Case) -> Trial:
        return Trial(case, Verdict(Result.ENGINE_WRONG))

    def reproduce(case: Case) -> Trial | None:
        assert isinstance(case, ProgramCase)
        return failed(case) if fails(case.program) else None

    return str(shrink(failed(ProgramCase(parse(line))), reproduce).case)


def has(op: str) -> Callable[[Program], bool]:
    """Return a predicate: whether a program uses this op, as if the op were broken."""
    return lambda program: any(step.op == op for step in program.steps)


@pytest.mark.parametrize(
    ("op", "line"),
    [
        ("multiply", "x=f8(1.0); y=f8(1.0); a=multiply(x,y); back(a,f8(1.0))"),
        ("tanh", "x=f8(1.0); a=tanh(x); back(a,f8(1.0))"),
        ("sum", "x=f8([[1.0]]); a=sum(x,axis=(1,),keepdims=False); back(a,f8([1.0]))"),
        ("exp", "x=f8(1.0); a=exp(x); back(a,f8(1.0))"),
    ],
)
def test_a_single_failing_step_remains(op: str, line: str) -> None:
    """If one step fails alone, the other steps and the directions go, axes become short, and numbers become 1."""
    assert small(LONG, has(op)) == line


def test_two_steps_that_fail_together_stay() -> None:
    """Two steps that fail only together stay, and the step between them goes."""
    together = small(LONG, lambda p: has("multiply")(p) and has("sum")(p))
    assert [step.op for step in parse(together).steps] == ["multiply", "sum"]


def test_a_second_order_failure_keeps_its_directions() -> None:
    """A program that fails only at second order shrinks to one that is still of second order."""
    line = small(LONG, lambda p: bool(p.directions) and has("tanh")(p))
    assert line == "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=(f8(1.0),))"


def test_numbers_that_matter_stay() -> None:
    """A number that the failure needs stays, and its neighbours go."""
    line = small(
        "x=f8([1.5,-3.0,2.0]); a=relu(x); back(a,f8([2.0,4.0,8.0]))", lambda p: bool((p.operands[0].data < 0).any())
    )
    assert line == "x=f8(-3.0); a=relu(x); back(a,f8(1.0))"


def test_an_index_is_shrunk() -> None:
    """An index loses entries, with the operand's axis if needed, and places; the remaining places become 0."""
    index = "(slice(-1,1,None),None,i8([-1,2,2]))"
    line = f"x=f8([[1.0,2.0,3.0]]); a=getitem(x,index={index}); back(a,f8([[[1.0,2.0,3.0]]]))"

    def repeats(program: Program) -> bool:
        arrays = [entry for entry in program.steps[0].options["index"] if isinstance(entry, np.ndarray)]
        return any(entry.size > np.unique(entry).size for entry in arrays)

    assert small(line, repeats) == "x=f8([1.0]); a=getitem(x,index=(i8([0,0]),)); back(a,f8([1.0,2.0]))"


@pytest.mark.parametrize(
    ("line", "shrunk"),
    [
        (
            "x=f8([[1.0,2.0]]); y=f8([5.0,6.0]); a=where(x,y,condition=b1([[True,False]])); back(a,f8([[1.0,2.0]]))",
            "x=f8(1.0); y=f8(1.0); a=where(x,y,condition=b1(False)); back(a,f8(1.0))",
        ),
        (
            "x=f8([[1.0,2.0],[3.0,4.0]]); a=label_cross_entropy(x,labels=i8([1,0])); back(a,f8([1.0,2.0]))",
            "x=f8([1.0]); a=label_cross_entropy(x,labels=i8(0)); back(a,f8(1.0))",
        ),
    ],
    ids=["where", "labels"],
)
def test_arrays_among_the_options_are_cut_with_the_operands(line: str, shrunk: str) -> None:
    """Array options are shortened with their operands, and become zeros if their numbers do not matter."""
    assert small(line, lambda program: len(program.steps) > 0) == shrunk


@pytest.mark.parametrize("n", [3, 4])
def test_a_square_stays_a_square(n: int) -> None:
    """If a failure needs two axes of the same length, both are shortened together."""
    square = np.arange(n * n, dtype=float).reshape(n, n).tolist()
    line = f"x=f8({square}); a=sum(x,axis=1,keepdims=False); back(a,f8({square[0]}))"

    def fails(program: Program) -> bool:
        shape = program.operands[0].data.shape
        return len(shape) == 2 and shape[0] == shape[1] > 1

    assert small(line, fails) == "x=f8([[3.0,4.0],[5.0,6.0]]); a=sum(x,axis=1,keepdims=False); back(a,f8([1.0,2.0]))"


def test_numbers_of_an_array_become_different() -> None:
    """Arrays of several numbers get 1, 2, 3 and so on, the cotangent first; if that does not fail, it alone does."""
    line = "x=f8([5.0,-3.0]); y=f8([2.0,8.0]); z=f8(7.0); a=multiply(x,y); b=add(a,z); back(b,f8([2.0,2.0]))"

    def fails(program: Program) -> bool:
        return len(program.steps) == 2 and program.operands[0].data.shape == (2,) == program.operands[1].data.shape

    words = "x=f8({}); y=f8({}); z=f8(1.0); a=multiply(x,y); b=add(a,z); back(b,f8([1.0,2.0]))"
    assert small(line, fails) == words.format("[3.0,4.0]", "[5.0,6.0]")
    ties = small(line, lambda program: fails(program) and len(set(program.operands[0].data)) == 1)
    assert ties == words.format("[1.0,1.0]", "[1.0,1.0]")


def test_a_program_that_cannot_be_shrunk_is_unchanged() -> None:
    """If no smaller program fails, the program is returned unchanged."""
    assert small(LONG, lambda _: False) == str(parse(LONG))


def test_a_program_that_must_be_refused_is_left_whole() -> None:
    """In a program without a cotangent, only the operands are simplified."""
    line = "x=f8([2.0,3.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)"
    assert small(line, lambda p: p.cotangent is None) == "x=f8([1.0,1.0]); y=f8([1.0,1.0,1.0]); a=add(x,y)"


def test_operands_are_renamed_in_order_of_use() -> None:
    """The first operand used becomes x if the program still fails then, and its direction moves with it."""
    line = "x=f8(2.0); y=f8(1.0); a=multiply(y,x); back(a,f8(1.0),along=(f8(3.0),f8(4.0)))"
    ordered = "x=f8(1.0); y=f8(2.0); a=multiply(x,y); back(a,f8(1.0),along=(f8(4.0),f8(3.0)))"
    assert small(line, lambda program: str(program) == ordered) == ordered
    assert small(line, lambda _: False) == line
