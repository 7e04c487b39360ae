"""The fifth panel: training runs in lock-step, with losses and drift, and maps of both networks' outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.checks.training import Task, TrainingRecord
from reference.engines.training import Trainer, TrainerReference
from reference.report.page.numbers import full, pack

SIDE = 32  # cells of the map along each axis
EVERY = 5  # steps from one map to the next
_MIDDLE, _REACH = 128, 127  # the byte of the smallest positive output, and the number of bytes on either side


class Maps:
    """Maps of a plane: the outputs of both networks at each cell, after every few steps.

    An output becomes a byte, for its shade. It is clipped to the range from -1 to 1, and keeps its sign.

    Args:
        task: a run in the plane: its network has two inputs and one output.
    """

    def __init__(self, task: Task) -> None:
        x, self.targets = task.train
        self.points = x
        self.low, self.high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
        across, down = (np.linspace(a, b, 2 * SIDE + 1)[1::2] for a, b in zip(self.low, self.high, strict=True))
        self._cells = np.array([(a, b) for b in down[::-1] for a in across])
        self.steps: list[int] = []
        self.mine: list[np.ndarray] = []
        self.theirs: list[np.ndarray] = []
        self.differences: list[float] = []

    def __call__(self, step: int, free: Trainer, theirs: TrainerReference) -> None:
        """Record both maps, if they are due after this step."""
        if step % EVERY and step != 1:
            return
        mine, other = free.scores(self._cells), theirs.scores(self._cells)
        self.steps.append(step)
        self.mine.append(_shades(mine))
        self.theirs.append(_shades(other))
        self.differences.append(float(np.abs(mine - other).max()))

    @staticmethod
    def can_draw(task: Task) -> bool:
        """Whether a task's network has two inputs and one output."""
        return (task.widths[0], task.widths[-1]) == (2, 1)

    @property
    def data(self) -> dict[str, Any]:
        """The maps, packed for JavaScript."""
        return {
            "steps": self.steps,
            "side": SIDE,
            "mine": pack(np.array(self.mine)),
            "theirs": pack(np.array(self.theirs)),
            "differences": [f"{difference:.1e}" for difference in self.differences],
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "points": pack(self.points),
            "targets": pack(self.targets),
        }


def _shades(scores: np.ndarray) -> np.ndarray:
    shade = np.ceil(np.clip(np.abs(scores), 0, 1) * _REACH)
    return np.asarray(np.where(scores < 0, _MIDDLE - np.maximum(shade, 1), _MIDDLE + shade), np.uint8)


@dataclass(frozen=True)
class RunSummary:
    """A run's row in the table."""

    name: str
    steps: int
    losses: tuple[str, str]
    first: str
    drift: str
    accuracy: str
    agrees: bool
    rows: Sequence[tuple[int, str, str, str]]  # for some steps, both losses and the largest difference of a parameter


@dataclass(frozen=True)
class Training:
    """The contents of the panel: the rows of the table, and the data for JavaScript."""

    summaries: Sequence[RunSummary]
    data: dict[str, Any]


def training_panel(runs: Sequence[TrainingRecord], maps: Sequence[Maps]) -> Training:
    """Make the panel from the records of runs, and the maps of one if they were recorded."""
    summaries = [_summary(run) for run in runs if run.losses]
    charts = {run.name: _chart(run) for run in runs if run.losses}
    return Training(summaries, {"runs": charts, "maps": maps[0].data if maps else None})


def _summary(run: TrainingRecord) -> RunSummary:
    first = "never" if run.first_difference is None else f"step {run.first_difference}"
    accuracy = "–" if run.accuracy is None else " and ".join(f"{a:.1%}" for a in run.accuracy)
    every = max(1, run.steps // 8)
    rows = [
        (step, full(run.losses[step - 1][0]), full(run.losses[step - 1][1]), f"{run.drift[step - 1]:.1e}")
        for step in dict.fromkeys([1, *range(every, len(run.losses) + 1, every)])
    ]
    ends = (full(run.losses[0][0]), full(run.losses[-1][0]))
    return RunSummary(run.name, run.steps, ends, first, f"{max(run.drift):.1e}", accuracy, run.agrees, rows)


def _chart(run: TrainingRecord) -> Mapping[str, Any]:
    return {
        "mine": pack([mine for mine, _ in run.losses]),
        "theirs": pack([theirs for _, theirs in run.losses]),
        "drift": pack(run.drift),
        "first": run.first_difference,
        "accuracy": None if run.accuracy is None else [f"{a:.1%}" for a in run.accuracy],
    }
