"""A session's state: the namespace of its lines, the reference's values, and the user's arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference.checks.sessions.pairs import OptimizerPair, Pair
from reference.engines import Noise
from reference.engines.raised import Place
from reference.engines.speaker import Speaker
from reference.engines.stateful import StatefulReference
from reference.verdict import Finding


class Wrong(Exception):  # noqa: N818 - it carries the findings to the record
    """A law does not hold. If the engine raised an error, `place` is where."""

    def __init__(self, *findings: Finding, place: Place | None = None) -> None:
        super().__init__(findings)
        self.findings = findings
        self.place = place


@dataclass(frozen=True)
class UsersArray:
    """An array of the user's, or a dict of arrays. The engine must not write into it.

    Args:
        contents: its bytes, as the user last left them.
        operand: the reference's value, if it is an operand.
        is_gradient: whether it is a gradient from the engine, whose array may still be the value's own.
    """

    contents: bytes
    operand: Any = None
    is_gradient: bool = False


@dataclass(frozen=True)
class Computed:
    """The numbers that a call computes.

    Args:
        again: computes them again with disturbed inputs, and returns the parts by name.
        parts: the names of the parts.
        single: whether anything is in single precision.
    """

    again: Callable[[Noise], dict[str, np.ndarray]] = lambda noise: {}  # noqa: ARG005
    parts: frozenset[str] = frozenset()
    single: bool = False


@dataclass(eq=False)
class State:
    """A session's state.

    Args:
        speaker: the engine.
        reference: the reference.
        space: the engine's values, arrays and optimizers, by name.
        pairs: the values that have a name.
        every: also the values whose names were deleted, as long as a graph may refer to them.
        arrays: the user's arrays, by name.
        optimizers: the optimizers, by name.
        computed: what the current call computes.
    """

    speaker: Speaker
    reference: StatefulReference
    space: dict[str, Any]
    pairs: dict[str, Pair] = field(default_factory=dict)
    every: list[Pair] = field(default_factory=list)
    arrays: dict[str, UsersArray] = field(default_factory=dict)
    optimizers: dict[str, OptimizerPair] = field(default_factory=dict)
    computed: Computed = field(default_factory=Computed)

    def refresh(self, name: str) -> None:
        """Record the present contents of an array, after the user has written into it."""
        self.arrays[name] = replace(self.arrays[name], contents=contents(self.space[name]))


def arrays_in(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    """Yield an array with its name, or the arrays of a dict with theirs."""
    if isinstance(held, dict):
        yield from ((f"{name}[{key!r}]", array) for key, array in held.items())
    else:
        yield name, held


def contents(held: Any) -> bytes:
    """Return the bytes of an array or of a dict of arrays; of anything else, from a wrong engine, its repr."""
    return b"".join(
        array.tobytes() if isinstance(array, np.ndarray) else repr(array).encode() for _, array in arrays_in("", held)
    )
