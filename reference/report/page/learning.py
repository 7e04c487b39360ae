"""The fifth panel: training runs in lock-step, with losses and drift; what both networks answer all over the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.checks.training import Task, TrainingRecord
from reference.engines.training import Trainer, TrainerReference
from reference.report.page.numbers import full, packed

SIDE = 32  # cells of the map, along each axis
EVERY = 5  # steps from one map to the next
_MIDDLE, _REACH = 128, 127  # the byte of the smallest answer above 0; and how many there are on either side


class Maps:
    """Maps of a plane: what both networks answer at each of its cells, after every few steps.

    An answer becomes a byte, for it is a shade: those beyond 1 are cut off. Its sign is kept.

    Args:
        task: a run in the plane: a network with two inputs and one answer.
    """

    def __init__(self, task: Task) -> None:
        x, self.wanted = task.train
        self.points = x
        self.low, self.high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
        across, down = (np.linspace(a, b, 2 * SIDE + 1)[1::2] for a, b in zip(self.low, self.high, strict=True))
        self._cells = np.array([(a, b) for b in down[::-1] for a in across])
        self.steps: list[int] = []
        self.mine: list[np.ndarray] = []
        self.theirs: list[np.ndarray] = []
        self.apart: list[float] = []

    def __call__(self, step: int, free: Trainer, theirs: TrainerReference) -> None:
        """Draw both maps, if it is time."""
        if step % EVERY and step != 1:
            return
        mine, other = free.scores(self._cells), theirs.scores(self._cells)
        self.steps.append(step)
        self.mine.append(_shades(mine))
        self.theirs.append(_shades(other))
        self.apart.append(float(np.abs(mine - other).max()))

    @staticmethod
    def can_draw(task: Task) -> bool:
        """Whether a task is in the plane, and has one answer."""
        return (task.widths[0], task.widths[-1]) == (2, 1)

    @property
    def data(self) -> dict[str, Any]:
        """All of it for JavaScript."""
        return {
            "steps": self.steps,
            "side": SIDE,
            "mine": packed(np.array(self.mine)),
            "theirs": packed(np.array(self.theirs)),
            "apart": [f"{apart:.1e}" for apart in self.apart],
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "points": packed(self.points),
            "wanted": packed(self.wanted),
        }


def _shades(scores: np.ndarray) -> np.ndarray:
    shade = np.ceil(np.clip(np.abs(scores), 0, 1) * _REACH)
    return np.asarray(np.where(scores < 0, _MIDDLE - np.maximum(shade, 1), _MIDDLE + shade), np.uint8)


@dataclass(frozen=True)
class Told:
    """A run in words, for the table."""

    name: str
    steps: int
    losses: tuple[str, str]
    first: str
    drift: str
    accuracy: str
    agrees: bool
    rows: Sequence[tuple[int, str, str, str]]  # some steps: both losses, and the largest difference of a parameter


@dataclass(frozen=True)
class Learned:
    """All runs: in words, and for JavaScript."""

    told: Sequence[Told]
    data: dict[str, Any]


def learned(runs: Sequence[TrainingRecord], maps: Sequence[Maps]) -> Learned:
    """Put together what was recorded of runs, and the maps of one, if it was watched."""
    told = [_told(run) for run in runs if run.losses]
    charts = {run.name: _chart(run) for run in runs if run.losses}
    return Learned(told, {"runs": charts, "maps": maps[0].data if maps else None})


def _told(run: TrainingRecord) -> Told:
    first = "never" if run.first_difference is None else f"step {run.first_difference}"
    accuracy = "–" if run.accuracy is None else " and ".join(f"{a:.1%}" for a in run.accuracy)
    every = max(1, run.steps // 8)
    rows = [
        (step, full(run.losses[step - 1][0]), full(run.losses[step - 1][1]), f"{run.drift[step - 1]:.1e}")
        for step in dict.fromkeys([1, *range(every, len(run.losses) + 1, every)])
    ]
    ends = (full(run.losses[0][0]), full(run.losses[-1][0]))
    return Told(run.name, run.steps, ends, first, f"{max(run.drift):.1e}", accuracy, run.agrees, rows)


def _chart(run: TrainingRecord) -> Mapping[str, Any]:
    return {
        "mine": packed([mine for mine, _ in run.losses]),
        "theirs": packed([theirs for _, theirs in run.losses]),
        "drift": packed(run.drift),
        "first": run.first_difference,
        "accuracy": None if run.accuracy is None else [f"{a:.1%}" for a in run.accuracy],
    }
