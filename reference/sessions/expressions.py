"""Draws an op on what a session has: which one, on what, with what options, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from reference.engines.torch import KNOWN, Disturbance, mirror
from reference.ops import OPS, Domain, Op
from reference.sessions.drawing import Shape, any_usable, numbers, only_small, usable
from reference.sessions.mirror import Pair, Tensor
from reference.sessions.session import Session
from reference.sessions.spelling import ways, written_index
from reference.sessions.state import Computed
from reference.source import Source, Unsuited, chance, pick

MOST = 48  # numbers of a result: a session stays short enough to read
_TRIES = 8  # how often an op is drawn anew until one is suited to what there is


@dataclass(frozen=True)
class _Operand:
    """What an op is applied to: a Value, an array that is given a name, or what is written as it is.

    Args:
        tensor: PyTorch's.
        text: how it is written; an array has no text until it has a name.
        pair: the Value, if it is one.
        weak: whether it is a Python number, which takes the dtype of what it meets.
    """

    tensor: Tensor
    text: str = ""
    pair: Pair | None = None
    weak: bool = False


@dataclass
class Expression:
    """An op on operands, not yet applied.

    Args:
        op: the op.
        way: how it is written.
        operands: what it is applied to; at least one is a Value.
        options: its options.
    """

    op: Op
    way: str
    operands: list[_Operand]
    options: dict[str, Any]

    @property
    def pairs(self) -> list[Pair]:
        """The Values among the operands."""
        return [o.pair for o in self.operands if o.pair is not None]

    def _tensors(self) -> list[Tensor]:
        """The operands in the dtype that they meet in: whole numbers and Python's numbers take that of the floats."""
        strong = [o.tensor.dtype for o in self.operands if o.tensor.is_floating_point() and not o.weak]
        dtype = max(strong, key=lambda d: d.itemsize)
        return [o.tensor.to(dtype) for o in self.operands]

    def compute(self, session: Session, *, recorded: bool = True) -> Tensor:
        """Apply it in PyTorch.

        Raises:
            Unsuited: the operands do not fit each other; or the result is too large to go on from.
        """
        try:
            with torch.set_grad_enabled(recorded):
                logarithms = self.op.logarithmic
                y = session.graph.record(mirror(self.op), self._tensors(), self.options, logarithms=logarithms)
        except (RuntimeError, ValueError, IndexError):
            raise Unsuited from None
        if not 0 < y.numel() <= MOST:
            raise Unsuited
        only_small(y.detach())
        return y

    def again(self, disturbance: Disturbance) -> np.ndarray:
        """The result from disturbed operands."""
        with torch.no_grad():
            disturbed = [disturbance.on(x, logarithms=self.op.logarithmic) for x in self._tensors()]
            y = mirror(self.op)(*disturbed, **self.options)
            result: np.ndarray = y.numpy()
            return result

    def written(self, session: Session) -> str:
        """Give arrays among operands and options to the user, and write the op with their names."""
        texts = [o.text or session.hand(o.tensor.numpy(), o.tensor) for o in self.operands]
        options = {name: _option(session, name, x) for name, x in self.options.items()}
        by_name = ", ".join(f"{name}={text}" for name, text in options.items())
        return self.way.format(*texts, operands=", ".join(texts), **{"options": by_name, **options})


def _option(session: Session, name: str, x: Any) -> str:
    if name == "index":
        arrays = {i: session.hand(entry) for i, entry in enumerate(x) if isinstance(entry, np.ndarray)}
        return written_index(x, arrays)
    return session.hand(x) if isinstance(x, np.ndarray) else repr(x)


def draw_expression(session: Session, source: Source, base: Pair | None = None) -> Expression:
    """Draw an op on a Value that is there, or on a given one, and on what else it takes."""
    op = OPS[next(source.among(_tickets(tuple(OPS)))).partition(" ")[0]]
    slot = source.integer(0, op.inputs.slots - 1)
    base = base or any_usable(session, source, op.domain(slot))
    _only_in(op.domain(slot), base)
    shapes, options = op.inputs.draw(source, tuple(base.tensor.shape), slot)
    if any(0 in shape for shape in shapes):
        raise Unsuited
    operands = [
        _of(base) if i == slot else _other(session, source, shape, op.domain(i)) for i, shape in enumerate(shapes)
    ]
    return Expression(op, pick(source, _ways(op, operands)), operands, options)


@cache
def _tickets(ops: tuple[str, ...]) -> tuple[str, ...]:
    """A name for each way to write each op, and for each place for a value in it.

    But for those that PyTorch is known to be poor in: no witness is asked in a session, so it must be right.
    """
    judged = [OPS[op] for op in ops if op not in KNOWN]
    return tuple(f"{op.name} {i}" for op in judged for i in range(len(ways(op)) * op.inputs.slots))


def _ways(op: Op, operands: Sequence[_Operand]) -> Sequence[str]:
    """The ways to write it. Beside a list or a number only the operators and functions of arrays will do."""
    return ways(op) if operands[0].pair is not None else [w for w in ways(op) if not w.startswith("{0}.")]


def _of(pair: Pair) -> _Operand:
    return _Operand(pair.tensor, pair.name, pair)


def _only_in(domain: Domain, pair: Pair) -> None:
    if not domain.holds(pair.tensor.detach().numpy()):
        raise Unsuited


def _other(session: Session, source: Source, shape: Shape, domain: Domain) -> _Operand:
    """Another operand: a Value of this shape, an array, a list, a Python number or one of NumPy's."""
    if chance(source, 60):  # of any shape: whether it fits the others, applying the op will tell
        pair = pick(source, usable(session))
        _only_in(domain, pair)
        return _of(pair)
    manner = pick(source, ["array", "list", "whole", "float32"] if shape else ["number", "np.float64", "int", "array"])
    array = numbers(source, shape, "float32" if manner == "float32" else "float64", domain)
    if manner in ("whole", "int"):
        array = np.where(array == 0, 1, np.sign(array) * np.ceil(np.abs(array))).astype(np.int64)
    text = {"array": "", "whole": "", "float32": "", "np.float64": f"np.float64({array.tolist()!r})"}
    return _Operand(torch.tensor(array), text.get(manner, repr(array.tolist())), weak=manner in ("number", "int"))


def made(
    session: Session, source: Source, base: Pair | None = None, form: str = "{line}", *, recorded: bool = True
) -> Pair:
    """Draw an op, and apply it on both sides, in a mode or in none.

    Args:
        session: what it is made in.
        source: where the choices come from.
        base: what it is applied to; anything that is there by default.
        form: what the line stands in: `{line}`, or `{name}` and `{expression}`.
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


def _apply(session: Session, expression: Expression, y: Tensor, form: str) -> Pair:
    """Do in ndgrad what PyTorch has done."""
    text = expression.written(session)
    name = session.letter()
    session.do(form.format(name=name, expression=text, line=f"{name} = {text}"))
    pair = session.pair(name, y, expression.pairs)
    part = pair.value_name
    session.computed = Computed(
        lambda disturbance: {part: expression.again(disturbance)}, frozenset({part}), pair.single
    )
    return pair
