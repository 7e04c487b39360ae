"""Trains on both sides at once and judges every step.

Each run is made in two modes. In the synced mode the engine takes over the reference's parameters, gradients and
optimizer state after every step, so each step is judged by itself: its loss and every gradient, parameter and buffer.
In the free mode the engine goes on from its own numbers. How far it drifts from the reference is reported, but not
judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from reference.checks.training.transcript import Begun, transcript
from reference.engines import Engine, Noise, Reference
from reference.engines.stateful import offered
from reference.engines.training import Raised, Trainer, TrainerReference
from reference.programs.task import Batch, Name, Numbers, Stage, Task
from reference.verdict import Finding, Kind, Part, Result, Verdict, compare
from reference.verdict.explanation import Explanation, explain_finding


@dataclass
class TrainingRecord:
    """The results of a run.

    Args:
        name: the task's name.
        steps: how many steps were judged.
        numbers: how many losses, gradients, parameters and buffers were compared.
        worst: the largest distance that agreed at once, in ULP.
        conditioned: steps that agree within conditioning.
        failures: for each failure its step, the optimizer and the finding.
        losses: for each step the loss of the free engine and of the reference; losses without a reduction are summed.
        drift: after each step the largest difference of any parameter between the free engine and the reference.
        first_difference: the first step after which the free engine differs in any bit; None if it never does.
        accuracy: the final accuracy on held-out examples, the engine's and the reference's.
        goal: the accuracy that both must reach.
        transcript: what was done up to the first failure, line by line.
        raised: the line that raised the engine's error, with its file; empty if none did.
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
    transcript: str = ""
    raised: str = ""

    @property
    def agrees(self) -> bool:
        """Whether every step agreed and both sides reached the goal."""
        learned = self.goal is None or (self.accuracy is not None and min(self.accuracy) >= self.goal)
        return self.steps > 0 and not self.failures and learned

    @property
    def explanation(self) -> Explanation:
        """Explain the first failure."""
        return explain_finding(self.failures[0][-1], self.raised) if self.failures else Explanation()

    def add(self, step: int, optimizer: str, verdict: Verdict) -> None:
        """Count the verdict on a step."""
        self.steps += 1
        self.numbers += verdict.numbers
        self.worst = max(self.worst, verdict.worst)
        self.conditioned += verdict.result is Result.CONDITIONED
        self.failures += [(step, optimizer, finding) for finding in verdict.findings[:1]]


LARGEST = 1e4  # a run ends when its loss exceeds this
_START = "the start"  # stands in place of the optimizer in a failure before the first step
Sides = tuple[Trainer, Trainer, TrainerReference]  # re-synced, free, and the reference
Watch = Callable[
    [int, Trainer, TrainerReference], None
]  # is called with the step's number, the free engine and the reference


def train(task: Task, engine: Engine, reference: Reference, watch: Watch | None = None) -> TrainingRecord:
    """Train in both modes, step by step on both sides. The run ends with the first step that fails.

    Args:
        task: the task to learn.
        engine: the engine to judge; it offers a `trainer`.
        reference: the reference; it offers a `trainer`, too.
        watch: called after each step that agrees.
    """
    record = TrainingRecord(task.name, goal=task.goal)
    optimizer = _START
    begun: list[Begun] = []
    try:
        with np.errstate(all="ignore"):
            sides = _sides(task, engine, reference, record)
            batches = np.random.default_rng(task.seed)
            for stage in task.stages:
                optimizer = stage.optimizer
                begun += [] if record.failures else [Begun(record.steps + 1, stage)]
                for _ in _run_stage(stage, task, batches, sides, record):
                    if watch and not record.failures:
                        watch(record.steps, *sides[1:])
            if task.test is not None and not record.failures:
                record.accuracy = (_accuracy(task, sides[1]), _accuracy(task, sides[2]))
    except Raised as raised:
        record.failures.append((record.steps + 1, optimizer, Finding(Kind.RAISED, "the step", str(raised))))
        record.raised = raised.place
    record.transcript = transcript(task, begun, record.failures[0][0] if record.failures else record.steps)
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
    """Report parameters of a wrong shape or dtype. The reference starts from the engine's, so it cannot notice them."""
    shapes: list[tuple[int, ...]] = [s for nin, nout in pairwise(task.widths) for s in ((nin, nout), (nout,))]
    if task.network == "Neuron":
        shapes = [task.widths[:1], ()]
    for (name, array), shape in zip(start.items(), shapes, strict=True):
        if array.shape != shape or array.dtype != task.dtype:
            says = f"has shape {array.shape} and dtype {array.dtype}, but must have {shape} and {task.dtype}"
            yield Finding(Kind.SHAPE, name, says)


def _run_stage(
    stage: Stage, task: Task, batches: np.random.Generator, sides: Sides, record: TrainingRecord
) -> Iterator[None]:
    """Run the steps of a stage, one at a time."""
    _, free, theirs = sides
    for side in () if record.failures else sides:
        side.begin(stage)
    for _ in range(stage.epochs):
        if stage.until_goal and _reached_goal(task, free, theirs):
            return
        for batch in _batches(task, batches):
            if record.failures or _diverges(record):
                return
            _one_step(record, task, stage, batch, sides)
            yield


def _diverges(record: TrainingRecord) -> bool:
    """Whether the reference's loss is so large that the next step might leave only infinities to compare."""
    return bool(record.losses) and not abs(record.losses[-1][1]) <= LARGEST


def _batches(task: Task, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield minibatches in an order that is new in each epoch; or all examples at once."""
    if task.batch is None:
        yield task.train
        return
    x, targets = task.train
    order = rng.permutation(len(x))
    for start in range(0, len(x), task.batch):
        some = order[start : start + task.batch]
        yield x[some], targets[some]


def _one_step(record: TrainingRecord, task: Task, stage: Stage, batch: Batch, sides: Sides) -> None:
    synced, free, theirs = sides
    before = theirs.numbers()
    expected, got = theirs.step(batch), synced.step(batch)
    names = [name for name in expected if name in got]

    def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
        return _parts(names, theirs.again(before, precision or task.dtype).step(batch, noise))

    single = task.dtype == "float32"
    verdict = compare(_parts(names, got), _parts(names, expected), rerun, single=single, seed=task.seed)
    record.add(record.steps + 1, stage.optimizer, verdict)
    laws = [*_buffer_mismatches(got, expected), *_shared(got)]
    record.failures += [(record.steps, stage.optimizer, finding) for finding in laws]
    if not record.failures:
        synced.sync(expected)
        _drift(record, free.step(batch), expected)


def _parts(names: Sequence[Name], numbers: Numbers) -> list[Part]:
    """Return parts in the order of the names. An optimizer's step count may be a float."""
    return [_part(name, numbers.get(name)) for name in names]


def _part(name: Name, array: Any) -> Part:
    kind = Kind.GRADIENT if name[0] == "grad" else Kind.FORWARD
    return Part(_full_name(name), kind, np.asarray(array, float) if name[0] == "step" else array)


def _full_name(name: Name) -> str:
    what, of = name
    return f"{what}[{of}]" if of else what


def _buffer_mismatches(got: Numbers, expected: Numbers) -> Iterator[Finding]:
    """Report buffers that an optimizer lacks or must not have."""
    for name in sorted(got.keys() ^ expected.keys()):
        yield Finding(Kind.MISSING, _full_name(name), "is missing" if name in expected else "is there, and must not be")


def _shared(numbers: Numbers) -> Iterator[Finding]:
    """Report arrays that start at the same address as another one: writing into one writes into the other."""
    places: dict[int, Name] = {}
    for name, array in numbers.items():
        if isinstance(array, np.ndarray):
            other = places.setdefault(array.__array_interface__["data"][0], name)
            if other != name:
                yield Finding(Kind.ALIASED, _full_name(name), f"shares its memory with {_full_name(other)}")


def _drift(record: TrainingRecord, mine: Numbers, theirs: Numbers) -> None:
    """Record the losses after a step, and how far the free engine is from the reference."""
    record.losses.append((float(mine["loss", ""].sum()), float(theirs["loss", ""].sum())))
    parameters = [name for name in theirs if name[0] == "parameter"]
    difference = max(float(np.max(np.abs(mine[name] - theirs[name]))) for name in parameters)
    record.drift.append(difference)
    if difference and record.first_difference is None:
        record.first_difference = record.steps


def _accuracy(task: Task, side: Trainer | TrainerReference) -> float:
    x, targets = task.test or task.train
    scores = side.scores(x)
    guessed = np.sign(scores) if scores.ndim == 1 else scores.argmax(-1)
    return float((guessed == targets).mean())


def _reached_goal(task: Task, *sides: Trainer | TrainerReference) -> bool:
    return task.goal is not None and all(_accuracy(task, side) >= task.goal for side in sides)
