"""What a session has: the namespace that its lines run in, and what the reference and the user have beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference.checks.sessions.pairs import OptimizerPair, Pair
from reference.engines import Noise
from reference.engines.speaker import Speaker
from reference.engines.stateful import StatefulReference
from reference.verdict import Finding


class Wrong(Exception):  # noqa: N818 - what was found, on its way to the record
    """A law does not hold."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


@dataclass(frozen=True)
class UsersArray:
    """An array that the user has, or a dict of them, and that the engine must not write into.

    Args:
        contents: its numbers, as the user last left them.
        operand: the reference's value of it, if it is an operand.
        is_gradient: whether it is a gradient that the user was given, which may be the one that a value still has.
    """

    contents: bytes
    operand: Any = None
    is_gradient: bool = False


@dataclass(frozen=True)
class Computed:
    """What a call computes, beyond writing numbers down.

    Args:
        again: does it again, disturbed; gives the parts by name.
        parts: their names.
        single: whether single precision's rounding counts.
    """

    again: Callable[[Noise], dict[str, np.ndarray]] = lambda noise: {}  # noqa: ARG005
    parts: frozenset[str] = frozenset()
    single: bool = False


@dataclass(eq=False)
class State:
    """What a session has.

    Args:
        speaker: the engine.
        reference: the reference.
        space: the engine's side, by name: values, arrays, optimizers.
        pairs: values that have a name, and the reference's beside them.
        every: those whose names are deleted, too, as long as a graph may lead to them.
        arrays: arrays that the user has, by name.
        optimizers: optimizers on both sides, by name.
        computed: what the call that is being made computes.
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
        """Take an array of the user's for what it is now: the user has written into it."""
        self.arrays[name] = replace(self.arrays[name], contents=contents(self.space[name]))


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
