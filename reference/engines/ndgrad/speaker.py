"""ndgrad's interface for sessions: lines as its users write them, and how to read its Values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ndgrad import Value, check_writes
from reference.engines.lines import Lines
from reference.engines.ndgrad.spelling import HEADER, LINES, namespace, ways
from reference.engines.speaker import Speaker
from reference.engines.stateful import State
from reference.ops import OPS, Op

_PROBE = Value(1.0)
_NAMES = namespace()


class NdgradSpeaker(Speaker):
    """The interface of ndgrad as installed. It declares support for its lines, and tells more than other engines."""

    declares = True
    shows_inner = True
    adds_exactly = True
    none_or_zeros = False
    refuses = RuntimeError
    header = HEADER
    lines: Lines = LINES

    @property
    def ops(self) -> Sequence[str]:
        """All ops of the table."""
        return tuple(OPS)

    def ways(self, op: Op) -> tuple[str, ...]:
        """Return the ways to write an op: as a method, an operator, or a function of NumPy or ndgrad."""
        return ways(op)

    def space(self) -> dict[str, Any]:
        """Return the names that every session imports."""
        return dict(_NAMES)

    def is_value(self, x: Any) -> bool:
        """Whether an object is a Value."""
        return isinstance(x, Value)

    def data(self, value: Any) -> np.ndarray:
        """Return its numbers without copying."""
        numbers: np.ndarray = value.data
        return numbers

    def gradient(self, value: Any) -> np.ndarray | None:
        """Return its gradient without copying."""
        return value.grad if value.has_grad else None

    def wants(self, value: Any) -> bool:
        """Whether it requires a gradient."""
        wanted: bool = value.requires_grad
        return wanted

    def remembers(self, value: Any) -> bool:
        """Whether it has operands in `_prev`, which learners and `draw_dot` read."""
        return bool(value._prev)  # noqa: SLF001 - read by users, too

    def is_recording(self) -> bool:
        """Whether results join the graph, both in the current mode and within `check_writes`, which must not matter."""
        with check_writes():
            within = (_PROBE * 1.0).requires_grad
        return within and (_PROBE * 1.0).requires_grad

    def may_write(self, value: Any, *, is_result: bool) -> bool:
        """Whether its numbers are writeable."""
        del is_result
        return bool(value.data.flags.writeable)

    def may_assign(self, *, is_result: bool) -> bool:
        """Whether its numbers can be assigned: always."""
        del is_result
        return True

    def owns(self, data: np.ndarray, *, is_result: bool) -> bool:
        """Whether an array is writeable. Views and gradients of inner values may share memory, but are read-only."""
        del is_result
        return data.flags.writeable

    def moved(self, optimizer: Any) -> Sequence[Any]:
        """Return the optimizer's parameters."""
        parameters: Sequence[Any] = optimizer.params
        return parameters

    def states(self, optimizer: Any) -> Sequence[State]:
        """Return the optimizer's state of each parameter."""
        states: Sequence[State] = optimizer.state
        return states
