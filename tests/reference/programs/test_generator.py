"""The generator draws each intended kind of program, as often as measured, in four thousand programs of one seed.

The programs are the same in each run, so a share changes only when the generator does. Shares were measured on 300
programs for each op and 5,000 of any ops. A measured share stands in a table, and must stay near it; or in parentheses
in a test's docstring, beside a threshold of about half as much.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.ops import OPS, Op
from reference.ops.source import Seeded, Unsuited
from reference.programs import ARRAY, LEAF, NUMBER, Operand, Program, Step
from reference.programs.generator import draw_program
from tests.reference.drawing import EXPRESSIONS, all_programs, as_measured, draw, first, sample

TORCH, NDGRAD = TorchEngine(), NdgradEngine()

BINARY = [op for op, row in OPS.items() if row.inputs.slots > 1]
REFUSING = [op for op, row in OPS.items() if row.refuses is not None]

Array = np.ndarray[Any, np.dtype[Any]]


def accepted() -> list[Program]:
    """All programs except those that must be refused."""
    return [program for program in all_programs() if program.cotangent is not None]


def percent(holds: Callable[[Program], Any], programs: list[Program]) -> float:
    """The percentage of programs for which `holds` is true."""
    return 100 * sum(map(bool, map(holds, programs))) / len(programs)


def arrays(program: Program) -> list[Operand]:
    """The operands that are arrays."""
    return [o for o in program.operands if o.kind != NUMBER]


def any_number(program: Program, holds: Callable[[Array], Any]) -> bool:
    """Whether `holds` is true of a number of an operand."""
    return any(bool(np.any(holds(o.data.ravel()))) for o in program.operands)


def uses(program: Program) -> list[int]:
    """How often each leaf is used."""
    counts = Counter(i for step in program.steps for i in step.inputs)
    return [counts[i] for i, o in enumerate(program.operands) if o.kind == LEAF]


def steps_of(op: str, programs: list[Program]) -> Iterator[Step]:
    """The steps of one op."""
    for program in programs:
        yield from (step for step in program.steps if step.op == op)


# Kinds of programs.


def cotangent(program: Program) -> Array:
    """The cotangent of a program that has one."""
    assert program.cotangent is not None
    return program.cotangent


def largest(program: Program) -> float:
    """The largest absolute value of the cotangent."""
    return float(np.max(np.abs(cotangent(program)), initial=0.0))


def repeats(program: Program) -> bool:
    """Whether a step has the same operand twice."""
    return any(len({*step.inputs}) < len(step.inputs) for step in program.steps)


def is_constant(kind: str) -> Callable[[Program], bool]:
    """Whether a program has a constant array of this kind of dtype."""
    return lambda program: any(o.kind == ARRAY and o.data.dtype.kind == kind for o in program.operands)


def is_number(kind: type) -> Callable[[Program], bool]:
    """Whether a program has a Python number of this type."""
    return lambda program: any(o.kind == NUMBER and type(o.array) is kind for o in program.operands)


def has_shape(holds: Callable[[tuple[int, ...]], bool]) -> Callable[[Program], bool]:
    """Whether `holds` is true of some operand's shape."""
    return lambda program: any(holds(o.data.shape) for o in arrays(program))


def broadcasts_ones(program: Program) -> bool:
    """Whether a step has two operands of which one has an axis of length 1 where the other's axis is longer."""
    shapes = {i: o.data.shape for i, o in enumerate(program.operands)}
    pairs = [
        (shapes[i], shapes[j]) for step in program.steps for i, j in zip(step.inputs, step.inputs[1:], strict=False)
        if i in shapes and j in shapes
    ]  # fmt: skip
    return any(1 in (m, n) and m != n for a, b in pairs for m, n in zip(a[::-1], b[::-1], strict=False))


def has_ties(program: Program) -> bool:
    """Whether an operand of four numbers or more holds at most two different ones."""
    return any(o.data.size >= 4 and np.unique(o.data).size <= 2 for o in program.operands if o.data.dtype.kind == "f")


def has_layout(layout: str) -> Callable[[Program], bool]:
    """Whether an operand of several rows has this layout."""
    return lambda program: any(o.layout == layout and o.data.ndim and len(o.data) > 1 for o in arrays(program))


def dtypes(program: Program) -> set[str]:
    """The dtypes of the leaves."""
    return {str(o.data.dtype) for o in program.leaves}


def has_twins(program: Program) -> bool:
    """Whether two leaves of several numbers are equal."""
    several = [o.data for o in program.leaves if o.data.size > 3]
    return any(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in combinations(several, 2))


def nonfinite_beside_edges(program: Program) -> bool:
    """Whether an operand has an infinity or NaN, and also a zero, a tiny or a large number."""
    edges = np.array([0, 1e-12, 1000])
    kinds = [(o.data, np.isclose(abs(o.data[..., None]), edges, rtol=1e-6, atol=0)) for o in arrays(program)]
    return any(not np.isfinite(x).all() and is_edge.any() for x, is_edge in kinds)


def is_join(step: Step) -> bool:
    """Whether a step concatenates two flattened values, as the generator does to join independent steps."""
    return step.op == "concatenate" and step.options["axis"] is None and len(step.inputs) == 2


# fmt: off
KINDS: list[tuple[str, Callable[[Program], Any], float]] = [
    # programs with                             such that                                                    per cent
    ("a tiny cotangent",                        lambda p: 0 < largest(p) < 1e-6,                                 4.5),
    ("a huge cotangent",                        lambda p: largest(p) > 1e5,                                      4.8),
    ("an operand twice in a step",              repeats,                                                          11),
    ("a leaf used twice or more",               lambda p: max(uses(p)) >= 2,                                      20),
    ("a leaf used twelve times",                lambda p: max(uses(p)) >= 12,                                    0.94),
    ("two leaves with the same numbers",        has_twins,                                                       2.8),
    ("a constant array",                        is_constant("f"),                                                 20),
    ("a constant array of integers",            is_constant("i"),                                                1.9),
    ("a constant array of booleans",            is_constant("b"),                                                1.7),
    ("a Python float",                          is_number(float),                                                 12),
    ("a Python int",                            is_number(int),                                                  3.4),
    ("an operand of no axes",                   has_shape(lambda s: s == ()),                                     37),
    ("an operand of one axis",                  has_shape(lambda s: len(s) == 1),                                 57),
    ("an operand of two axes",                  has_shape(lambda s: len(s) == 2),                                 70),
    ("an operand of three axes",                has_shape(lambda s: len(s) == 3),                                 68),
    ("an operand of four axes",                 has_shape(lambda s: len(s) == 4),                                 37),
    ("an empty operand",                        has_shape(lambda s: 0 in s),                                      11),
    ("a square operand",                        has_shape(lambda s: len(s) > 1 and len({*s}) == 1 < s[0]),        47),
    ("an operand whose lengths all differ",     has_shape(lambda s: len(s) > 1 and len({*s}) == len(s)),          72),
    ("an axis of length 1",                     has_shape(lambda s: 1 in s),                                      73),
    ("an axis of length 1 that is stretched",   broadcasts_ones,                                                  19),
    ("0",                                       lambda p: any_number(p, lambda x: (x == 0) & ~np.signbit(x)),     28),
    ("-0",                                      lambda p: any_number(p, lambda x: (x == 0) & np.signbit(x)),      28),
    ("1",                                       lambda p: any_number(p, lambda x: x == 1),                        62),
    ("1e-12",                                   lambda p: any_number(p, lambda x: abs(abs(x) - 1e-12) < 1e-18),   34),
    ("1000",                                    lambda p: any_number(p, lambda x: x == 1000),                     28),
    ("-1000",                                   lambda p: any_number(p, lambda x: x == -1000),                    28),
    ("infinity",                                lambda p: any_number(p, np.isposinf),                             12),
    ("-infinity",                               lambda p: any_number(p, np.isneginf),                             12),
    ("NaN",                                     lambda p: any_number(p, np.isnan),                                12),
    ("infinity or NaN beside edges",            nonfinite_beside_edges,                                           11),
    ("many ties",                               has_ties,                                                         27),
    ("Fortran's layout",                        has_layout("F"),                                                  33),
    ("strides below 0",                         has_layout("reversed"),                                           32),
    ("a stride of 0",                           has_layout("repeated"),                                           18),
    ("double precision alone",                  lambda p: dtypes(p) == {"float64"},                               58),
    ("single precision alone",                  lambda p: dtypes(p) == {"float32"},                               25),
    ("both precisions",                         lambda p: len(dtypes(p)) == 2,                                    16),
    ("directions, to be differentiated twice",  lambda p: p.directions,                                           23),
    ("steps beside one another",                lambda p: any(map(is_join, p.steps)),                             75),
    ("one step",                                lambda p: len(p.steps) == 1,                                     4.3),
    ("eight steps or more",                     lambda p: len(p.steps) >= 8,                                      53),
]
# fmt: on


@pytest.mark.parametrize(("kind", "is_such", "measured"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_programs_of_each_kind_are_drawn(kind: str, is_such: Callable[[Program], Any], measured: float) -> None:
    """Programs of each kind are drawn as often as measured."""
    found = sum(map(bool, map(is_such, accepted())))
    assert as_measured(found, len(accepted()), measured), f"{kind}: {found} of {len(accepted())}, not {measured} %"


def test_a_leaf_is_used_once_to_twelve_times() -> None:
    """Each number of uses occurs in at least 15 of some 4,100 programs (measured: 33 for seven uses)."""
    counts = Counter(max(uses(program)) for program in accepted())
    assert all(counts[number] >= 15 for number in range(1, 13)), counts


def test_operands_are_often_empty() -> None:
    """At least 2 % of all arrays among the operands are empty (measured: 2.7 %)."""
    sizes = [o.data.size for program in accepted() for o in arrays(program)]
    assert sizes.count(0) >= 0.02 * len(sizes)


def test_cotangents_are_not_ones() -> None:
    """Of cotangents with several numbers, at most 0.1 % are all ones (measured: 0), and 0.3 % are uniform (0.1)."""
    several = [program for program in accepted() if cotangent(program).size > 1]
    assert len(several) > 2_000
    assert percent(lambda p: np.unique(cotangent(p)).size == 1, several) <= 0.3
    assert percent(lambda p: (cotangent(p) == 1).all(), several) <= 0.1


def test_a_cotangent_of_one_number_is_seldom_1() -> None:
    """At most 5 % of these cotangents are 1 (measured: 1.8 %), no more than any other simple number."""
    single = [program for program in accepted() if cotangent(program).size == 1]
    assert len(single) > 130  # (270)
    assert percent(lambda p: cotangent(p).item() == 1, single) < 5


def test_cotangents_and_directions_have_the_right_shapes_and_dtypes() -> None:
    """A cotangent has the result's shape and dtype, and a direction has its leaf's."""
    for program in sample(EXPRESSIONS, 200):
        if program.cotangent is None:
            continue
        result = TORCH.run(program).values[-1]
        assert (program.cotangent.shape, program.cotangent.dtype) == (result.shape, result.dtype)
        for leaf, direction in zip(program.leaves, program.directions, strict=False):
            assert (direction.shape, direction.dtype) == (leaf.data.shape, leaf.data.dtype)
        assert len(program.directions) in (0, len(program.leaves))


def test_every_value_is_used() -> None:
    """The result depends on every value: each operand, and each step but the last, is some step's input."""
    for program in all_programs():
        used = {i for step in program.steps for i in step.inputs}
        assert used == set(range(program.result))
        assert program.leaves


# The place of an op.


def in_the_middle(program: Program, op: str) -> bool:
    """Whether an op has steps before it and after it. Joins do not count as steps after it."""
    count = len(program.operands)
    after = {i for i, step in enumerate(program.steps, count) if step.op == op and max(step.inputs) >= count}
    used = {i for step in program.steps if not is_join(step) for i in step.inputs}
    return bool(after & used)


def times(program: Program, op: str) -> int:
    """How often an op occurs in a program, without joins."""
    return sum(step.op == op and not is_join(step) for step in program.steps)


def programs_for(op: str, number: int = 60) -> list[Program]:
    """The programs drawn for an op, except those that must be refused."""
    return [program for program in sample(op, number) if program.cotangent is not None]


@pytest.mark.parametrize("op", OPS)
def test_a_program_contains_its_focus(op: str) -> None:
    """Each program for an op contains it, and two of 60 have steps before and after it (measured: 15 % for log)."""
    assert all(any(step.op == op for step in program.steps) for program in programs_for(op))
    assert len(first(op, 2, lambda program: in_the_middle(program, op), within=60)) == 2


# fmt: off
PLACES_OF_AN_OP: list[tuple[str, Callable[[Program, str], Any], float]] = [
    # programs for an op in which it         such that                               of a hundred
    ("stands between other steps",           in_the_middle,                                   45),
    ("is met twice or more",                 lambda p, op: times(p, op) >= 2,                 57),
    ("is met three times or more",           lambda p, op: times(p, op) >= 3,                 50),
    ("is met four times or more",            lambda p, op: times(p, op) >= 4,                 46),
]
# fmt: on


@pytest.mark.parametrize(("kind", "holds", "measured"), PLACES_OF_AN_OP, ids=[kind for kind, *_ in PLACES_OF_AN_OP])
def test_an_op_stands_in_each_place(kind: str, holds: Callable[[Program, str], Any], measured: float) -> None:
    """An op stands between other steps, and occurs several times on different operands, as often as measured."""
    answers = [bool(holds(program, op)) for op in OPS for program in programs_for(op)]
    assert as_measured(sum(answers), len(answers), measured), f"{kind}: {sum(answers)} of {len(answers)}"


@pytest.mark.parametrize("op", OPS)
def test_each_op_is_often_repeated(op: str) -> None:
    """At least 30 % of the programs for an op contain it twice (measured: 50 % for tan to 65 %)."""
    assert percent(lambda program: times(program, op) >= 2, programs_for(op)) >= 30


def has_operand_not_in_c_order(program: Program, op: str) -> bool:
    """Whether in ndgrad an operand of an op is a step's value that is not in C order. Leaves always are."""
    count, values = len(program.operands), NDGRAD.run(program).values
    inputs = [values[i - count] for step in steps_of(op, [program]) for i in step.inputs if i >= count]
    return any(x.size > 1 and not x.flags.c_contiguous for x in inputs)


@pytest.mark.parametrize("op", OPS)
def test_an_op_gets_operands_that_are_not_in_c_order(op: str) -> None:
    """At least two of 200 programs have one, as after `x.T` and `x[::-1]` (measured: 4 % for sqrt to 10 %)."""
    assert len(first(op, 2, lambda program: has_operand_not_in_c_order(program, op), within=200)) == 2


def test_ops_with_more_ways_are_drawn_more_often() -> None:
    """An op of n ways has at least 0.5 n times as many steps (measured: 0.54 n to 0.68 n) as an op of one way."""
    steps = Counter(step.op for p in sample(EXPRESSIONS, 1_000) for step in p.steps if not is_join(step))
    ways = {op: row.inputs.ways for op, row in OPS.items()}
    mean = {n: float(np.mean([steps[op] for op in ways if ways[op] == n])) for n in {*ways.values()}}
    assert {*mean} == {1, 2, 3, 4}
    assert all(mean[n] >= 0.5 * n * mean[1] for n in mean), mean


@pytest.mark.parametrize("op", OPS)
def test_every_kind_of_operand_stands_in_every_slot(op: str) -> None:
    """A leaf and a step's result stand in every slot; for an op of several operands, a constant does too."""
    slots: set[tuple[int, str]] = set()
    for program in all_programs():
        for step in program.steps:
            if step.op == op:
                kinds = [o.kind for o in program.operands]
                slots |= {(slot, kinds[i] if i < len(kinds) else "step") for slot, i in enumerate(step.inputs)}
    wanted = [LEAF, "step", ARRAY] if op in BINARY else [LEAF, "step"]
    assert slots >= {(slot, kind) for slot in range(OPS[op].inputs.slots) for kind in wanted}


@pytest.mark.parametrize("op", BINARY)
def test_an_op_gets_the_same_operand_twice(op: str) -> None:
    """At least two of 200 programs have `x * x`, `x @ x` or the like (measured: 3.8 % for dot to 48 % for stack)."""
    twice = first(op, 2, lambda p: any(len({*s.inputs}) < len(s.inputs) for s in steps_of(op, [p])), within=200)
    assert len(twice) == 2


@pytest.mark.parametrize("op", [op for op in BINARY if op != "matmul"])
def test_an_op_gets_python_numbers(op: str) -> None:
    """At least two of 100 programs have one, as in `2 * x` (measured: 7 % for concatenate to 65 % for power)."""
    assert len(first(op, 2, lambda program: NUMBER in operand_kinds(program, op), within=100)) == 2


def operand_kinds(program: Program, op: str) -> set[str]:
    """The kinds of an op's operands in a program: leaf, array, number or step."""
    kinds = [o.kind for o in program.operands]
    return {kinds[i] if i < len(kinds) else "step" for step in steps_of(op, [program]) for i in step.inputs}


# Options in programs.


def options_of(op: str, name: str) -> list[Any]:
    """The values of an option in the programs for an op."""
    return [step.options[name] for step in steps_of(op, programs_for(op))]


@pytest.mark.parametrize("op", ["sum", "mean", "prod", "var", "std", "max", "min", "logsumexp"])
def test_reductions_have_every_kind_of_axis(op: str) -> None:
    """The axis is None, counted from either end, a tuple or the empty tuple; `keepdims` is False and True."""
    axes = options_of(op, "axis")
    assert None in axes
    assert () in axes
    assert any(isinstance(axis, int) and axis >= 0 for axis in axes)
    assert any(isinstance(axis, int) and axis < 0 for axis in axes)
    assert any(isinstance(axis, tuple) and len(axis) > 1 for axis in axes)
    assert {*options_of(op, "keepdims")} == {False, True}


def test_transposes_have_cycles() -> None:
    """Of some hundred permutations, at least 9 are not their own inverse (measured: 17)."""
    permutations = [[a % len(axes) for a in axes] for axes in options_of("transpose", "axes") if axes]
    assert sum([axes[a] for a in axes] != sorted(axes) for axes in permutations) >= 9


def test_indices_have_every_kind_of_entry() -> None:
    """Entries are slices backwards and with steps, arrays with repeats, masks, numbers from the end, None and `...`."""
    entries = [entry for index in options_of("getitem", "index") for entry in index]
    index_arrays = [entry for entry in entries if isinstance(entry, np.ndarray)]
    assert any(isinstance(entry, slice) and (entry.step or 1) < 0 for entry in entries)
    assert any(isinstance(entry, slice) and (entry.step or 1) > 1 for entry in entries)
    assert any(entry.dtype.kind == "i" and np.unique(entry).size < entry.size for entry in index_arrays)
    assert any(entry.dtype == bool for entry in index_arrays)
    assert any(isinstance(entry, int) and entry < 0 for entry in entries)
    assert any(entry is None for entry in entries)
    assert any(entry is Ellipsis for entry in entries)


# Kinks and ties.


def ties(x: Array, best: Any, axis: Any) -> Array:
    """How many numbers of each reduced group equal its extreme."""
    axis = axis if x.ndim else None
    return np.asarray((x == best(x, axis=axis, keepdims=True)).sum(axis=axis))


KINKS = {op.name: op.kink.at for op in OPS.values() if op.kink}


def inputs_of(op: str, number: int) -> Iterator[tuple[Step, list[Any]]]:
    """The steps of an op in the programs for it, with their operands: arrays and Python numbers."""
    for program in programs_for(op, number):
        values = [*(o.array for o in program.operands), *TORCH.run(program).values]
        yield from ((step, [values[i] for i in step.inputs]) for step in program.steps if step.op == op)


@pytest.mark.parametrize("op", KINKS)
def test_kinks_and_ties_are_drawn(op: str) -> None:
    """At least 7 % of an op's steps lie at its kink (measured: 15 % for abs to 51 % for clip)."""
    steps = [(step, values) for step, values in inputs_of(op, 200) if all(map(np.size, values))]
    with np.errstate(all="ignore"):
        kinks = [bool(np.any(KINKS[op](*values, **step.options))) for step, values in steps]
    assert 100 * sum(kinks) / len(kinks) >= 7


@pytest.mark.parametrize("op", ["max", "min"])
def test_ties_differ_from_row_to_row(op: str) -> None:
    """Of some 400 steps, at least 18 have groups with different counts of tied numbers (measured: 45 and 37)."""
    best = getattr(np, op)
    groups = [ties(x[0], best, step.options["axis"]) for step, x in inputs_of(op, 200) if x[0].size]
    assert sum(np.unique(counts).size > 1 for counts in groups) >= 18


# Operands of steps.


def has_separated_arrays(index: tuple[Any, ...], by: type) -> bool:
    """Whether arrays, or an array and a number, have an entry of this type between them: their axes go to the front."""
    places = [i for i, entry in enumerate(index) if isinstance(entry, int | np.ndarray)]
    has_array = any(isinstance(index[i], np.ndarray) for i in places)
    return has_array and any(isinstance(entry, by) for entry in index[places[0] : places[-1]])


def is_cycle(order: Any, length: int) -> bool:
    """Whether integers are a permutation of the places that is not its own inverse."""
    order = np.asarray(order)
    if not length or order.dtype.kind != "i" or order.shape != (length,):
        return False
    order = order % length
    return sorted(order) == [*range(length)] and bool((order[order] != np.arange(length)).any())


def reorders(x: Array, index: tuple[Any, ...]) -> bool:
    """Whether an index is one array that is such a permutation."""
    return len(index) == x.ndim == 1 and is_cycle(index[0], len(x))


def reduces_nothing(x: Array, axis: Any) -> bool:
    """Whether each group of a reduction is a single number."""
    return x.size == np.size(np.any(x == 0, axis=axis))


# fmt: off
STEPS: list[tuple[str, str, Callable[..., Any], float]] = [
    # steps of    that meet                        such that                                              of a hundred
    ("getitem",   "arrays with a slice between",   lambda x, index: has_separated_arrays(index, slice),            9.4),
    ("getitem",   "arrays with None between",      lambda x, index: has_separated_arrays(index, type(None)),         7),
    ("getitem",   "orders unlike their inverses",  reorders,                                                       1.1),
    ("transpose", "orders unlike their inverses",  lambda x, axes: is_cycle(axes, x.ndim),                          20),
    ("squeeze",   "several axes of length 1",      lambda x, axis: x.shape.count(1) > 1,                            50),
    ("squeeze",   "several, and one goes",         lambda x, axis: x.shape.count(1) > 1 and isinstance(axis, int),  17),
    ("power",     "a Python float as exponent",    lambda x, y: isinstance(y, float),                               25),
    ("power",     "a Python int as exponent",      lambda x, y: isinstance(y, int),                                 12),
    ("prod",      "a zero",                        lambda x, axis, keepdims: 0 in x,                                33),
    ("prod",      "a zero, multiplied by nothing", lambda x, axis, keepdims: 0 in x and reduces_nothing(x, axis),  10),
    ("dot",       "a number and an array",         lambda x, y: (np.ndim(x) == 0) != (np.ndim(y) == 0),             18),
]
# fmt: on


@pytest.mark.parametrize(("op", "kind", "holds", "measured"), STEPS, ids=[f"{op}: {kind}" for op, kind, *_ in STEPS])
def test_steps_get_rare_operands(op: str, kind: str, holds: Callable[..., Any], measured: float) -> None:
    """Operands that matter to a single op are drawn for it as often as measured."""
    answers = [bool(holds(*values, **step.options)) for step, values in inputs_of(op, 300)]
    found, of = sum(answers), len(answers)
    assert as_measured(found, of, measured), f"{kind}: {found} of {of}, not {measured} %"


@pytest.mark.parametrize("op", [op for op, row in OPS.items() if row.finite])
def test_ops_that_are_finite_get_finite_operands(op: str) -> None:
    """Their operands are finite in all of 300 programs, some of which have infinities elsewhere."""
    assert all(np.isfinite(x).all() for _, values in inputs_of(op, 300) for x in values)
    assert any(any_number(program, np.isinf) for program in programs_for(op, 300))


# Refusals.


@pytest.mark.parametrize("op", REFUSING)
def test_programs_that_must_be_refused_are_refused(op: str) -> None:
    """At least three of 500 must be refused (measured: 2 % for broadcast_to to 6 %), and both engines do so."""
    refused = first(op, 3, lambda program: program.cotangent is None)
    assert len(refused) == 3
    for program in refused:
        for engine in (TORCH, NDGRAD):
            outcome = engine.run(program)
            assert outcome.error is not None, f"{engine.name} accepts {program}"
            assert len(outcome.values) == len(program.steps) - 1
            assert str(outcome.error)


def test_all_other_programs_are_accepted() -> None:
    """PyTorch and ndgrad run each program that has a cotangent."""
    for program in accepted()[::5]:
        assert TORCH.run(program).error is None, str(program)
        assert NDGRAD.run(program).error is None, str(program)


# Waste.


@pytest.mark.parametrize("op", OPS)
def test_choices_for_an_op_seldom_fail(op: str) -> None:
    """At most 8 of 60 give no program (measured: 4 for matmul and 2 for dot, which reject infinities; else 1)."""
    assert 60 - len(sample(op, 60)) <= 8


def test_choices_for_any_ops_seldom_fail() -> None:
    """At most 18 of 3,000 give no program (measured: 10)."""
    assert 3_000 - len(sample(EXPRESSIONS, 3_000)) <= 18


def test_results_are_seldom_nan() -> None:
    """At most 3 % of the results are all NaN (measured: 1.3 %), for then nothing is compared."""
    results = [TORCH.run(program).values[-1] for program in accepted()[::5]]
    assert 100 * sum(bool(np.isnan(y).all()) and y.size > 0 for y in results) / len(results) <= 3


def test_numbers_are_short() -> None:
    """All numbers but -1000.0 have at most six characters, so that a case can be recomputed by hand."""
    written = {str(x) for program in accepted() for o in program.operands for x in o.data.ravel()}
    assert {text for text in written if len(text) > 6} == {"-1000.0"}


def test_programs_are_short() -> None:
    """The median length of a line is at most 1,400 characters (measured: 940)."""
    assert float(np.median([len(str(program)) for program in accepted()])) <= 1_400


@pytest.mark.parametrize("op", OPS)
def test_most_programs_compare_something(op: str) -> None:
    """At least 80 % of the results are not empty (measured: 84 % for split to 100 %)."""
    assert percent(lambda p: cotangent(p).size, programs_for(op)) >= 80


# Measured shares.


@pytest.mark.parametrize(("found", "percent", "is_near"), [(300, 30, True), (190, 30, True), (450, 30, True),
    (170, 30, False), (470, 30, False), (1, 0.1, True), (0, 0.1, False)])  # fmt: skip
def test_a_changed_share_is_noticed(found: int, percent: float, is_near: bool) -> None:  # noqa: FBT001
    """In a thousand, a common share fails if it falls or rises by half, and a rare one if it is 0."""
    assert as_measured(found, 1_000, percent) is is_near


# Program i depends only on the seed and i.


def fingerprint(places: list[tuple[str, int]]) -> str:
    """A hash of the programs at these places."""
    lines = [str(draw("pure", op, i)) for op, i in sorted(places)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_a_program_is_the_same_in_any_order() -> None:
    """Programs do not depend on the order in which they are drawn."""
    places = [(op, i) for op in (*list(OPS)[::6], EXPRESSIONS) for i in range(5)]
    forwards = {place: str(draw("order", *place)) for place in places}
    backwards = {place: str(draw("order", *place)) for place in places[::-1]}
    assert forwards == backwards
    assert len({*forwards.values()}) > 0.9 * len(places)


PRINT = """
import sys
sys.path[:0] = sys.argv[1:2]
from tests.reference.programs.test_generator import PLACES, fingerprint
print(fingerprint(PLACES))
"""
PLACES = [(op, i) for op in ("sum", "getitem", "where", EXPRESSIONS) for i in range(10)]


def test_a_program_is_the_same_in_another_process() -> None:
    """Programs do not depend on the seed of Python's hashes."""
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    result = subprocess.run([sys.executable, "-c", PRINT, root], env=environment, capture_output=True, check=True)
    assert result.stdout.decode().strip() == fingerprint(PLACES)


def test_only_the_focus_and_the_given_ops_are_used() -> None:
    """Steps are of the focus and of the given ops, and of no others."""
    used: set[str] = set()
    for i in range(300):
        program = draw_program(Seeded("ops", i), "tanh", ["tanh", "sum", "matmul"])
        used |= {step.op for step in program.steps}
    assert used == {"tanh", "sum", "matmul"}


def line(op: str, number: int) -> str:
    """The line of a seed's program; empty if the choices give no program."""
    try:
        return str(draw_program(Seeded("stay", op, number), None if op == EXPRESSIONS else op))
    except Unsuited:
        return ""


def test_programs_stay_when_an_op_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only programs with the new op change, and a few that had it in a step on which the result does not depend."""
    places = [(op, i) for op in [*list(OPS)[::4], EXPRESSIONS] for i in range(30)]
    before = [line(op, i) for op, i in places]
    monkeypatch.setitem(OPS, "arctan", Op("arctan", np.arctan))
    after = [line(op, i) for op, i in places]
    changed = [b for a, b in zip(before, after, strict=True) if a != b]
    without = [line for line in changed if "=arctan(" not in line]
    assert len(changed) > 15
    assert len(without) < len(places) / 50
