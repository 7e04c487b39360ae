"""Generic faults: what can go wrong in any pullback, derived for every row of the op table.

None is written by hand, so a new row has its own. Facts about a pullback decide which faults apply to it: what it
reads, how many operands there are, and what it returns for shapes and options that its row draws. A fault that could
not change any program is left out. Programs are drawn elsewhere, without knowledge of the faults.
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
_LARGEST = 10_000  # the largest size of a cotangent
_CALLS = 60  # calls of an op from which the facts are taken
_NEAR = 1e-7  # how far operands are moved to see whether a pullback's result depends on them

Right = Callable[..., Any]


# The faults. Each wraps the right pullback.


def _transposed(right: Right) -> Right:
    """Swap the last two axes if they have equal length, so that the shape is right."""

    def pullback(*args: Any, **options: Any) -> Any:
        h = right(*args, **options)
        return h.mT if h.ndim > 1 and h.shape[-1] == h.shape[-2] else h

    return pullback


def _unsummed(slot: int) -> Change:
    """Use only the first copy of a broadcast operand, as if nothing had to be summed."""

    def change(right: Right) -> Right:
        def pullback(g: Any, y: Any, *operands: Any, **options: Any) -> Any:
            h, shape = right(g, y, *operands, **options), np.shape(plain(operands[slot]))
            h = h[(0,) * (h.ndim - len(shape))]
            return h[tuple(slice(1) if n == 1 else slice(None) for n in shape)]

        return pullback

    return change


def _swapped(slot: int) -> Change:
    """Swap the operand with its neighbour if they have equal shape."""

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
    """Give an operand of many the gradient of its mirror position if both have equal shape."""

    def pullback(g: Any, y: Any, *operands: Any, position: int, **options: Any) -> Any:
        other = len(operands) - 1 - position
        alike = np.shape(plain(operands[other])) == np.shape(plain(operands[position]))
        return right(g, y, *operands, position=other if alike else position, **options)

    return pullback


def _detached(right: Right) -> Right:
    """Treat the operands, the result and the residual as constants, but not the cotangent."""

    def pullback(g: Any, *rest: Any, **options: Any) -> Any:
        constants = {name: _plain(option) for name, option in options.items()}
        return right(g, *map(plain, rest), **constants)

    return pullback


def _plain(option: Any) -> Any:
    return tuple(map(plain, option)) if isinstance(option, tuple) else plain(option)


def _unrecorded(right: Right) -> Right:
    """Treat the cotangent as a constant, so that nothing is left to differentiate."""
    return lambda g, *rest, **options: right(plain(g), *rest, **options)


def _times(factor: float) -> Change:
    return lambda right: lambda *args, **options: right(*args, **options) * factor


def _aliased(right: Right) -> Right:
    """Write the gradient into the cotangent, which others may still use."""

    def pullback(g: Any, *rest: Any, **options: Any) -> Any:
        h = right(g, *rest, **options)
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
        near: calls the same op on operands nearby.
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
    """The facts about a pullback.

    Args:
        slot: the operand that it is for.
        pullback: the pullback.
        variadic: whether it takes the position among any number of operands; here the first.
        calls: calls of the op.
    """

    slot: int
    pullback: Right
    variadic: bool
    calls: Sequence[_Call]

    @property
    def right(self) -> Right:
        """The pullback for this slot."""
        return self._at_slot(self.pullback)

    def _at_slot(self, pullback: Right) -> Right:
        return partial(pullback, position=self.slot) if self.variadic else pullback

    def broadcasts(self) -> bool:
        """Whether it leaves broadcast axes for the engine to sum."""
        return any(call.of(self.right).shape != np.shape(call.operands[self.slot]) for call in self.calls)

    def moves(self) -> bool:
        """Whether it changes the cotangent's shape and returns square matrices."""
        results = [(call.of(self.right), call.g.shape) for call in self.calls]
        square = any(h.ndim > 1 and h.shape[-1] == h.shape[-2] > 1 for h, _ in results)
        return square and any(h.shape != shape for h, shape in results)

    def curves(self) -> bool:
        """Whether it depends on the numbers, so that the op has a nonzero second derivative."""
        return any(not np.array_equal(call.of(self.right), call.near().of(self.right)) for call in self.calls)

    def writes(self) -> bool:
        """Whether it returns numbers other than the cotangent's, but of its shape."""
        both = [(call.of(self.right), call.g) for call in self.calls]
        return any(h.shape == g.shape and not np.array_equal(h, g) for h, g in both)

    def chooses(self, change: Change) -> bool:
        """Whether its result changes if operands are swapped."""
        wrong = self._at_slot(change(self.pullback))
        return any(len(call.operands) > 1 and call.tells(wrong, self.right) for call in self.calls)


def _facts(op: Op, slot: int) -> _Facts:
    rule = RULES[op.name]
    pullback = rule.pullbacks[slot]
    assert pullback is not None  # noqa: S101 - a slot without a pullback has no faults
    return _Facts(slot, pullback, rule.variadic, _calls(op))


@cache
def _calls(op: Op) -> tuple[_Call, ...]:
    """Draw calls of an op, with shapes and options of its row."""
    return tuple(call for number in range(_CALLS) if (call := _draw_call(op, number)) is not None)


def _draw_call(op: Op, number: int) -> _Call | None:
    source, numbers = Seeded("facts", op.name, number), np.random.default_rng(number)
    try:
        shapes, options = op.inputs.draw(source, pick(source, _SHAPES), source.integer(0, op.inputs.slots - 1))
    except Unsuited:
        return None
    operands = [_general(op, i, shape, numbers) for i, shape in enumerate(shapes)]
    cotangents = numbers.uniform(1, 2, _LARGEST)
    return _call(op, operands, options, cotangents)


def _general(op: Op, position: int, shape: tuple[int, ...], numbers: np.random.Generator) -> np.ndarray:
    """Draw distinct numbers of the operand's domain, none at a kink."""
    few = np.array(op.domain(position).numbers)
    return np.asarray(numbers.choice(few[few != 0], shape) + numbers.uniform(0.001, 0.03, shape))


def _call(op: Op, operands: Sequence[np.ndarray], options: Any, cotangents: np.ndarray) -> _Call:
    with np.errstate(all="ignore"):
        y = NdgradEngine().functions[op.name](*map(Value, operands), **options)
    return _Call(
        np.resize(cotangents, y.shape),
        y.data,
        tuple(x.data for x in y._operands),
        y._options,
        lambda: _call(op, [x * (1 + _NEAR) for x in operands], options, cotangents),
    )


# The list.


def _faults_of(op: Op, slot: int) -> Iterator[Fault]:
    """Yield the faults of one pullback."""
    facts, variadic = _facts(op, slot), RULES[op.name].variadic
    exchanged = _other_position if variadic else _swapped(slot)
    to = "the gradient" if len(RULES[op.name].pullbacks) == 1 else f"the gradient of operand {slot}"

    def fault(kind: str, what: str, change: Change) -> Fault:
        name = f"{op.name.replace('_', '-')}-{slot}-{kind}"
        return Fault(name, what, "ours", (op.name,), around(op.name, slot, change))

    yield fault("factor", f"{to} is too large by a ten-millionth", _times(1 + 1e-7))
    yield fault("sign", f"{to} has the wrong sign", _times(-1.0))
    if not variadic and facts.broadcasts():
        yield fault("unsummed", f"{to} is not summed over the broadcast axes", _unsummed(slot))
    if facts.moves():
        yield fault("transposed", f"{to} is transposed if it is square", _transposed)
    if facts.chooses(exchanged):
        yield fault("swapped", f"{to} is that of another operand, if both have equal shape", exchanged)
    if facts.curves():
        yield fault("detached", f"second order: {to} treats all but the cotangent as constant", _detached)
    else:
        yield fault("detached", f"second order: {to} treats the cotangent as constant", _unrecorded)
    if facts.writes():
        yield fault("aliased", f"{to} is written into the cotangent", _aliased)


@cache
def generic() -> tuple[Fault, ...]:
    """Return the generic faults of every pullback of every row."""
    return tuple(
        fault
        for op in OPS.values()
        for slot, pullback in enumerate(RULES[op.name].pullbacks)
        if pullback is not None
        for fault in _faults_of(op, slot)
    )


def third(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Select a third of the faults by a hash of their names, so that a new fault does not change the selection."""
    return (fault for fault in faults if int.from_bytes(blake2b(fault.name.encode(), digest_size=8).digest()) % 3 == 0)
