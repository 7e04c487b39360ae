"""Generic faults: what can go wrong in any pullback, for every row of the op table.

They are derived, and none is written by hand: a row that is new has its own. Which of them make sense for a pullback is
decided by facts: what it reads, how many operands there are, and what it gives for shapes and options that its row draws.
A fault that could change nothing on any program is none. Its programs are drawn elsewhere, and do not know of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.rules import RULES
from reference.engines.ndgrad import NdgradEngine
from reference.mutation.planting import Change, Fault, around, plain
from reference.ops import OPS, Op
from reference.ops.source import Seeded, Unsuited, pick

_SHAPES = ((2, 2), (2, 1), (1, 2, 2), (3,), (2, 3), (2, 2, 2), (1,), ())
_LARGEST = 10_000  # numbers that a cotangent has at the most
_DRAWN = 60  # calls of an op that are looked at
_NEAR = 1e-7  # how far operands are moved to see whether a pullback's result depends on them

Right = Callable[..., Any]


# The faults. Each is made of the right pullback.


def _transposed(right: Right) -> Right:
    """The last two axes are exchanged where they are of one length, so that the shape is right."""

    def pullback(*args: Any, **options: Any) -> Any:
        h = right(*args, **options)
        return h.mT if h.ndim > 1 and h.shape[-1] == h.shape[-2] else h

    return pullback


def _unsummed(slot: int) -> Change:
    """Of the copies of an operand that was broadcast the first counts, as if nothing had to be summed."""

    def change(right: Right) -> Right:
        def pullback(g: Any, y: Any, *operands: Any, **options: Any) -> Any:
            h, shape = right(g, y, *operands, **options), np.shape(plain(operands[slot]))
            h = h[(0,) * (h.ndim - len(shape))]
            return h[tuple(slice(1) if n == 1 else slice(None) for n in shape)]

        return pullback

    return change


def _swapped(slot: int) -> Change:
    """The operand and its neighbour are exchanged, where they have one shape."""

    def change(right: Right) -> Right:
        def pullback(g: Any, y: Any, *operands: Any, **options: Any) -> Any:
            return right(g, y, *_exchanged(operands, slot), **options)

        return pullback

    return change


def _exchanged(operands: tuple[Any, ...], slot: int) -> tuple[Any, ...]:
    other = (slot + 1) % len(operands)
    changed = list(operands)
    if np.shape(plain(operands[slot])) == np.shape(plain(operands[other])):
        changed[slot], changed[other] = operands[other], operands[slot]
    return tuple(changed)


def _other_position(right: Right) -> Right:
    """An operand of many gets what is for the last but its number, where they have one shape."""

    def pullback(g: Any, y: Any, *operands: Any, position: int, **options: Any) -> Any:
        other = len(operands) - 1 - position
        alike = np.shape(plain(operands[other])) == np.shape(plain(operands[position]))
        return right(g, y, *operands, position=other if alike else position, **options)

    return pullback


def _detached(right: Right) -> Right:
    """The operands, the result and what was kept are taken for constants. The cotangent is not."""

    def pullback(g: Any, *given: Any, **options: Any) -> Any:
        constants = {name: _plain(option) for name, option in options.items()}
        return right(g, *map(plain, given), **constants)

    return pullback


def _plain(option: Any) -> Any:
    return tuple(map(plain, option)) if isinstance(option, tuple) else plain(option)


def _unrecorded(right: Right) -> Right:
    """The cotangent is taken for a constant, and so there is nothing left to differentiate."""
    return lambda g, *given, **options: right(plain(g), *given, **options)


def _times(factor: float) -> Change:
    return lambda right: lambda *args, **options: right(*args, **options) * factor


def _aliased(right: Right) -> Right:
    """The gradient is written over the cotangent, which may be on its way elsewhere."""

    def pullback(g: Any, *given: Any, **options: Any) -> Any:
        h = right(g, *given, **options)
        if not isinstance(g, np.ndarray) or not g.flags.writeable or (h.shape, h.dtype) != (g.shape, g.dtype):
            return h
        np.copyto(g, h)
        return g

    return pullback


# The facts.


@dataclass(frozen=True)
class _Call:
    """A call of an op, with numbers in general position, and what its pullbacks are given.

    Args:
        g: a cotangent.
        y: the result.
        operands: all of them, as arrays.
        options: those that the rule has bound, and what its forward kept.
        near: how the same op is called on operands nearby, if it has not been already.
    """

    g: np.ndarray
    y: np.ndarray
    operands: tuple[Any, ...]
    options: Mapping[str, Any]
    near: Callable[[], _Call]

    def of(self, pullback: Right) -> np.ndarray:
        """What a pullback makes of it."""
        with np.errstate(all="ignore"):
            return np.asarray(pullback(self.g, self.y, *self.operands, **self.options))

    def tells(self, wrong: Right, right: Right) -> bool:
        """Whether a wrong pullback gives other numbers than the right one."""
        return not np.array_equal(self.of(wrong), self.of(right), equal_nan=True)


@dataclass(frozen=True)
class _Facts:
    """What is known of a pullback.

    Args:
        slot: which operand it is for.
        pullback: itself.
        variadic: whether it is told for which of any number of operands it is; here for the first.
        calls: calls of the op.
    """

    slot: int
    pullback: Right
    variadic: bool
    calls: Sequence[_Call]

    @property
    def right(self) -> Right:
        """The pullback to this slot."""
        return self._told(self.pullback)

    def _told(self, pullback: Right) -> Right:
        return partial(pullback, position=self.slot) if self.variadic else pullback

    def broadcasts(self) -> bool:
        """It leaves broadcasting in, which the engine sums out."""
        return any(call.of(self.right).shape != np.shape(call.operands[self.slot]) for call in self.calls)

    def moves(self) -> bool:
        """It does more to the cotangent than to change each number where it stands, and gives matrices."""
        results = [(call.of(self.right), call.g.shape) for call in self.calls]
        square = any(h.ndim > 1 and h.shape[-1] == h.shape[-2] > 1 for h, _ in results)
        return square and any(h.shape != shape for h, shape in results)

    def curves(self) -> bool:
        """It depends on the numbers, and so the op has a second derivative other than 0."""
        return any(not np.array_equal(call.of(self.right), call.near().of(self.right)) for call in self.calls)

    def writes(self) -> bool:
        """It gives another array than the cotangent, though of the cotangent's shape."""
        both = [(call.of(self.right), call.g) for call in self.calls]
        return any(h.shape == g.shape and not np.array_equal(h, g) for h, g in both)

    def chooses(self, change: Change) -> bool:
        """It gives something else if its operands are exchanged."""
        wrong = self._told(change(self.pullback))
        return any(len(call.operands) > 1 and call.tells(wrong, self.right) for call in self.calls)


def _facts(op: Op, slot: int) -> _Facts:
    rule = RULES[op.name]
    pullback = rule.pullbacks[slot]
    assert pullback is not None  # noqa: S101 - who has none is not asked for
    return _Facts(slot, pullback, rule.variadic, _calls(op))


@cache
def _calls(op: Op) -> tuple[_Call, ...]:
    """Calls of an op, with shapes and options that its row draws."""
    return tuple(call for number in range(_DRAWN) if (call := _drawn(op, number)) is not None)


def _drawn(op: Op, number: int) -> _Call | None:
    source, numbers = Seeded("facts", op.name, number), np.random.default_rng(number)
    try:
        shapes, options = op.inputs.draw(source, pick(source, _SHAPES), source.integer(0, op.inputs.slots - 1))
    except Unsuited:
        return None
    operands = [_general(op, i, shape, numbers) for i, shape in enumerate(shapes)]
    cotangents = numbers.uniform(1, 2, _LARGEST)
    return _called(op, operands, options, cotangents)


def _general(op: Op, position: int, shape: tuple[int, ...], numbers: np.random.Generator) -> np.ndarray:
    """Numbers of the operand's domain, no two of them alike, and none at a kink."""
    few = np.array(op.domain(position).numbers)
    return np.asarray(numbers.choice(few[few != 0], shape) + numbers.uniform(0.001, 0.03, shape))


def _called(op: Op, operands: Sequence[np.ndarray], options: Any, cotangents: np.ndarray) -> _Call:
    with np.errstate(all="ignore"):
        y = NdgradEngine().functions[op.name](*map(Value, operands), **options)
    return _Call(
        np.resize(cotangents, y.shape),
        y.data,
        tuple(x.data for x in y._operands),
        y._options,
        lambda: _called(op, [x * (1 + _NEAR) for x in operands], options, cotangents),
    )


# Which there are.


def _of(op: Op, slot: int) -> Iterator[Fault]:
    """The faults of one pullback."""
    facts, variadic = _facts(op, slot), RULES[op.name].variadic
    exchanged = _other_position if variadic else _swapped(slot)
    to = "the gradient" if len(RULES[op.name].pullbacks) == 1 else f"the gradient of operand {slot}"

    def fault(kind: str, what: str, change: Change) -> Fault:
        name = f"{op.name.replace('_', '-')}-{slot}-{kind}"
        return Fault(name, what, "ours", (op.name,), around(op.name, slot, change))

    yield fault("factor", f"{to} is too large by a ten-millionth", _times(1 + 1e-7))
    yield fault("sign", f"{to} has the wrong sign", _times(-1.0))
    if not variadic and facts.broadcasts():
        yield fault(
            "unsummed", f"{to} is not summed over the axes along which the operand was repeated", _unsummed(slot)
        )
    if facts.moves():
        yield fault("transposed", f"{to} is transposed where it is square", _transposed)
    if facts.chooses(exchanged):
        yield fault("swapped", f"{to} is that of another operand, where both have one shape", exchanged)
    if facts.curves():
        yield fault("detached", f"second order: for {to} all but the cotangent is taken for constant", _detached)
    else:
        yield fault("detached", f"second order: for {to} the cotangent is taken for constant", _unrecorded)
    if facts.writes():
        yield fault("aliased", f"{to} is written over the cotangent", _aliased)


@cache
def generic() -> tuple[Fault, ...]:
    """All generic faults: of every row, of each of its pullbacks."""
    return tuple(
        fault
        for op in OPS.values()
        for slot, pullback in enumerate(RULES[op.name].pullbacks)
        if pullback is not None
        for fault in _of(op, slot)
    )


def third(faults: Iterable[Fault]) -> Iterator[Fault]:
    """A third of some faults, by a hash of their names: of a fault that is new, the others do not hear."""
    return (fault for fault in faults if int.from_bytes(blake2b(fault.name.encode(), digest_size=8).digest()) % 3 == 0)
