"""Makes a run on both sides at once, and judges every step.

Each run is made in two modes. Re-synced, the engine takes over the reference's parameters, gradients and optimizer
state after every step, so that each step is judged by itself, and sharply: loss, every gradient, every parameter, every
buffer. Free, it goes its own way from the same start; how far the two drift apart is reported, and is no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from reference.engines import Engine, Noise, Reference
from reference.engines.stateful import offered
from reference.engines.training import Raised, Trainer, TrainerReference
from reference.programs.task import Batch, Name, Numbers, Stage, Task
from reference.verdict import Finding, Kind, Part, Result, Verdict, compare
from reference.verdict.explanation import Explanation, explain_finding


@dataclass
class TrainingRecord:
    """What came of a run.

    Args:
        name: the task's.
        steps: how many were judged.
        numbers: how many losses, gradients, parameters and buffers were compared.
        worst: the largest distance that agreed at once, in ULP.
        conditioned: steps that agree within conditioning.
        failures: the step, and what was wrong with it.
        losses: the engine's, running free, and the reference's, for each step; summed up, where there are several.
        drift: the largest difference of any parameter after each step, running free.
        first_difference: the first step after which a bit differs, running free; None if none does.
        accuracy: the part of held-out examples that each gets right in the end, the engine's first.
        goal: what both must reach.
    """

    name: str
    steps: int = 0
    numbers: int = 0
    worst: float = 0.0
    conditioned: int = 0
    failures: list[tuple[int, str, Finding]] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)
    drift: list[float] = field(default_factory=list)
    first_difference: int | None = None
    accuracy: tuple[float, float] | None = None
    goal: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether every step agreed, and both sides learned what they should."""
        learned = self.goal is None or (self.accuracy is not None and min(self.accuracy) >= self.goal)
        return self.steps > 0 and not self.failures and learned

    @property
    def explanation(self) -> Explanation:
        """Why it goes wrong, if a step does."""
        return explain_finding(self.failures[0][-1])

    def add(self, step: int, optimizer: str, verdict: Verdict) -> None:
        """Count the verdict on a step."""
        self.steps += 1
        self.numbers += verdict.numbers
        self.worst = max(self.worst, verdict.worst)
        self.conditioned += verdict.result is Result.CONDITIONED
        self.failures += [(step, optimizer, finding) for finding in verdict.findings[:1]]


LARGEST = 1e4  # of a loss that a step is made from
_START = "the start"  # what a failure names instead of an optimizer before there is one
Sides = tuple[Trainer, Trainer, TrainerReference]  # re-synced, free, and the reference
Watch = Callable[
    [int, Trainer, TrainerReference], None
]  # is told each step that was made, and shown both sides running free


def train(task: Task, engine: Engine, reference: Reference, watch: Watch | None = None) -> TrainingRecord:
    """Make a run in both modes, step by step side by side. It ends with the first step that fails.

    Args:
        task: what is learned.
        engine: what is judged; it offers a `trainer`.
        reference: what is believed; it offers one, too.
        watch: is called after each step that agrees.
    """
    record = TrainingRecord(task.name, goal=task.goal)
    optimizer = _START
    try:
        with np.errstate(all="ignore"):
            sides = _sides(task, engine, reference, record)
            batches = np.random.default_rng(task.seed)
            for stage in task.stages:
                optimizer = stage.optimizer
                for _ in _go_through(stage, task, batches, sides, record):
                    if watch and not record.failures:
                        watch(record.steps, *sides[1:])
            if task.test is not None and not record.failures:
                record.accuracy = (_accuracy(task, sides[1]), _accuracy(task, sides[2]))
    except Raised as raised:
        record.failures.append((record.steps + 1, optimizer, Finding(Kind.RAISED, "the step", str(raised))))
    return record


def _sides(task: Task, engine: Engine, reference: Reference, record: TrainingRecord) -> Sides:
    mine, theirs = offered(engine, "trainer"), offered(reference, "trainer")
    if mine is None or theirs is None:
        raise ValueError(f"{(engine if mine is None else reference).name} has no training runs")
    synced, free = mine(task), mine(task)
    start = synced.start
    record.failures += [(1, _START, finding) for finding in _misshapen(task, start)]
    return synced, free, theirs(task, start)


def _misshapen(task: Task, start: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Parameters of another shape or dtype than the task says: the reference is given what the engine begins with."""
    shapes: list[tuple[int, ...]] = [s for nin, nout in pairwise(task.widths) for s in ((nin, nout), (nout,))]
    if task.network == "Neuron":
        shapes = [task.widths[:1], ()]
    for (name, array), shape in zip(start.items(), shapes, strict=True):
        if array.shape != shape or array.dtype != task.dtype:
            says = f"has shape {array.shape} and dtype {array.dtype}, but must have {shape} and {task.dtype}"
            yield Finding(Kind.SHAPE, name, says)


def _go_through(
    stage: Stage, task: Task, batches: np.random.Generator, sides: Sides, record: TrainingRecord
) -> Iterator[None]:
    """Make the steps of a stage, one at a time."""
    _, free, theirs = sides
    for side in () if record.failures else sides:
        side.begin(stage)
    for _ in range(stage.epochs):
        if stage.until_goal and _reached(task, free, theirs):
            return
        for batch in _batches(task, batches):
            if record.failures or _runs_away(record):
                return
            _one_step(record, task, stage, batch, sides)
            yield


def _runs_away(record: TrainingRecord) -> bool:
    """Whether the reference's loss is so large that a step further nothing but infinities might be left to compare."""
    return bool(record.losses) and not abs(record.losses[-1][1]) <= LARGEST


def _batches(task: Task, rng: np.random.Generator) -> Iterator[Batch]:
    """The examples in another order each epoch, some at a time; or all as they are."""
    if task.batch is None:
        yield task.train
        return
    x, wanted = task.train
    order = rng.permutation(len(x))
    for start in range(0, len(x), task.batch):
        some = order[start : start + task.batch]
        yield x[some], wanted[some]


def _one_step(record: TrainingRecord, task: Task, stage: Stage, batch: Batch, sides: Sides) -> None:
    synced, free, theirs = sides
    before = theirs.numbers()
    wanted, got = theirs.step(batch), synced.step(batch)
    names = [name for name in wanted if name in got]

    def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
        return _parts(names, theirs.again(before, precision or task.dtype).step(batch, noise))

    single = task.dtype == "float32"
    verdict = compare(_parts(names, got), _parts(names, wanted), rerun, single=single, seed=task.seed)
    record.add(record.steps + 1, stage.optimizer, verdict)
    laws = [*_misnamed(got, wanted), *_shared(got)]
    record.failures += [(record.steps, stage.optimizer, finding) for finding in laws]
    if not record.failures:
        synced.sync(wanted)
        _drift(record, free.step(batch), wanted)


def _parts(names: Sequence[Name], numbers: Numbers) -> list[Part]:
    """Numbers in this order. The count of an optimizer's steps may be a float."""
    return [_part(name, numbers.get(name)) for name in names]


def _part(name: Name, array: Any) -> Part:
    kind = Kind.GRADIENT if name[0] == "grad" else Kind.FORWARD
    return Part(_named(name), kind, np.asarray(array, float) if name[0] == "step" else array)


def _named(name: Name) -> str:
    what, of = name
    return f"{what}[{of}]" if of else what


def _misnamed(got: Numbers, wanted: Numbers) -> Iterator[Finding]:
    """Buffers that an optimizer lacks, or should not have."""
    for name in sorted(got.keys() ^ wanted.keys()):
        yield Finding(Kind.MISSING, _named(name), "is missing" if name in wanted else "is there, and must not be")


def _shared(numbers: Numbers) -> Iterator[Finding]:
    """Arrays that begin where another one does: whoever writes into one writes into the other."""
    places: dict[int, Name] = {}
    for name, array in numbers.items():
        if isinstance(array, np.ndarray):
            other = places.setdefault(array.__array_interface__["data"][0], name)
            if other != name:
                yield Finding(Kind.ALIASED, _named(name), f"shares its memory with {_named(other)}")


def _drift(record: TrainingRecord, mine: Numbers, theirs: Numbers) -> None:
    """Note how far apart the two are after a step, running free."""
    record.losses.append((float(mine["loss", ""].sum()), float(theirs["loss", ""].sum())))
    parameters = [name for name in theirs if name[0] == "parameter"]
    apart = max(float(np.max(np.abs(mine[name] - theirs[name]))) for name in parameters)
    record.drift.append(apart)
    if apart and record.first_difference is None:
        record.first_difference = record.steps


def _accuracy(task: Task, side: Trainer | TrainerReference) -> float:
    x, wanted = task.test or task.train
    scores = side.scores(x)
    guessed = np.sign(scores) if scores.ndim == 1 else scores.argmax(-1)
    return float((guessed == wanted).mean())


def _reached(task: Task, *sides: Trainer | TrainerReference) -> bool:
    return task.goal is not None and all(_accuracy(task, side) >= task.goal for side in sides)
