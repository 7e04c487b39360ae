"""What a session has: the namespace that its lines run in, and what PyTorch and the user have beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference.engines.torch import Disturbance
from reference.sessions.mirror import OptimizerPair, Pair, Tensor
from reference.verdict import Finding


class Wrong(Exception):  # noqa: N818 - what was found, on its way to the record
    """A law does not hold."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


@dataclass(frozen=True)
class Handed:
    """An array that the user has, or a dict of them, and that the engine must not write into.

    Args:
        bits: its numbers, as the user last left them.
        tensor: PyTorch's copy, if it is an operand.
        kept: whether it is a gradient that the user was given, which may be the one that a Value still has.
    """

    bits: bytes
    tensor: Tensor | None = None
    kept: bool = False


@dataclass(frozen=True)
class Computed:
    """What a call computes, beyond writing numbers down.

    Args:
        again: does it again, disturbed; gives the parts by name.
        parts: their names.
        single: whether single precision's rounding counts.
    """

    again: Callable[[Disturbance], dict[str, np.ndarray]] = lambda disturbance: {}  # noqa: ARG005
    parts: frozenset[str] = frozenset()
    single: bool = False


@dataclass(eq=False)
class State:
    """What a session has.

    Args:
        space: ndgrad's side, by name: Values, arrays, optimizers.
        pairs: Values that have a name, and PyTorch's tensors beside them.
        every: those whose names are deleted, too, as long as a graph may lead to them.
        arrays: arrays that the user has, by name.
        optimizers: optimizers on both sides, by name.
        computed: what the call that is being made computes.
    """

    space: dict[str, Any]
    pairs: dict[str, Pair] = field(default_factory=dict)
    every: list[Pair] = field(default_factory=list)
    arrays: dict[str, Handed] = field(default_factory=dict)
    optimizers: dict[str, OptimizerPair] = field(default_factory=dict)
    computed: Computed = field(default_factory=Computed)

    def as_it_is(self, name: str) -> None:
        """Take an array of the user's for what it is now: the user has written into it."""
        self.arrays[name] = replace(self.arrays[name], bits=contents(self.space[name]))


def arrays_in(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    """An array by its name, or those of a dict by theirs."""
    if isinstance(held, dict):
        yield from ((f"{name}[{key!r}]", array) for key, array in held.items())
    else:
        yield name, held


def contents(held: Any) -> bytes:
    """What an array, or a dict of them, holds; of what is neither, as a wrong engine may give it, what it shows."""
    return b"".join(
        array.tobytes() if isinstance(array, np.ndarray) else repr(array).encode() for _, array in arrays_in("", held)
    )
