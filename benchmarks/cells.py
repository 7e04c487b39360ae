"""What was measured of one line and one peer, and the arithmetic of it: medians, and ratios round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np


@dataclass
class Cell:
    """A peer on a line.

    Attributes:
        peer: the peer's name.
        rounds: the median step of each round's burst, in seconds; empty where nothing was measured.
        faults: page faults a step, the same way.
        reason: why nothing was measured.
    """

    peer: str
    rounds: list[float] = field(default_factory=list)
    faults: list[float] = field(default_factory=list)
    reason: str = ""

    @property
    def seconds(self) -> float:
        """The median over the rounds."""
        return median(self.rounds)


@dataclass(frozen=True)
class Ratio:
    """How many times as long as another peer one takes: the median of the rounds' ratios, and their quartiles."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Result:
    """A line measured: its cells, the first one that of the peer which the others are compared with."""

    line: str
    threads: int
    cells: Sequence[Cell]

    def cell(self, peer: str) -> Cell | None:
        """The cell of a peer that was asked for."""
        return next((cell for cell in self.cells if cell.peer == peer), None)

    def ratio(self, peer: str, base: str = "ndgrad") -> Ratio | None:
        """How many times as long as the base a peer takes. None where one of them was not measured."""
        cell, other = self.cell(peer), self.cell(base)
        return ratio(cell.rounds, other.rounds) if cell and other and cell.rounds and other.rounds else None


@dataclass(frozen=True)
class Weight:
    """The most memory that a peer had on a line, in bytes beyond what its import had taken, or why none is known."""

    peer: str
    bytes: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Weights:
    """A line's memory."""

    line: str
    weights: Sequence[Weight]

    def bytes(self, peer: str) -> int:
        """What a peer took; 0 if that is not known."""
        return next((weight.bytes for weight in self.weights if weight.peer == peer), 0)


def ratio(rounds: Sequence[float], base: Sequence[float]) -> Ratio:
    """Compare round by round: the two of a round ran one after the other, and met the same weather."""
    quotients = [mine / theirs for mine, theirs in zip(rounds, base, strict=True)]
    lower, middle, upper = np.quantile(quotients, (0.25, 0.5, 0.75))
    return Ratio(float(middle), float(lower), float(upper))
