"""Draws an op on a session's values: the op, its operands, its options and its spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.checks.sessions.drawing import Shape, numbers, pick_usable, require_small, usable
from reference.checks.sessions.pairs import Pair
from reference.checks.sessions.session import Session
from reference.checks.sessions.spelling import format_index
from reference.checks.sessions.state import Computed
from reference.engines import Noise
from reference.ops import OPS, Domain, Op
from reference.ops.source import Source, Unsuited, chance, pick

MOST = 48  # the largest size of a result, so that a session stays short enough to read
_TRIES = 8  # how often an op is drawn before giving up, if none suits the values


@dataclass(frozen=True)
class _Operand:
    """An operand: a value, an array that will get a name, or a literal.

    Args:
        theirs: the reference's value, or a Python number, which takes the dtype of the other operands.
        text: how it is written; an array has no text until it has a name.
        pair: the value, if it is one.
    """

    theirs: Any
    text: str = ""
    pair: Pair | None = None


@dataclass
class Expression:
    """An op on operands, not yet applied.

    Args:
        op: the op.
        way: the template of its spelling.
        operands: its operands, of which at least one is a value.
        options: its options.
    """

    op: Op
    way: str
    operands: list[_Operand]
    options: dict[str, Any]

    @property
    def pairs(self) -> list[Pair]:
        """The values among the operands."""
        return [o.pair for o in self.operands if o.pair is not None]

    @property
    def theirs(self) -> list[Any]:
        """The operands in the reference."""
        return [o.theirs for o in self.operands]

    def compute(self, session: Session, *, recorded: bool = True) -> Any:
        """Apply the op in the reference.

        Raises:
            Unsuited: the operands do not fit each other, or the result is too large.
        """
        try:
            y = session.reference.apply(self.op.name, self.theirs, self.options, recorded=recorded)
        except ValueError:
            raise Unsuited from None
        array = session.reference.data(y)
        if not 0 < array.size <= MOST:
            raise Unsuited
        require_small(array)
        return y

    def written(self, session: Session) -> str:
        """Assign arrays among operands and options to the user's names, and write the op with these names."""
        reference = session.reference
        texts = [o.text or session.users_array(reference.data(o.theirs), o.theirs) for o in self.operands]
        options = {name: _option(session, name, x) for name, x in self.options.items()}
        by_name = ", ".join(f"{name}={text}" for name, text in options.items())
        return self.way.format(*texts, operands=", ".join(texts), **{"options": by_name, **options})


def _option(session: Session, name: str, x: Any) -> str:
    if name == "index":
        arrays = {i: session.users_array(entry) for i, entry in enumerate(x) if isinstance(entry, np.ndarray)}
        return session.lines.index.format(format_index(x, arrays))
    return session.users_array(x) if isinstance(x, np.ndarray) else repr(x)


def draw_expression(session: Session, source: Source, base: Pair | None = None) -> Expression:
    """Draw an op on an existing value or on the given one, with its other operands and its options."""
    op = OPS[next(source.among(session.tickets)).partition(" ")[0]]
    slot = source.integer(0, op.inputs.slots - 1)
    base = base or pick_usable(session, source, op.domain(slot))
    _require_domain(op.domain(slot), base)
    shapes, options = op.inputs.draw(source, base.numbers.shape, slot)
    if any(0 in shape for shape in shapes):
        raise Unsuited
    operands = [
        _as_operand(base) if i == slot else _other(session, source, shape, op.domain(i))
        for i, shape in enumerate(shapes)
    ]
    return Expression(op, pick(source, _ways(session, op, operands)), operands, options)


def _ways(session: Session, op: Op, operands: Sequence[_Operand]) -> Sequence[str]:
    """Return the ways to write the op. If the first operand is not a value, it has no methods to call."""
    ways = session.speaker.ways(op)
    return ways if operands[0].pair is not None else [way for way in ways if not way.startswith("{0}.")]


def _as_operand(pair: Pair) -> _Operand:
    return _Operand(pair.theirs, pair.name, pair)


def _require_domain(domain: Domain, pair: Pair) -> None:
    if not domain.holds(pair.numbers):
        raise Unsuited


def _other(session: Session, source: Source, shape: Shape, domain: Domain) -> _Operand:
    """Draw another operand: a value, an array, a list, a Python number or a NumPy scalar."""
    if chance(source, 60):  # of any shape: applying the op will tell whether it fits the others
        pair = pick(source, usable(session))
        _require_domain(domain, pair)
        return _as_operand(pair)
    manner = pick(source, session.lines.arrays if shape else session.lines.scalars)
    array = numbers(source, shape, "float32" if manner == "float32" else "float64", domain)
    if manner in ("whole", "int"):
        array = np.where(array == 0, 1, np.sign(array) * np.ceil(np.abs(array))).astype(np.int64)
    text = {"array": "", "whole": "", "float32": "", "np.float64": f"np.float64({array.tolist()!r})"}
    theirs = array.item() if manner in ("number", "int") else session.reference.leaf(array, wanted=False)
    return _Operand(theirs, text.get(manner, repr(array.tolist())))


def apply_random_op(
    session: Session, source: Source, base: Pair | None = None, form: str = "{line}", *, recorded: bool = True
) -> Pair:
    """Draw an op and apply it on both sides, possibly in a mode.

    Args:
        session: the session.
        source: the source of the choices.
        base: a value that the op is applied to; by default any usable one.
        form: a template around the line: `{line}`, or `{name}` and `{expression}`.
        recorded: whether the result joins the graph.
    """
    for _ in range(_TRIES):
        try:
            expression = draw_expression(session, source, base)
            y = expression.compute(session, recorded=recorded)
        except Unsuited:
            continue
        return _apply(session, expression, y, form)
    raise Unsuited


def _apply(session: Session, expression: Expression, y: Any, form: str) -> Pair:
    """Apply an expression in the engine, after the reference has computed `y` from it."""
    text = expression.written(session)
    name = session.letter()
    session.do(form.format(name=name, expression=text, line=f"{name} = {text}"))
    pair = session.pair(name, y, expression.pairs)
    part, op, options = pair.value_name, expression.op.name, expression.options

    def again(noise: Noise) -> dict[str, np.ndarray]:
        return {part: session.reference.applied(op, expression.theirs, options, noise)}

    session.computed = Computed(again, frozenset({part}), pair.single)
    return pair
