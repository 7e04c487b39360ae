"""Draws programs. It knows the op table and where choices come from, and nothing of engines or verdicts.

A program grows step by step: an op from the table, an operand that is there already or a fresh one, the shapes and
options that its row has. Values are computed along the way, so that a logarithm is rarely met with what
it is not defined for, and numbers do not run away. What the result does not depend on is left out at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from reference.ops import OPS, REAL, Domain, Op, forward
from reference.ops.options import Options
from reference.ops.shapes import MOST_NUMBERS, Shape, any_shape, one_of_few
from reference.ops.source import Source, Unsuited, chance, pick, picks
from reference.programs import ARRAY, LEAF, NUMBER, Operand, Program, Step, operand_names

ORDINARY, EDGES, NONFINITE, REFUSED = "ordinary", "edges", "nonfinite", "refused"
# Of twenty programs so many of each manner. Edges are kinks, ties, poles, the tiny and the large.
_MANNERS = [ORDINARY] * 9 + [EDGES] * 6 + [NONFINITE] * 4 + [REFUSED]
# What leaves numbers lying in another order, or one number in several places: leaves are copied, and only so does an op
# meet other layouts than C's.
_LAYING = ("transpose", "swapaxes", "flip", "broadcast_to")
_DTYPES = [np.dtype("float64")] * 7 + [np.dtype("float32")] * 3
_LAYOUTS = ["C"] * 12 + ["F", "F", "reversed", "reversed", "repeated"]
_OTHERS = ["leaf"] * 10 + ["constant"] * 4 + ["again"] * 6  # what a step's other operands are
_OTHERS_OF_NO_AXES = [*_OTHERS, *["number"] * 12]
_LARGEST = 1e4  # of an ordinary value: beyond, exponentials overflow and differences lose all digits
_TRIES = 6  # how often a step is drawn anew before the program goes on without it


@dataclass(eq=False)
class _Node:
    """A value of a growing program: an operand, or a step on other nodes."""

    value: np.ndarray
    operand: Operand | None = None
    op: str = ""
    inputs: tuple[_Node, ...] = ()
    options: Options = field(default_factory=dict)

    @property
    def given(self) -> Any:
        """The value as a definition is given it: a Python number as such."""
        return self.operand.array if self.operand is not None and self.operand.kind == NUMBER else self.value


def draw_program(
    source: Source, focus: str | None = None, ops: Sequence[str] | None = None, *, few_shapes: bool = False
) -> Program:
    """Draw a program.

    Args:
        source: where the choices come from.
        focus: an op that stands in it, with other steps before and after.
        ops: what the other steps are made of; the whole table by default.
        few_shapes: whether fresh operands have one of a dozen shapes, and steps are few: good for engines that compile.

    Raises:
        Unsuited: nothing came of these choices; draw again.
    """
    growing = _Growing(source, pick(source, _MANNERS), tuple(ops or OPS), few_shapes=few_shapes)
    return growing.around(OPS[focus]) if focus else growing.expression()


@cache
def _tickets(ops: tuple[str, ...]) -> tuple[str, ...]:
    """A name for each way that each op can be met in: the more ways, the oftener it is drawn."""
    return tuple(f"{op} {way}" for op in ops for way in range(OPS[op].inputs.ways))


@cache
def _tries(op: str) -> tuple[str, ...]:
    """A name for each time that an op may be drawn anew."""
    return tuple(f"{op} again {i}" for i in range(_TRIES))


class _Growing:
    """A program while it is drawn."""

    def __init__(self, source: Source, manner: str, ops: tuple[str, ...], *, few_shapes: bool) -> None:
        self.source = source
        self.manner = manner
        self.ops = ops
        self.few_shapes = few_shapes
        self.tickets = _tickets(ops)
        self.dtype = pick(source, _DTYPES)
        self.nodes: list[_Node] = []

    def around(self, op: Op) -> Program:
        """One op in mid-program: up to two steps before it, up to two after; and up to ten more beside it.

        Each of those may have a step before it, which lays its operand otherwise in memory, and one after it.
        """
        for _ in range(pick(self.source, [0, 1, 0, 2])):
            self._grow(self._candidates())
        if self.manner == REFUSED and op.refuses is not None:
            return self._refused(op)
        node = self._grow(self._candidates(op), self._laid()) or self._grow(self._candidates(op))
        if node is None:
            raise Unsuited
        for _ in range(pick(self.source, [0, 1, 2, 1])):
            node = self._grow(self._candidates(), node) or node
        return self._finished(self._with_more_beside(self._reusing(node), op))

    def _laid(self, *, fresh: bool = False) -> _Node | None:
        """Sometimes a value that lies in memory otherwise than leaves do."""
        laying = [op for op in _LAYING if op in self.ops]
        if not laying or not chance(self.source, 30):
            return None
        return self._grow(self._candidates(OPS[pick(self.source, laying)]), fresh=fresh)

    def _with_more_beside(self, node: _Node, same: Op | None = None) -> _Node:
        """Steps more on fresh operands, of one op or of any: a program meets many ops, and stays shallow.

        None, many, or just one: what fails beside others can be shrunk to that.
        """
        many = [0, 1, 8, 10] if same else [0, 1, 5, 6]
        for _ in range(pick(self.source, many) if not self.few_shapes and "concatenate" in self.ops else 0):
            again = same if same and chance(self.source, 50) else None
            laid = self._laid(fresh=True)
            other = (laid and self._grow(self._candidates(again), laid)) or self._grow(
                self._candidates(again), fresh=True
            )
            if same and other and chance(self.source, 30):
                other = self._grow(self._candidates(), other) or other
            node = self._beside(node, other)
        return node

    def _beside(self, node: _Node, other: _Node | None) -> _Node:
        """Two values as one result, end to end: nothing is computed of both."""
        if other is None or node.value.size + other.value.size > MOST_NUMBERS:
            return node
        value = np.concatenate((node.value, other.value), axis=None)
        return _Node(value, op="concatenate", inputs=(node, other), options={"axis": None})

    def expression(self) -> Program:
        """Two to nine steps of any ops, each more likely to go on from what was made last."""
        node = None
        for _ in range(self.source.integer(2, 8)):
            node = self._grow(self._candidates(), node if chance(self.source, 60) else None) or node
        if self.manner == REFUSED:
            op, _ = next(self._candidates())
            return self._refused(op) if op.refuses else self._finished(node)
        return self._finished(node and self._with_more_beside(self._reusing(node)))

    def _reusing(self, node: _Node) -> _Node:
        """Sometimes a leaf that broadcasts with the result is used again and again, up to eleven times more."""
        known = [op for op in ("add", "subtract", "multiply") if op in self.ops]
        leaves = [leaf for leaf in _leaves(node) if _broadcasts(leaf.value.shape, node.value.shape)]
        if not known or not leaves or not chance(self.source, 12):
            return node
        leaf = pick(self.source, leaves)
        for _ in range(self.source.integer(1, 11)):
            op = pick(self.source, known)
            value = forward(OPS[op], [node.value, leaf.value], {})
            if self._ordinary(value):
                node = _Node(value, op=op, inputs=(node, leaf))
        return node

    def _candidates(self, op: Op | None = None) -> Iterator[tuple[Op, str]]:
        """Candidates for a step of one op, or of any: ops, and the names that they draw their lots by."""
        for ticket in self.source.among(self.tickets if op is None else _tries(op.name)):
            yield OPS[ticket.partition(" ")[0]], ticket

    # Steps.

    def _grow(
        self, candidates: Iterator[tuple[Op, str]], onto: _Node | None = None, *, fresh: bool = False
    ) -> _Node | None:
        """Add a step, on a given node or on a fresh one if that is asked for; None where no try came out well.

        Each candidate has choices of its own, so that one more among them changes nothing for the others.
        """
        outer = self.source
        for op, ticket in islice(candidates, _TRIES):
            self.source = outer.branch(ticket)
            try:
                return self._step(op, onto, fresh=fresh)
            except Unsuited:
                continue
            finally:
                self.source = outer
        return None

    def _step(self, op: Op, onto: _Node | None, *, fresh: bool) -> _Node:
        count = len(self.nodes)
        slot = pick(self.source, [0, *range(op.inputs.slots)])  # in the first place most often
        base = onto or self._base(op, slot, fresh=fresh)
        if base.operand is None and self.manner == ORDINARY and not op.domain(slot).holds(base.value):
            self._only(chance(self.source, 15))
        shapes, options = op.inputs.draw(self.source, base.value.shape, slot)
        inputs = [base if i == slot else self._other(op, i, shape, base) for i, shape in enumerate(shapes)]
        value = forward(op, [n.given for n in inputs], options)
        try:
            self._only(not op.finite or all(np.isfinite(n.value).all() for n in inputs))
            self._only(self._ordinary(value))
        except Unsuited:
            del self.nodes[count:]
            raise
        node = _Node(value, op=op.name, inputs=tuple(inputs), options=options)
        self.nodes.append(node)
        return node

    def _only(self, condition: bool) -> None:  # noqa: FBT001 - the condition is all there is to say
        if not condition:
            raise Unsuited

    def _ordinary(self, value: np.ndarray) -> bool:
        """Whether a value is one to go on from; on purpose, the other manners take what comes, if it is small."""
        small = value.size <= MOST_NUMBERS
        if self.manner in (EDGES, NONFINITE):
            return small
        return small and bool((np.abs(value) <= _LARGEST).all())

    def _base(self, op: Op, slot: int, *, fresh: bool = False) -> _Node:
        """What a step starts from: something that is there, or a fresh leaf."""
        if self.nodes and not fresh and chance(self.source, 65):
            steps = [n for n in self.nodes if n.operand is None or n.operand.kind == LEAF]
            return pick(self.source, steps[::-1])
        start = one_of_few if self.few_shapes else op.inputs.start or any_shape
        return self._leaf(start(self.source), op.domain(slot))

    def _other(self, op: Op, position: int, shape: Shape, base: _Node) -> _Node:
        """Another operand of a step: the same one again, an earlier value of this shape, or a fresh one."""
        manner = pick(self.source, _OTHERS if shape else _OTHERS_OF_NO_AXES)
        domain = op.domain(position)
        if domain.as_numbers and chance(self.source, 60):
            return self._number(domain)
        if manner == "again" and (node := self._again(shape, domain, base)):
            return node
        if manner == "number":
            return self._number(domain)
        return self._constant(shape, domain) if manner == "constant" else self._leaf(shape, domain)

    def _again(self, shape: Shape, domain: Domain, base: _Node) -> _Node | None:
        """A value of this shape that is there already, if its numbers lie where an ordinary operand's should."""
        fitting = [n for n in (base, *self.nodes[::-1]) if n.value.shape == shape and n.value.dtype.kind == "f"]
        node = pick(self.source, fitting) if fitting else None
        return node if node and (self.manner != ORDINARY or domain.holds(node.value)) else None

    # Operands.

    def _leaf(self, shape: Shape, domain: Domain) -> _Node:
        """A fresh leaf; now and then with the numbers of another, which it must not be taken for."""
        twins = [n for n in self.nodes if n.operand is not None and n.operand.kind == LEAF and n.value.shape == shape]
        if twins and chance(self.source, 15):
            twin = pick(self.source, twins)
            if self.manner != ORDINARY or domain.holds(twin.value):
                return self._operand(np.array(twin.value), LEAF)
        other = np.dtype("float32" if self.dtype == np.float64 else "float64")
        dtype = other if chance(self.source, 4) else self.dtype
        return self._operand(self._data(shape, domain, dtype), LEAF)

    def _constant(self, shape: Shape, domain: Domain) -> _Node:
        data = self._data(shape, domain, self.dtype)
        if chance(self.source, 15) and np.isfinite(data).all():
            whole = np.where(data == 0, 0, np.sign(data) * np.ceil(np.abs(data)))
            data = whole.astype(pick(self.source, ["int64", "bool"]))
        return self._operand(data, ARRAY)

    def _number(self, domain: Domain) -> _Node:
        # What is not finite is met with the exponents that have rules of their own.
        special = domain.as_numbers and self.manner == NONFINITE and chance(self.source, 90)
        number = pick(self.source, domain.edges) if special else self._choice(domain)
        whole = number == number // 1 and abs(number) < 1e6  # noqa: PLR2004 - 2 as often as 2.0
        return self._operand(np.asarray(int(number) if whole and chance(self.source, 50) else number), NUMBER)

    def _operand(self, data: np.ndarray, kind: str) -> _Node:
        layout = "C" if kind == NUMBER else self._layout()
        if layout == "repeated":
            data = np.array(np.broadcast_to(data[:1], data.shape)) if data.ndim and data.size else data
        node = _Node(data, operand=Operand("", data, kind, layout))
        self.nodes.append(node)
        return node

    def _layout(self) -> str:
        return pick(self.source, _LAYOUTS)

    def _data(self, shape: Shape, domain: Domain, dtype: np.dtype[Any]) -> np.ndarray:
        size = math.prod(shape)
        if self.manner == ORDINARY:
            numbers = picks(self.source, domain.numbers, size)
        elif chance(self.source, 25):  # ties: two different numbers in all
            some = [self._choice(domain), self._choice(domain)]
            numbers = picks(self.source, some, size)
        else:
            numbers = [self._choice(domain) for _ in range(size)]
        return np.array(numbers, dtype).reshape(shape)

    def _choice(self, domain: Domain) -> float:
        if self.manner == EDGES and chance(self.source, 50):
            return pick(self.source, domain.edges)
        if self.manner == NONFINITE and chance(self.source, 50):
            return pick(self.source, domain.edges if chance(self.source, 40) else [np.inf, -np.inf, np.nan, -np.inf])
        return pick(self.source, domain.numbers)

    # The end.

    def _refused(self, op: Op) -> Program:
        """A program whose last step NumPy refuses."""
        if op.refuses is None:
            raise Unsuited
        slot = self.source.integer(0, op.refuses.slots - 1)
        base = self._base(op, slot)
        shapes, options = op.refuses.draw(self.source, base.value.shape, slot)
        inputs = [base if i == slot else self._leaf(shape, op.domain(i)) for i, shape in enumerate(shapes)]
        return _numbered(_Node(np.zeros(0), op=op.name, inputs=tuple(inputs), options=options), None, ())

    def _finished(self, node: _Node | None) -> Program:
        leaves = _leaves(node) if node else []
        if node is None or not leaves:
            raise Unsuited
        cotangent = self._cotangent(node.value)
        directions: tuple[np.ndarray, ...] = ()
        if self.manner == ORDINARY and chance(self.source, 45):
            directions = tuple(self._data(n.value.shape, REAL, n.value.dtype) for n in leaves)
        return _numbered(node, cotangent, directions)

    def _cotangent(self, value: np.ndarray) -> np.ndarray:
        """Never ones all over; sometimes tiny, sometimes huge."""
        scale = pick(self.source, [1.0] * 18 + [2.0**-30, 2.0**20])
        numbers = [number * scale for number in picks(self.source, REAL.numbers, value.size)]
        return np.array(numbers, value.dtype).reshape(value.shape)


def _reached(root: _Node) -> list[_Node]:
    """The nodes that a result depends on, operands first, each step after its inputs."""
    found: dict[_Node, None] = {}  # in order
    stack = [root]
    while stack:
        missing = [node for node in stack[-1].inputs if node not in found]
        if missing:
            stack += missing[::-1]
        else:
            found[stack.pop()] = None
    return [n for n in found if n.operand is not None] + [n for n in found if n.operand is None]


def _leaves(root: _Node) -> list[_Node]:
    """The leaves that a result depends on."""
    return [n for n in _reached(root) if n.operand is not None and n.operand.kind == LEAF]


def _broadcasts(a: Shape, b: Shape) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


def _numbered(root: _Node, cotangent: np.ndarray | None, directions: tuple[np.ndarray, ...]) -> Program:
    """The program that ends in a node, its operands named in the order in which it needs them."""
    nodes = _reached(root)
    places = {node: place for place, node in enumerate(nodes)}
    names = operand_names()
    operands = tuple(
        Operand(next(names), n.operand.data, n.operand.kind, n.operand.layout) for n in nodes if n.operand is not None
    )
    steps = tuple(Step(n.op, tuple(places[i] for i in n.inputs), n.options) for n in nodes if n.operand is None)
    return Program(operands, steps, cotangent, directions)
