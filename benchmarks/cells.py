"""The measurements of one line and one peer, and their statistics: medians, and ratios round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np


@dataclass
class Cell:
    """The measurements of a peer on a line.

    Attributes:
        peer: the peer's name.
        rounds: the median step of each round's burst, in seconds; empty if nothing was measured.
        faults: the page faults per step of each round.
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
    """The ratio of a peer's time to that of another: the median of the rounds' ratios, and their quartiles."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Result:
    """The results of a line: its cells. The others are compared with the first."""

    line: str
    threads: int
    cells: Sequence[Cell]

    def cell(self, peer: str) -> Cell | None:
        """Return the cell of a peer, if it was measured on this line."""
        return next((cell for cell in self.cells if cell.peer == peer), None)

    def ratio(self, peer: str, base: str = "ndgrad") -> Ratio | None:
        """Return the ratio of a peer's time to the base's; None if one of them was not measured."""
        cell, other = self.cell(peer), self.cell(base)
        return ratio(cell.rounds, other.rounds) if cell and other and cell.rounds and other.rounds else None


@dataclass(frozen=True)
class PeerMemory:
    """The peak memory of a peer on a line, in bytes beyond those of its import; or the reason why it is unknown."""

    peer: str
    bytes: int = 0
    reason: str = ""


@dataclass(frozen=True)
class MemoryResult:
    """The memory of each peer on a line."""

    line: str
    cells: Sequence[PeerMemory]

    def bytes(self, peer: str) -> int:
        """Return the memory of a peer; 0 if it is unknown."""
        return next((cell.bytes for cell in self.cells if cell.peer == peer), 0)


def ratio(rounds: Sequence[float], base: Sequence[float]) -> Ratio:
    """Compare two peers round by round: the two of a round ran one after the other, under the same conditions."""
    quotients = [mine / theirs for mine, theirs in zip(rounds, base, strict=True)]
    lower, middle, upper = np.quantile(quotients, (0.25, 0.5, 0.75))
    return Ratio(float(middle), float(lower), float(upper))
