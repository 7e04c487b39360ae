"""Shapes and options: NumPy accepts valid calls, refuses invalid ones, and every intended case is drawn."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from reference.ops import OPS, indices, inputs
from reference.ops import options as samplers
from reference.ops import shapes as shape_samplers
from reference.ops.inputs import Inputs
from reference.ops.options import Options
from reference.ops.shapes import MOST_AXES, MOST_NUMBERS, Shape, any_shape, broadcastable
from reference.ops.source import Seeded, Source, Unsuited
from tests.reference.drawing import as_measured

DRAWS = 150  # for each op: if one draw in fifty is wrong, it is met with a probability of 95 %
# Some cases have no degrees of freedom on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Degrees of freedom"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice"),
]

FIXED: list[Shape] = [(), (0,), (1,), (2, 0), (0, 3), (1, 1), (3, 3), (2, 1, 3, 2)] * 3  # extreme shapes

REFUSING = [op for op, row in OPS.items() if row.refuses is not None]

Call = tuple[int, Shape, list[Shape], Options]


def draw_calls(inputs: Inputs, seed: str, number: int = DRAWS) -> Iterator[Call]:
    """Draw calls for shapes of all kinds, the fixed ones first: the slot, its shape, all shapes and the options."""
    for i in range(number):
        source = Seeded(seed, i)
        slot = source.integer(0, inputs.slots - 1)
        shape = FIXED[i] if i < len(FIXED) else any_shape(source)
        try:
            yield slot, shape, *inputs.draw(source, shape, slot)
        except Unsuited:
            continue


def apply(op: str, shapes: list[Shape], options: Options) -> Any:
    """Compute an op on arrays of these shapes. They hold 0.5, which is no function's pole."""
    return OPS[op].definition(*(np.full(shape, 0.5) for shape in shapes), **options)


@pytest.mark.parametrize("op", OPS)
def test_numpy_accepts_valid_calls(op: str) -> None:
    """NumPy accepts each call that a row draws, for any existing shape in any slot. Few shapes have no call."""
    calls = list(draw_calls(OPS[op].inputs, op))
    for slot, shape, shapes, options in calls:
        assert shapes[slot] == shape
        with np.errstate(all="ignore"):  # a variance may have no degrees of freedom
            apply(op, shapes, options)
    assert len(calls) > 0.8 * DRAWS


@pytest.mark.parametrize("op", REFUSING)
def test_numpy_refuses_invalid_calls(op: str) -> None:
    """NumPy refuses each invalid call with ValueError or IndexError. Most shapes have one."""
    refused = OPS[op].refuses
    assert refused is not None
    calls = list(draw_calls(refused, op))
    for slot, shape, shapes, options in calls:
        assert shapes[slot] == shape
        with pytest.raises((ValueError, IndexError)):
            apply(op, shapes, options)
    assert len(calls) > 0.6 * DRAWS


def test_each_op_that_can_be_refused_has_invalid_calls() -> None:
    """An op without invalid calls has one operand and no axis; `outer` takes any two shapes."""
    never = {op for op in OPS if op not in REFUSING}
    assert {op for op in never if OPS[op].inputs.slots > 1} == {"outer"}
    assert not [op for op in never if any("axis" in options for *_, options in draw_calls(OPS[op].inputs, op))]


# Shapes.


@pytest.fixture(name="shapes", scope="module")
def _shapes() -> list[Shape]:
    return [any_shape(Seeded("shapes", i)) for i in range(3_000)]


# fmt: off
SHAPES: list[tuple[str, Callable[[Shape], bool], float]] = [
    # kind                     shapes of that kind                                     of a hundred
    ("rank 0",                 lambda s: s == (),                                            10),
    ("rank 1",                 lambda s: len(s) == 1,                                        20),
    ("rank 2",                 lambda s: len(s) == 2,                                        30),
    ("rank 3",                 lambda s: len(s) == 3,                                        30),
    ("rank 4",                 lambda s: len(s) == 4,                                        10),
    ("square",                 lambda s: len(s) > 1 and len({*s}) == 1 and s[0] > 1,         15),
    ("all different",          lambda s: len(s) > 1 and len({*s}) == len(s) and 0 not in s,  33),
    ("axes of length 1",       lambda s: 1 in s,                                             33),
    ("nothing but such axes",  lambda s: {*s} == {1},                                       6.6),
    ("empty",                  lambda s: 0 in s,                                            2.5),
    ("empty, and of rank > 1", lambda s: 0 in s and len(s) > 1,                             2.1),
]
# fmt: on


@pytest.mark.parametrize(("kind", "is_such", "measured"), SHAPES, ids=[kind for kind, *_ in SHAPES])
def test_shapes_of_each_kind_are_drawn(
    kind: str, is_such: Callable[[Shape], bool], measured: float, shapes: list[Shape]
) -> None:
    """Shapes of each kind are drawn as often as measured."""
    found = sum(map(is_such, shapes))
    assert as_measured(found, len(shapes), measured), f"{kind}: {found} of {len(shapes)}, not {measured} %"


@pytest.mark.parametrize(("number", "measured"), [(0, 17), (1, 23), (2, 24), (3, 25)])
def test_shapes_to_be_squeezed_have_several_axes_of_length_1(number: int, measured: float) -> None:
    """Shapes for `squeeze` have none to three axes of length 1, each in about a quarter of all."""
    shapes = [shape_samplers.with_ones(Seeded("ones", i)) for i in range(3_000)]
    assert as_measured(sum(shape.count(1) == number for shape in shapes), len(shapes), measured)
    assert max(map(math.prod, shapes)) <= MOST_NUMBERS
    assert OPS["squeeze"].inputs.start is shape_samplers.with_ones


def test_shapes_are_small(shapes: list[Shape]) -> None:
    """Shapes are so small that all numbers of a case can be read."""
    assert max(map(math.prod, shapes)) <= MOST_NUMBERS
    assert {len(shape) for shape in shapes} == {0, 1, 2, 3, 4}
    assert {n for shape in shapes for n in shape} == {0, 1, 2, 3, 4, 5}


def kinds_of_broadcasting(shape: Shape, other: Shape) -> set[str]:
    """The ways in which a shape differs from another with which it broadcasts."""
    pairs = list(zip(shape[::-1], other[::-1], strict=False))
    kinds = {
        "same": shape == other,
        "ones": any(m == 1 < n for n, m in pairs),
        "longer": any(n == 1 < m for n, m in pairs),
        "fewer": len(other) < len(shape),
        "more": len(other) > len(shape),
        "scalar": other == () != shape,
        "both ways": any(m == 1 < n for n, m in pairs) and any(n == 1 < m for n, m in pairs),
    }
    return {kind for kind, holds in kinds.items() if holds}


# The share of each kind, in percent. Both ways are shapes such as (3, 1) and (1, 4).
BROADCASTS = {"same": 41, "ones": 12, "longer": 9.4, "fewer": 27, "more": 20, "scalar": 23, "both ways": 0.88}


def test_shapes_broadcast_in_each_way() -> None:
    """The shapes broadcast, the result has few axes, and each kind of broadcasting is as frequent as measured."""
    counts: Counter[str] = Counter()
    for i in range(3_000):
        source = Seeded("mate", i)
        shape = any_shape(source)
        try:
            other = broadcastable(source, shape)
        except Unsuited:
            continue
        assert len(np.broadcast_shapes(shape, other)) <= MOST_AXES
        counts.update(kinds_of_broadcasting(shape, other))
    assert not {kind: counts[kind] for kind, share in BROADCASTS.items() if not as_measured(counts[kind], 3_000, share)}


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_three_operands_broadcast_wherever_the_first_shape_stands(slot: int) -> None:
    """Three shapes broadcast together, and in some draws all differ."""
    different = 0
    for i in range(300):
        source = Seeded("three", slot, i)
        try:
            shapes, _ = inputs.broadcast(3).draw(source, (2, 1), slot)
        except Unsuited:
            continue
        assert shapes[slot] == (2, 1)
        np.broadcast_shapes(*shapes)
        different += len({*shapes}) == 3
    assert different > 30


# Options.


def options_of(sample: Callable[[Source, Shape], Options], shape: Shape, number: int = 3_000) -> list[Options]:
    """Draw options for one shape."""
    options = []
    for i in range(number):
        try:
            options.append(sample(Seeded("options", i), shape))
        except Unsuited:
            continue
    return options


def signed(axes: tuple[int, ...], rank: int) -> list[tuple[int, ...]]:
    """The same axes, each counted from either end, in all combinations."""
    return list(itertools.product(*((a, a - rank) for a in axes)))


def orders(rank: int) -> list[tuple[int, ...]]:
    """Every choice of axes, in each order, counted from either end; the empty choice first."""
    chosen = itertools.chain.from_iterable(itertools.permutations(range(rank), n) for n in range(rank + 1))
    return [order for axes in chosen for order in signed(axes, rank)]


def test_reductions_have_every_axis() -> None:
    """None, each axis from either end, several in each order, and `()` are all drawn: 18 values for two axes."""
    expected = {None, -2, -1, 0, 1, *orders(2)}
    assert {options["axis"] for options in options_of(samplers.axes, (2, 3))} == expected
    assert {options["axis"] for options in options_of(samplers.axes, ())} == {None, ()}
    assert {options["axis"] for options in options_of(samplers.one_axis, (2, 3))} == {-2, -1, 0, 1}
    assert {options["axis"] for options in options_of(samplers.axis_or_none, (2, 3))} == {None, -2, -1, 0, 1}


def test_a_reduction_keeps_its_axes_or_not() -> None:
    """Both values of `keepdims` are drawn for each kind of axis."""
    kinds = {(type(o["axis"]).__name__, o["keepdims"]) for o in options_of(samplers.reduced, (2, 3))}
    assert kinds == set(itertools.product(["NoneType", "int", "tuple"], [False, True]))


def test_a_variance_may_have_no_degrees_of_freedom() -> None:
    """`ddof` takes each value from 0 to the count of numbers."""
    assert {o["ddof"] for o in options_of(samplers.spread, (2,))} == {0, 1, 2}


def test_reductions_without_an_identity_have_no_empty_groups() -> None:
    """An extreme, mean or variance is never taken along an empty axis; another axis may be empty."""
    for sample in samplers.reduced_full, samplers.spread:
        assert {o["axis"] for o in options_of(sample, (2, 0))} == {(), 0, -2, (0,), (-2,)}
        assert {o["axis"] for o in options_of(sample, (0,))} == {()}


def test_several_axes_are_often_out_of_order() -> None:
    """All ordered pairs of three axes are drawn."""
    axes = [o["axis"] for o in options_of(samplers.axes, (2, 3, 4)) if isinstance(o["axis"], tuple)]
    pairs = {tuple(a % 3 for a in axis) for axis in axes if len(axis) == 2}
    assert pairs == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_all_permutations_are_drawn() -> None:
    """All orders of three axes, from either end, and None; two orders are not their own inverse."""
    permutations = {o["axes"] for o in options_of(samplers.permutation, (2, 3, 4))}
    assert permutations == {None, *(axes for axes in orders(3) if len(axes) == 3)}


def test_each_way_to_reshape_is_drawn() -> None:
    """Rows, columns and more axes are drawn, some with a length of -1; the size stays the same."""
    shapes = {o["shape"] for o in options_of(samplers.new_shape, (2, 3))}
    assert {(6,), (-1,), (3, 2), (2, 3), (1, 6), (6, 1), (-1, 2), (2, -1), (1, 2, 3)} <= shapes
    assert all(math.prod(shape) == 6 or -1 in shape for shape in shapes)


def test_a_single_number_gets_and_loses_axes() -> None:
    """`reshape` takes a single number from no axes to some, and back."""
    for shape in [(), (1,), (1, 1)]:
        assert {o["shape"] for o in options_of(samplers.new_shape, shape)} >= {(), (1,), (1, 1), (-1,)}


def test_axes_of_length_1_come_and_go_in_each_way() -> None:
    """`expand_dims` and `squeeze` take one axis, several or all, from either end."""
    assert {o["axis"] for o in options_of(samplers.new_axes, (2,))} >= {0, 1, -1, -2, (0, 1), (2, 0), (-1, 0), (1, -3)}
    ones = {o["axis"] for o in options_of(samplers.ones, (1, 2, 1))}
    assert ones == {None, 0, 2, -1, -3, *signed((0, 2), 3), *signed((2, 0), 3)}


def test_each_pair_of_axes_is_exchanged() -> None:
    """Each axis is exchanged with each, also with itself, counted from either end."""
    pairs = {(o["axis1"], o["axis2"]) for o in options_of(samplers.axis_pair, (2, 3))}
    assert pairs == set(itertools.product([-2, -1, 0, 1], repeat=2))


def test_targets_are_broadcast_in_each_way() -> None:
    """The target has the same shape, a longer axis for 1, more axes in front, or both."""
    targets = {o["shape"] for o in options_of(samplers.target_shape, (1, 2))}
    assert targets == {(*front, n, 2) for front in [(), (1,), (2,), (3, 1)] for n in (1, 2, 3)}


def test_pieces_are_equal_or_cut_anywhere() -> None:
    """`split` gets a number or cuts, at the ends, beyond them and repeated; and each piece is taken."""
    splits = options_of(samplers.pieces, (4,))
    by_number = {(o["indices_or_sections"], o["piece"]) for o in splits if isinstance(o["indices_or_sections"], int)}
    assert by_number == {(n, piece) for n in (1, 2, 4) for piece in range(n)}
    cuts = [o["indices_or_sections"] for o in splits if isinstance(o["indices_or_sections"], tuple)]
    assert {c for cut in cuts for c in cut} == {0, 1, 2, 3, 4, 5}
    assert any(len({*cut}) < len(cut) for cut in cuts)


def test_padding_in_each_mode_and_spelling() -> None:
    """Five modes; one width, one pair, and a pair for each axis; widths beyond the operand's length."""
    paddings = options_of(samplers.padding, (1, 3))
    assert {o["mode"] for o in paddings} == {"constant", "edge", "reflect", "symmetric", "wrap"}
    assert {np.shape(o["pad_width"]) for o in paddings} == {(), (2,), (2, 2)}
    assert {o.get("constant_values") for o in paddings} == {None, 0, 1.5, -2}
    assert any(np.max(o["pad_width"]) > 1 for o in paddings if o["mode"] == "reflect")


def is_array(entry: Any, kind: str) -> bool:
    """Whether an entry of an index is an array of this kind of dtype."""
    return isinstance(entry, np.ndarray) and entry.dtype.kind == kind


def has_aliases(places: np.ndarray) -> bool:
    """Whether two different numbers of an array, such as 1 and -3, mean the same place of an axis of length 4."""
    return np.unique(places % 4).size < np.unique(places).size


@pytest.fixture(name="entries", scope="module")
def _entries() -> list[Any]:
    return [entry for o in options_of(indices.index, (4, 2)) for entry in o["index"]]


# fmt: off
ENTRIES: list[tuple[str, Callable[[Any], bool], float]] = [
    # kind                          an entry of an index of (4, 2)                                   of a hundred
    ("a number",                    lambda e: isinstance(e, int) and e >= 0,                             9.3),
    ("a number from the end",       lambda e: isinstance(e, int) and e < 0,                              9.5),
    ("a slice",                     lambda e: isinstance(e, slice) and (e.step or 1) > 0,                 23),
    ("a slice backwards",           lambda e: isinstance(e, slice) and (e.step or 1) < 0,                8.2),
    ("a slice with steps",          lambda e: isinstance(e, slice) and abs(e.step or 1) > 1,              11),
    ("a slice with ends",           lambda e: isinstance(e, slice) and None not in (e.start, e.stop),    6.7),
    ("an empty slice",              lambda e: isinstance(e, slice) and not range(4)[e],                  2.1),
    ("a new axis",                  lambda e: e is None,                                                  18),
    ("...",                         lambda e: e is Ellipsis,                                             6.0),
    ("an array",                    lambda e: is_array(e, "i"),                                           23),
    ("an array of two axes",        lambda e: is_array(e, "i") and e.ndim > 1,                           1.5),
    ("an array with repeats",       lambda e: is_array(e, "i") and np.unique(e).size < e.size,           5.8),
    ("an array with aliases",       lambda e: is_array(e, "i") and has_aliases(e),                       2.3),
    ("a mask",                      lambda e: is_array(e, "b"),                                          3.5),
    ("a mask of all axes",          lambda e: is_array(e, "b") and e.ndim > 1,                           1.7),
    ("a mask that lets nothing by", lambda e: is_array(e, "b") and not e.any(),                         0.04),
]
# fmt: on


@pytest.mark.parametrize(("kind", "is_such", "measured"), ENTRIES, ids=[kind for kind, *_ in ENTRIES])
def test_all_kinds_of_index_entries_are_drawn(
    kind: str, is_such: Callable[[Any], bool], measured: float, entries: list[Any]
) -> None:
    """Entries of each kind are drawn as often as measured."""
    found = sum(map(is_such, entries))
    assert as_measured(found, len(entries), measured), f"{kind}: {found} of {len(entries)}, not {measured} %"


def spelled(index: tuple[Any, ...]) -> str:
    """Write an index with one character per entry: an array, a mask, a number, a slice, `...` or None."""
    signs = {slice: ":", int: "n", type(None): "+", type(Ellipsis): "."}
    return "".join(entry.dtype.kind if isinstance(entry, np.ndarray) else signs[type(entry)] for entry in index)


# fmt: off
TOGETHER: list[tuple[str, Shape, tuple[str, ...], float]] = [
    # an index holds             of a shape  spelled                     of a hundred
    ("arrays side by side",      (2, 3, 4),  ("ii:", "iii", "iin"),               3.7),
    ("arrays about a slice",     (2, 3, 4),  ("i:i",),                            8.3),
    ("one, a number and it",     (2, 3, 4),  ("i:n", "n:i"),                       16),
    ("arrays about None",        (4, 2),     ("i+i",),                            7.8),
    ("one, a number and None",   (4, 2),     ("i+n", "n+i"),                       16),
]
# fmt: on


@pytest.mark.parametrize(("kind", "shape", "spellings", "measured"), TOGETHER, ids=[kind for kind, *_ in TOGETHER])
def test_arrays_and_numbers_meet_in_one_index(
    kind: str, shape: Shape, spellings: tuple[str, ...], measured: float
) -> None:
    """They stand side by side, or are separated by a slice or None: then NumPy moves their axes to the front."""
    found = sum(spelled(o["index"]) in spellings for o in options_of(indices.index, shape))
    assert as_measured(found, 3_000, measured), f"{kind}: {found} of 3,000, not {measured} %"


def test_all_permutations_of_one_axis_are_drawn() -> None:
    """All 24 orders of four numbers are drawn; 14 % of the indices are orders that are not their own inverse."""
    all_indices = [o["index"] for o in options_of(indices.index, (4,))]
    orders = [tuple(index[0] % 4) for index in all_indices if spelled(index) == "i" and index[0].shape == (4,)]
    assert {order for order in orders if sorted(order) == [0, 1, 2, 3]} == {*itertools.permutations(range(4))}
    cycles = [order for order in orders if sorted(order) == [0, 1, 2, 3] != [order[i] for i in order]]
    assert as_measured(len(cycles), len(all_indices), 14)


def test_numbers_are_scattered_to_one_place_twice() -> None:
    """Places have repeats and aliases (each in a third of all), or are slices of both signs; an operand may be 0-d."""
    targets = options_of(indices.scattered, (3, 2))
    arrays = [(o["index"][0], o["shape"][0]) for o in targets if isinstance(o["index"][0], np.ndarray)]
    assert sum(np.unique(places).size < 3 for places, _ in arrays) > 500
    assert sum(np.unique(places % n).size < np.unique(places).size for places, n in arrays) > 450
    assert {o["index"][0].step for o in targets if isinstance(o["index"][0], slice)} == {1, 2, -1}
    assert options_of(indices.scattered, ())


def test_conditions_broadcast() -> None:
    """A condition may have axes of length 1, and holds both True and False."""
    conditions = [o["condition"] for o in options_of(indices.condition, (2, 3))]
    assert {c.shape for c in conditions} == {(2, 3), (1, 3), (2, 1), (1, 1)}
    assert {bool(answer) for c in conditions for answer in c.flat} == {False, True}


# Products and joins.


def shapes_of(inputs: Inputs, shape: Shape, slot: int, number: int = 2_000) -> set[tuple[Shape, ...]]:
    """The shapes of all operands that are drawn for one operand's shape."""
    shapes = set()
    for i in range(number):
        try:
            shapes.add(tuple(inputs.draw(Seeded("shapes", i), shape, slot)[0]))
        except Unsuited:
            continue
    return shapes


def ranks_of(inputs: Inputs, slot: int) -> set[tuple[int, ...]]:
    """The ranks of a product's operands, if one of them is a number, a vector, a matrix or a batch."""
    return {
        tuple(map(len, shapes)) for shape in [(), (2,), (2, 3), (4, 2, 3)] for shapes in shapes_of(inputs, shape, slot)
    }


@pytest.mark.parametrize("slot", [0, 1])
def test_matrices_meet_vectors_and_batches(slot: int) -> None:
    """Any operand of `matmul` in one slot meets vectors and matrices in the other; a matrix also meets a batch."""
    met = ranks_of(inputs.matrices, slot)
    assert met >= {(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3), (3, 1) if slot == 0 else (1, 3)}


def test_batches_broadcast_in_products() -> None:
    """A batch of length 1 meets a longer one, and a batch meets a single matrix."""
    batches = {(a[:-2], b[:-2]) for a, b in shapes_of(inputs.matrices, (1, 2, 3), 0) if len(b) > 1}
    assert {((1,), ()), ((1,), (1,)), ((1,), (2,)), ((1,), (3,))} <= batches


@pytest.mark.parametrize("slot", [0, 1])
def test_dot_meets_numbers_vectors_and_stacks(slot: int) -> None:
    """Any operand of `dot` in one slot meets vectors, matrices and stacks in the other, and sometimes a number."""
    met = ranks_of(inputs.dotted, slot)
    numbers = {(1, 0), (2, 0), (3, 0)} if slot == 0 else {(0, 1), (0, 2), (0, 3)}
    assert met >= {(0, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3), *numbers}


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_arrays_are_joined_one_to_three(slot: int) -> None:
    """As many arrays as the slot needs, up to three; their lengths along the axis differ, and may be 0."""
    joined, stacked = shapes_of(inputs.joined, (2, 3), slot), shapes_of(inputs.stacked, (2, 3), slot)
    assert {len(shapes) for shapes in joined} == {len(shapes) for shapes in stacked} == set(range(slot + 1, 4))
    assert any(0 in shape for shapes in joined for shape in shapes)
    assert any(len({*shapes}) == 3 for shapes in joined)


def test_arrays_of_any_shapes_are_joined_flat() -> None:
    """With `axis=None`, arrays may differ in rank."""
    assert any(len({*map(len, shapes)}) > 1 for shapes in shapes_of(inputs.joined, (2, 3), 0))


def test_fixed_options_take_each_value() -> None:
    """`fixed` draws each of its values, under its name."""
    assert {o["slope"] for o in options_of(samplers.fixed("slope", [1, 2, 3]), ())} == {1, 2, 3}
