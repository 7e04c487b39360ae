"""The random generator of programs. It knows the op table and sources of choices, but no engines and no verdicts.

A program grows step by step: an op from the table, an existing or a fresh operand, and shapes and options as its row
describes them. Values are computed along the way, so that a logarithm rarely gets numbers outside its domain, and
numbers do not grow without bound. At the end, values that the result does not depend on are dropped.
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
# The number of each among twenty programs. Edges are kinks, ties, poles, and tiny and large numbers.
_MANNERS = [ORDINARY] * 9 + [EDGES] * 6 + [NONFINITE] * 4 + [REFUSED]
# Ops whose results are views with other strides. Engines copy leaves into C order, so that an op meets another layout
# only in the result of one of these.
_VIEWS = ("transpose", "swapaxes", "flip", "broadcast_to")
_DTYPES = [np.dtype("float64")] * 7 + [np.dtype("float32")] * 3
_LAYOUTS = ["C"] * 12 + ["F", "F", "reversed", "reversed", "repeated"]
_OTHERS = ["leaf"] * 10 + ["constant"] * 4 + ["again"] * 6  # the kinds of a step's other operands
_SCALAR_OTHERS = [*_OTHERS, *["number"] * 12]
_LARGEST = 1e4  # of an ordinary value: from larger ones, exponentials overflow and differences lose all digits
_TRIES = 6  # how often a step is drawn again before the program continues without it


@dataclass(eq=False)
class _Node:
    """A value of a growing program: an operand, or a step on other nodes."""

    value: np.ndarray
    operand: Operand | None = None
    op: str = ""
    inputs: tuple[_Node, ...] = ()
    options: Options = field(default_factory=dict)

    @property
    def argument(self) -> Any:
        """The value as it is passed to a definition: a Python number stays one."""
        return self.operand.array if self.operand is not None and self.operand.kind == NUMBER else self.value


def draw_program(
    source: Source, focus: str | None = None, ops: Sequence[str] | None = None, *, few_shapes: bool = False
) -> Program:
    """Draw a program.

    Args:
        source: the source of choices.
        focus: an op that the program must contain, with other steps before and after it.
        ops: the ops of the other steps; the whole table by default.
        few_shapes: whether fresh operands have one of a dozen shapes, and steps are few, for engines that compile.

    Raises:
        Unsuited: these choices give no program; draw again.
    """
    builder = _Builder(source, pick(source, _MANNERS), tuple(ops or OPS), few_shapes=few_shapes)
    return builder.focused(OPS[focus]) if focus else builder.expression()


@cache
def _tickets(ops: tuple[str, ...]) -> tuple[str, ...]:
    """One name for each way to call each op: the more ways, the more often the op is drawn."""
    return tuple(f"{op} {way}" for op in ops for way in range(OPS[op].inputs.ways))


@cache
def _tries(op: str) -> tuple[str, ...]:
    """One name for each time that an op may be drawn again."""
    return tuple(f"{op} again {i}" for i in range(_TRIES))


class _Builder:
    """Builds one program."""

    def __init__(self, source: Source, manner: str, ops: tuple[str, ...], *, few_shapes: bool) -> None:
        self.source = source
        self.manner = manner
        self.ops = ops
        self.few_shapes = few_shapes
        self.tickets = _tickets(ops)
        self.dtype = pick(source, _DTYPES)
        self.nodes: list[_Node] = []

    def focused(self, op: Op) -> Program:
        """Build a program with up to two steps before an op, up to two after it, and up to ten on other operands.

        Each of these ten may have a step before it, which gives its operand another layout, and a step after it.
        """
        for _ in range(pick(self.source, [0, 1, 0, 2])):
            self._grow(self._candidates())
        if self.manner == REFUSED and op.refuses is not None:
            return self._refused(op)
        node = self._grow(self._candidates(op), self._view()) or self._grow(self._candidates(op))
        if node is None:
            raise Unsuited
        for _ in range(pick(self.source, [0, 1, 2, 1])):
            node = self._grow(self._candidates(), node) or node
        return self._finish(self._with_siblings(self._reuse_leaf(node), op))

    def _view(self, *, fresh: bool = False) -> _Node | None:
        """Sometimes add a step whose result has another memory layout than leaves have."""
        views = [op for op in _VIEWS if op in self.ops]
        if not views or not chance(self.source, 30):
            return None
        return self._grow(self._candidates(OPS[pick(self.source, views)]), fresh=fresh)

    def _with_siblings(self, node: _Node, same: Op | None = None) -> _Node:
        """Add steps on fresh operands, of one op or of any: a program has many ops and stays shallow.

        The count is 0, 1 or many, so that a failure among many can shrink to one.
        """
        counts = [0, 1, 8, 10] if same else [0, 1, 5, 6]
        for _ in range(pick(self.source, counts) if not self.few_shapes and "concatenate" in self.ops else 0):
            op = same if same and chance(self.source, 50) else None
            view = self._view(fresh=True)
            other = (view and self._grow(self._candidates(op), view)) or self._grow(self._candidates(op), fresh=True)
            if same and other and chance(self.source, 30):
                other = self._grow(self._candidates(), other) or other
            node = self._join(node, other)
        return node

    def _join(self, node: _Node, other: _Node | None) -> _Node:
        """Concatenate two flattened values, so that both are in the result and neither depends on the other."""
        if other is None or node.value.size + other.value.size > MOST_NUMBERS:
            return node
        value = np.concatenate((node.value, other.value), axis=None)
        return _Node(value, op="concatenate", inputs=(node, other), options={"axis": None})

    def expression(self) -> Program:
        """Build a program of two to nine steps of any ops; each is likely to use the result of the latest."""
        node = None
        for _ in range(self.source.integer(2, 8)):
            node = self._grow(self._candidates(), node if chance(self.source, 60) else None) or node
        if self.manner == REFUSED:
            op, _ = next(self._candidates())
            return self._refused(op) if op.refuses else self._finish(node)
        return self._finish(node and self._with_siblings(self._reuse_leaf(node)))

    def _reuse_leaf(self, node: _Node) -> _Node:
        """Sometimes use a leaf that broadcasts with the result again, up to eleven times."""
        ops = [op for op in ("add", "subtract", "multiply") if op in self.ops]
        leaves = [leaf for leaf in _leaves(node) if _broadcasts(leaf.value.shape, node.value.shape)]
        if not ops or not leaves or not chance(self.source, 12):
            return node
        leaf = pick(self.source, leaves)
        for _ in range(self.source.integer(1, 11)):
            op = pick(self.source, ops)
            value = forward(OPS[op], [node.value, leaf.value], {})
            if self._ordinary(value):
                node = _Node(value, op=op, inputs=(node, leaf))
        return node

    def _candidates(self, op: Op | None = None) -> Iterator[tuple[Op, str]]:
        """Give candidates for a step, of one op or of any: each with the name by which it draws its lot."""
        for ticket in self.source.among(self.tickets if op is None else _tries(op.name)):
            yield OPS[ticket.partition(" ")[0]], ticket

    # Steps.

    def _grow(
        self, candidates: Iterator[tuple[Op, str]], onto: _Node | None = None, *, fresh: bool = False
    ) -> _Node | None:
        """Add a step on the node `onto`, or on a fresh leaf if `fresh`; give None if all tries fail.

        Each candidate has its own source, so that a new candidate changes nothing for the others.
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
        slot = pick(self.source, [0, *range(op.inputs.slots)])  # most often the first
        base = onto or self._base(op, slot, fresh=fresh)
        if base.operand is None and self.manner == ORDINARY and not op.domain(slot).holds(base.value):
            self._require(chance(self.source, 15))
        shapes, options = op.inputs.draw(self.source, base.value.shape, slot)
        inputs = [base if i == slot else self._other(op, i, shape, base) for i, shape in enumerate(shapes)]
        value = forward(op, [n.argument for n in inputs], options)
        try:
            self._require(not op.finite or all(np.isfinite(n.value).all() for n in inputs))
            self._require(self._ordinary(value))
        except Unsuited:
            del self.nodes[count:]
            raise
        node = _Node(value, op=op.name, inputs=tuple(inputs), options=options)
        self.nodes.append(node)
        return node

    def _require(self, condition: bool) -> None:  # noqa: FBT001 - the condition is the only argument
        if not condition:
            raise Unsuited

    def _ordinary(self, value: np.ndarray) -> bool:
        """Whether a step may have this value. Programs with edges or nonfinite numbers may have any small value."""
        small = value.size <= MOST_NUMBERS
        if self.manner in (EDGES, NONFINITE):
            return small
        return small and bool((np.abs(value) <= _LARGEST).all())

    def _base(self, op: Op, slot: int, *, fresh: bool = False) -> _Node:
        """Choose a step's first operand: an existing value or a fresh leaf."""
        if self.nodes and not fresh and chance(self.source, 65):
            steps = [n for n in self.nodes if n.operand is None or n.operand.kind == LEAF]
            return pick(self.source, steps[::-1])
        start = one_of_few if self.few_shapes else op.inputs.start or any_shape
        return self._leaf(start(self.source), op.domain(slot))

    def _other(self, op: Op, position: int, shape: Shape, base: _Node) -> _Node:
        """Choose another operand of a step: the same one again, an earlier value of this shape, or a fresh one."""
        kind = pick(self.source, _OTHERS if shape else _SCALAR_OTHERS)
        domain = op.domain(position)
        if domain.as_numbers and chance(self.source, 60):
            return self._number(domain)
        if kind == "again" and (node := self._again(shape, domain, base)):
            return node
        if kind == "number":
            return self._number(domain)
        return self._constant(shape, domain) if kind == "constant" else self._leaf(shape, domain)

    def _again(self, shape: Shape, domain: Domain, base: _Node) -> _Node | None:
        """Choose an existing value of this shape. In an ordinary program, its numbers must lie in the domain."""
        fitting = [n for n in (base, *self.nodes[::-1]) if n.value.shape == shape and n.value.dtype.kind == "f"]
        node = pick(self.source, fitting) if fitting else None
        return node if node and (self.manner != ORDINARY or domain.holds(node.value)) else None

    # Operands.

    def _leaf(self, shape: Shape, domain: Domain) -> _Node:
        """Add a fresh leaf. Sometimes it has the numbers of another leaf, and an engine must not confuse the two."""
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
        # Nonfinite bases need the exponents that have rules of their own.
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
        """Build a program whose last step NumPy refuses."""
        if op.refuses is None:
            raise Unsuited
        slot = self.source.integer(0, op.refuses.slots - 1)
        base = self._base(op, slot)
        shapes, options = op.refuses.draw(self.source, base.value.shape, slot)
        inputs = [base if i == slot else self._leaf(shape, op.domain(i)) for i, shape in enumerate(shapes)]
        return _to_program(_Node(np.zeros(0), op=op.name, inputs=tuple(inputs), options=options), None, ())

    def _finish(self, node: _Node | None) -> Program:
        leaves = _leaves(node) if node else []
        if node is None or not leaves:
            raise Unsuited
        cotangent = self._cotangent(node.value)
        directions: tuple[np.ndarray, ...] = ()
        if self.manner == ORDINARY and chance(self.source, 45):
            directions = tuple(self._data(n.value.shape, REAL, n.value.dtype) for n in leaves)
        return _to_program(node, cotangent, directions)

    def _cotangent(self, value: np.ndarray) -> np.ndarray:
        """Draw a cotangent of random numbers, sometimes scaled to be tiny or huge."""
        scale = pick(self.source, [1.0] * 18 + [2.0**-30, 2.0**20])
        numbers = [number * scale for number in picks(self.source, REAL.numbers, value.size)]
        return np.array(numbers, value.dtype).reshape(value.shape)


def _ancestors(root: _Node) -> list[_Node]:
    """The nodes that a result depends on: operands first, and each step after its inputs."""
    found: dict[_Node, None] = {}  # ordered
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
    return [n for n in _ancestors(root) if n.operand is not None and n.operand.kind == LEAF]


def _broadcasts(a: Shape, b: Shape) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


def _to_program(root: _Node, cotangent: np.ndarray | None, directions: tuple[np.ndarray, ...]) -> Program:
    """Give the program that ends in a node. Operands get their names in the order in which they are needed."""
    nodes = _ancestors(root)
    places = {node: place for place, node in enumerate(nodes)}
    names = operand_names()
    operands = tuple(
        Operand(next(names), n.operand.data, n.operand.kind, n.operand.layout) for n in nodes if n.operand is not None
    )
    steps = tuple(Step(n.op, tuple(places[i] for i in n.inputs), n.options) for n in nodes if n.operand is None)
    return Program(operands, steps, cotangent, directions)
