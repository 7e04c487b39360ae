"""ndgrad in a session: lines as its users write them, and what is read of its Values."""

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
    """ndgrad as it is installed. It promises all that its lines need, and shows more of itself than others do."""

    declares = True
    shows_inner = True
    adds_exactly = True
    none_or_zeros = False
    refuses = RuntimeError
    header = HEADER
    lines: Lines = LINES

    @property
    def ops(self) -> Sequence[str]:
        """All of the table."""
        return tuple(OPS)

    def ways(self, op: Op) -> tuple[str, ...]:
        """How an op may be written: as a method, an operator, or a function of NumPy or ndgrad."""
        return ways(op)

    def space(self) -> dict[str, Any]:
        """The names that every session imports."""
        return dict(_NAMES)

    def is_value(self, x: Any) -> bool:
        """Whether an object is a Value."""
        return isinstance(x, Value)

    def data(self, value: Any) -> np.ndarray:
        """Give its numbers, the very array."""
        numbers: np.ndarray = value.data
        return numbers

    def gradient(self, value: Any) -> np.ndarray | None:
        """Give its gradient, the very array."""
        return value.grad if value.has_grad else None

    def wants(self, value: Any) -> bool:
        """Whether it requires a gradient."""
        wanted: bool = value.requires_grad
        return wanted

    def remembers(self, value: Any) -> bool:
        """Whether it has operands, as learners and `draw_dot` read them."""
        return bool(value._prev)  # noqa: SLF001 - what they read

    def is_recording(self) -> bool:
        """Whether results join the graph: as things are, and under a mode that has no say in it."""
        with check_writes():
            under_another = (_PROBE * 1.0).requires_grad
        return under_another and (_PROBE * 1.0).requires_grad

    def may_write(self, value: Any, *, is_result: bool) -> bool:
        """Whether its numbers are writeable."""
        del is_result
        return bool(value.data.flags.writeable)

    def may_assign(self, *, is_result: bool) -> bool:
        """Whether they can be assigned: always."""
        del is_result
        return True

    def owns(self, data: np.ndarray, *, is_result: bool) -> bool:
        """Whether an array is writeable. Views, and gradients inside the graph, may share memory, but are read-only."""
        del is_result
        return data.flags.writeable

    def moved(self, optimizer: Any) -> Sequence[Any]:
        """Give the optimizer's parameters."""
        parameters: Sequence[Any] = optimizer.params
        return parameters

    def states(self, optimizer: Any) -> Sequence[State]:
        """Give its state of each parameter."""
        states: Sequence[State] = optimizer.state
        return states
