"""The backward pass move by move: the numbers of a walk are those of the engines."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ndgrad import Value
from ndgrad.rules import RULES
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import FAULTS
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from reference.programs import LEAF, Program, parse
from reference.programs.generator import draw_program
from reference.report.page.lessons import LESSONS, Lesson
from reference.report.page.sides import three_sides
from reference.report.page.stepping import Walk, walks
from reference.report.page.tracing import _Reader
from reference.report.page.walking import _run, rule, walk

NAMES = [lesson.name for lesson in LESSONS]


@pytest.fixture(scope="module")
def shown() -> dict[str, Walk]:
    """Return the walks of the page by name."""
    return {walk.lesson.name: walk for walk in walks()}


def added_up(program: Program, plant: str = "") -> dict[int, np.ndarray]:
    """Add up the contributions of a walk by their target."""
    plants = {fault.name: [fault.plant] for fault in FAULTS}
    totals: dict[int, np.ndarray] = {}
    for move in walk(program, *plants.get(plant, [])):
        to = program.steps[move.step].inputs[move.position]
        totals[to] = totals.get(to, 0.0) + move.gives
    return totals


@pytest.mark.parametrize("lesson", [lesson for lesson in LESSONS if not lesson.fault], ids=lambda lesson: lesson.name)
def test_contributions_add_up_to_the_gradients(lesson: Lesson) -> None:
    """The contributions of a walk add up to the gradients of each operand and step, with equal bits."""
    program = lesson.program
    outcome = NdgradEngine().run(program)
    totals = added_up(program)
    leaves = [i for i, operand in enumerate(program.operands) if operand.kind == LEAF]
    for i, gradient in [*zip(leaves, outcome.gradients, strict=True), *enumerate(outcome.inner, len(program.operands))]:
        assert np.array_equal(totals[i] if i in totals else np.asarray(program.cotangent), gradient)


@pytest.mark.parametrize("lesson", [lesson for lesson in LESSONS if not lesson.fault], ids=lambda lesson: lesson.name)
def test_a_step_is_passed_when_all_has_arrived(lesson: Lesson) -> None:
    """No step contributes before all its uses have, so no frame warns."""
    uses = Counter(i for step in lesson.program.steps for i in step.inputs)
    came: Counter[int] = Counter()
    for move in walk(lesson.program):
        of = len(lesson.program.operands) + move.step
        assert came[of] == uses[of]
        came[lesson.program.steps[move.step].inputs[move.position]] += 1


def test_a_wrong_order_is_shown_going_wrong(shown: dict[str, Walk]) -> None:
    """The walk without a topological order warns if a value contributes too early, and ends with wrong numbers."""
    warned = [frame for frame in shown["disorder"].frames if frame.warns]
    assert [frame.heading for frame in warned[:2]] == ["Backward: from a to x", "Backward: from a to y"]
    assert "a has 1 of its 2 contributions" in warned[0].words
    assert all("Too late: a has already propagated" in frame.words for frame in warned[2:-1])
    assert [(name, row.mine, row.theirs) for name, row in warned[-1].rows] == [
        ("x", "108.0", "324.0"),
        ("y", "72.0", "216.0"),
    ]
    fault = next(fault for fault in FAULTS if fault.name == shown["disorder"].lesson.fault)
    with fault.plant():
        gradients = NdgradEngine().run(shown["disorder"].lesson.program).gradients
    assert [float(gradient) for gradient in gradients] == [108.0, 72.0]


def test_a_move_is_arrival_times_local_derivative() -> None:
    """The contribution of an elementwise op is the gradient times the local derivative, summed if broadcast."""
    program = parse(
        "x=f8([[1.0],[2.0]]); y=f8([3.0,4.0,5.0]); a=multiply(x,y); back(a,f8([[1.0,2.0,3.0],[4.0,5.0,6.0]]))"
    )
    to_x, to_y = walk(program)
    assert to_x.local is not None
    assert to_y.local is not None
    assert np.array_equal(to_x.local, [[3, 4, 5], [3, 4, 5]])
    assert np.array_equal(to_x.gives, (to_x.arrives * to_x.local).sum(axis=1, keepdims=True))
    assert np.array_equal(to_y.gives, (to_y.arrives * to_y.local).sum(axis=0))


def test_an_op_that_mixes_numbers_has_no_local_derivative() -> None:
    """A sum's move has a contribution but no elementwise local derivative."""
    (move,) = walk(parse("x=f8([1.0,2.0]); a=sum(x,axis=None,keepdims=False); back(a,f8(3.0))"))
    assert move.local is None
    assert move.gives.tolist() == [3.0, 3.0]


def test_the_rules_are_those_of_the_table() -> None:
    """A rule is shown as its formula or a call of its function, and each pullback has one."""
    assert rule("tanh", 0) == "g * (1 - y * y)"
    assert (rule("multiply", 0), rule("multiply", 1)) == ("g * b", "g * a")
    assert rule("tanh", 0, ["o", "n"]) == "arrives * (1 - o * o)"
    assert rule("divide", 1, ["b", "y", "a"]) == "-arrives * (b / a)"
    assert rule("matmul", 0, ["a", "X", "W"]) == "arrives @ W.mT"
    assert rule("matmul", 1, ["a", "X", "W"]) == "X.mT @ arrives"
    assert rule("matmul", 0, ["a", "X", "w"], vectors=True) == "_matmul_left(arrives, a, X, w)"
    assert rule("std", 0) == "_std_pullback(g, y, x)"
    for op, row in RULES.items():
        for position, pullback in enumerate(row.pullbacks):
            assert bool(rule(op, position)) == (pullback is not None)


def test_frames_follow_the_program(shown: dict[str, Walk]) -> None:
    """A walk has a start, frames for each step, the cotangent, frames for each move, and an end, all with addresses."""
    for name, walked in shown.items():
        program = walked.lesson.program
        if not walked.lesson.fault:
            assert len(walked.frames) == 1 + len(program.steps) + 1 + len(walk(program)) + 1
        assert [frame.link for frame in walked.frames] == [f"step/{name}/{i}" for i in range(len(walked.frames))]
        for frame in walked.frames:
            assert all(f'id="{lit}"' in walked.picture for lit in frame.lit)


def test_the_neuron_of_the_article(shown: dict[str, Walk]) -> None:
    """The neuron's value is the root of a half, and its gradients are -1.5, 1, 0.5 and 0, up to the last bits."""
    *_, last = shown["neuron"].frames
    assert [name for name, _ in last.rows] == ["x1", "w1", "x2", "w2", "b"]
    for side in ("mine", "theirs", "exact"):
        assert [round(float(getattr(row, side)), 12) for _, row in last.rows] == [-1.5, 1.0, 0.5, 0.0, 0.5]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "disorder"])
def test_the_exact_side_tells(name: str, shown: dict[str, Walk]) -> None:
    """Each number in a table is close to the exact number beside it."""
    rows = [row for frame in shown[name].frames for _, row in frame.rows]
    assert len(rows) > 5
    for row in rows:
        assert float(row.mine) == pytest.approx(float(row.exact), rel=1e-13, abs=1e-15)


def test_the_witness_finds_gradients_in_mid_program() -> None:
    """The gradient of a step's value is the slope of the remaining program, over all uses."""
    sides = three_sides(parse("x=f8(2.0); y=f8(3.0); a=multiply(x,y); b=add(a,x); c=multiply(a,b); back(c,f8(1.0))"))
    assert [row.exact for i in range(5) for row in sides.gradient(i)] == ["48.0", "28.0", "14.0", "6.0", "1.0"]


def test_the_witness_is_silent_at_a_kink() -> None:
    """At relu's kink there is no unique slope, and a dash is shown."""
    sides = three_sides(parse("x=f8([0.0,1.0]); a=relu(x); back(a,f8([1.0,1.0]))"))
    assert [row.exact for row in sides.gradient(0)] == ["–", "1.0"]


@pytest.mark.parametrize("op", OPS)
def test_a_graph_is_read_back_as_a_program(op: str) -> None:
    """A program that is run with Values and read from their graph has the same values and gradients."""
    read = 0
    for number in range(12):
        try:
            program = draw_program(Seeded(0, op, number), op)
        except Unsuited:
            continue
        with np.errstate(all="ignore"):
            read += program.cotangent is not None and not program.directions and is_read_back(program)
    assert read


def is_read_back(program: Program) -> bool:
    """Whether there is a graph to be read; the program that it is read as must do the same.

    But for the last digits: its leaves lie otherwise in memory, and sums are then made in another order.
    """
    values = _run(program)
    if not isinstance(values[-1], Value) or not values[-1].requires_grad:
        return False
    leaves = [value for value in values[: len(program.operands)] if isinstance(value, Value)]
    again = _Reader(leaves).program(values[-1], np.asarray(program.cotangent))
    first, second = (NdgradEngine().run(one) for one in (program, again))
    assert second.error is None
    assert TorchEngine().run(again).error is None
    assert np.allclose(first.values[-1], second.values[-1], rtol=1e-12, atol=1e-12, equal_nan=True)
    wanted = dict(zip((leaf.name for leaf in program.leaves), first.gradients, strict=True))
    for leaf, gradient in zip(again.leaves, second.gradients, strict=True):
        same = gradient is wanted[leaf.name] or np.allclose(
            gradient, wanted[leaf.name], rtol=1e-9, atol=1e-9, equal_nan=True
        )
        assert same
    return True
