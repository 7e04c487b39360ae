"""A training run in lock-step: the same network, the same batches and the same optimizer in ndgrad and in PyTorch.

Each run is made in two modes. Re-synced, every step of ndgrad starts from PyTorch's parameters and optimizer state, so
that each step is judged by itself, and sharply: loss, every gradient, every parameter. Free, ndgrad goes its own way
from the same start; how far the two drift apart is reported, and is no verdict.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ndgrad import optim
from ndgrad.engine import Value, no_grad
from ndgrad.library import MLP, cross_entropy, hinge
from reference.engines.torch import Noise
from reference.verdict import Finding, Kind, Part, Result, Verdict, compare

Batch = tuple[np.ndarray, np.ndarray]
Tensor = torch.Tensor


@dataclass(frozen=True)
class Stage:
    """Some epochs with one optimizer.

    Args:
        optimizer: its name in both libraries.
        options: its options in both.
        epochs: how many.
        until_goal: whether it ends sooner, at the end of an epoch after which the task's goal is reached.
    """

    optimizer: str
    options: Mapping[str, Any]
    epochs: int
    until_goal: bool = False


@dataclass(frozen=True)
class Task:
    """What is learned, from what, by what.

    Args:
        name: for reports.
        widths: the numbers that go in, and the neurons of each layer.
        activations: of the layers before the last, and of the last.
        loss: a name of `LOSSES`.
        train: inputs and targets.
        stages: optimizers, one after the other.
        batch: how many examples a step takes; None for all.
        test: held-out inputs and targets.
        goal: the part of the held-out examples that must be right in the end.
        seed: of the parameters and of the batches.
        init: how parameters are drawn, by ndgrad's name.
    """

    name: str
    widths: tuple[int, ...]
    activations: tuple[str, str]
    loss: str
    train: Batch
    stages: tuple[Stage, ...]
    batch: int | None = None
    test: Batch | None = None
    goal: float | None = None
    seed: int = 0
    init: str = "uniform"


@dataclass
class TrainingRecord:
    """What came of a run.

    Args:
        name: the task's.
        steps: how many were judged.
        numbers: how many losses, gradients and parameters were compared.
        worst: the largest distance that agreed at once, in ULP.
        conditioned: steps that agree within conditioning.
        failures: the step, and what was wrong with it.
        losses: ndgrad's, running free, and PyTorch's, for each step.
        drift: the largest difference of any parameter after each step, running free.
        first_difference: the first step after which a bit differs, running free; None if none does.
        accuracy: the part of held-out examples that each gets right in the end, ndgrad's first.
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

    def add(self, step: int, optimizer: str, verdict: Verdict) -> None:
        """Count the verdict on a step."""
        self.steps += 1
        self.numbers += verdict.numbers
        self.worst = max(self.worst, verdict.worst)
        self.conditioned += verdict.result is Result.CONDITIONED
        self.failures += [(step, optimizer, finding) for finding in verdict.findings[:1]]


# The losses, twice: in ndgrad, and in PyTorch.


def _sum_of_squares(predicted: Any, wanted: np.ndarray) -> Any:
    """The article's: Python's own sum, over one prediction at a time."""
    return sum((out - target) ** 2 for target, out in zip(wanted, predicted, strict=True))


def _hinge(predicted: Tensor, wanted: np.ndarray) -> Tensor:
    return torch.clamp(1 - torch.tensor(wanted, dtype=predicted.dtype) * predicted, min=0).mean()


def _cross_entropy(predicted: Tensor, wanted: np.ndarray) -> Tensor:
    return torch.nn.functional.cross_entropy(predicted, torch.tensor(wanted))


LOSSES: Mapping[str, tuple[Callable[..., Any], Callable[..., Tensor]]] = {
    "sum of squares": (_sum_of_squares, _sum_of_squares),
    "hinge": (hinge, _hinge),
    "cross-entropy": (cross_entropy, _cross_entropy),
}
_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": lambda x: x,
}


class _Ndgrad:
    """The engine's side of a run."""

    def __init__(self, task: Task) -> None:
        first, *widths = task.widths
        hidden, last = task.activations
        self._network = MLP(first, widths, hidden, output_activation=last, init=task.init, rng=task.seed)
        self._loss, _ = LOSSES[task.loss]
        self._one_by_one = task.loss == "sum of squares"
        self.names = list(self._network.named_parameters())
        self.parameters = self._network.parameters()
        self._optimizer: optim.Optimizer | None = None

    def optimize_by(self, stage: Stage) -> None:
        """Go on with another optimizer; none means the article's own line, `p.data += -rate * p.grad`."""
        self._rate = stage.options.get("lr", 0.0)
        kind = getattr(optim, stage.optimizer, None)
        self._optimizer = kind(self.parameters, **stage.options) if kind else None

    def step(self, batch: Batch) -> list[Part]:
        """One step: loss, pass back, update."""
        x, wanted = batch
        predicted = [self._network(row) for row in x.tolist()] if self._one_by_one else self._network(x)
        loss: Value = self._loss(predicted, wanted)
        for p in self.parameters:
            p.grad = 0.0
        loss.backward()
        gradients = [p.grad.copy() for p in self.parameters]
        if self._optimizer is None:
            for p in self.parameters:
                p.data += -self._rate * p.grad
        else:
            self._optimizer.step()
        return _parts(self.names, loss.data, gradients, [p.data.copy() for p in self.parameters])

    def sync(self, other: _Torch) -> None:
        """Take over the other side's parameters and optimizer state."""
        for p, tensor in zip(self.parameters, other.parameters, strict=True):
            p.data = tensor.detach().numpy()
        if self._optimizer is not None:
            self._optimizer.state = [dict(state) for state in other.states()]

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The network's outputs."""
        with no_grad():
            return self._network(x).data


class _Torch:
    """The reference's side of a run."""

    def __init__(self, task: Task, start: Sequence[np.ndarray]) -> None:
        self.parameters = [torch.tensor(a, requires_grad=True) for a in start]
        hidden, last = task.activations
        layers = len(task.widths) - 1
        self._activations = [_ACTIVATIONS[hidden]] * (layers - 1) + [_ACTIVATIONS[last]]
        _, self._loss = LOSSES[task.loss]
        self._one_by_one = task.loss == "sum of squares"
        self._logarithms = task.loss == "cross-entropy"  # those of probabilities are kept for the way back
        self._optimizer: torch.optim.Optimizer | None = None

    def optimize_by(self, stage: Stage) -> None:
        """Go on with another optimizer; none means plain steps downhill."""
        self._rate = stage.options.get("lr", 0.0)
        kind = getattr(torch.optim, stage.optimizer, None)
        self._optimizer = kind(self.parameters, foreach=False, **stage.options) if kind else None

    def _network(self, x: Tensor, use: Callable[[Tensor], Tensor]) -> Tensor:
        weights, biases = self.parameters[::2], self.parameters[1::2]
        for weight, bias, activation in zip(weights, biases, self._activations, strict=True):
            x = activation(use(use(x) @ use(weight)) + use(bias))
        return x.squeeze(-1) if x.shape[-1] == 1 else x

    def step(self, batch: Batch, names: Sequence[str], noise: Noise | None = None) -> list[Part]:
        """One step: loss, pass back, update; disturbed, if noise is given."""
        use = noise.on if noise else lambda x: x
        x, wanted = torch.tensor(batch[0], dtype=self.parameters[0].dtype), batch[1]
        for p in self.parameters:
            p.grad = None
        if noise:
            with noise.kept():
                predicted = self._predicted(x, use)
            with noise.kept(logarithms=self._logarithms):
                loss = self._loss(predicted, wanted)
        else:
            loss = self._loss(self._predicted(x, use), wanted)
        torch.autograd.backward(loss)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self.parameters]
        with torch.no_grad():
            for p in self.parameters if noise else ():
                p.copy_(use(p))
                p.grad = None if p.grad is None else use(p.grad)
            self._update()
        arrays = [p.detach().numpy().copy() for p in self.parameters]
        return _parts(names, loss.detach().numpy(), [g.numpy() for g in gradients], arrays)

    def to(self, dtype: torch.dtype) -> None:
        """Go on in another precision, parameters and optimizer state alike."""
        for p in self.parameters:
            p.data = p.data.to(dtype)
            state = self._optimizer.state[p] if self._optimizer is not None else {}
            state.update({k: v.to(dtype) for k, v in state.items() if isinstance(v, Tensor) and k != "step"})

    def _predicted(self, x: Tensor, use: Callable[[Tensor], Tensor]) -> Any:
        return [self._network(row, use) for row in x] if self._one_by_one else self._network(x, use)

    def _update(self) -> None:
        if self._optimizer is not None:
            self._optimizer.step()
            return
        for p in self.parameters:
            p.sub_(self._rate * p.grad if p.grad is not None else 0.0)

    def states(self) -> Iterator[Mapping[str, np.ndarray]]:
        """Give the optimizer's state, parameter by parameter, under PyTorch's names."""
        for p in self.parameters:
            state = self._optimizer.state[p] if self._optimizer is not None else {}
            yield {k: np.array(v.detach().numpy()) for k, v in state.items() if isinstance(v, Tensor)}

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The network's outputs."""
        with torch.no_grad():
            scores: np.ndarray = self._network(torch.tensor(x), lambda t: t).numpy()
        return scores


def _parts(names: Sequence[str], loss: Any, gradients: Sequence[Any], parameters: Sequence[Any]) -> list[Part]:
    return [
        Part("loss", Kind.FORWARD, np.asarray(loss)),
        *(Part(f"grad[{n}]", Kind.GRADIENT, g) for n, g in zip(names, gradients, strict=True)),
        *(Part(f"parameter[{n}]", Kind.FORWARD, p) for n, p in zip(names, parameters, strict=True)),
    ]


def train(task: Task) -> TrainingRecord:
    """Make a run in both modes, step by step side by side."""
    synced, free = _Ndgrad(task), _Ndgrad(task)
    theirs = _Torch(task, [p.data for p in synced.parameters])
    record = TrainingRecord(task.name, goal=task.goal)
    batches = np.random.default_rng(task.seed)
    for stage in task.stages:
        for side in (synced, free, theirs):
            side.optimize_by(stage)
        for _ in range(stage.epochs):
            if stage.until_goal and _reached(task, free, theirs):
                break
            for batch in _batches(task, batches):
                _one_step(record, stage.optimizer, batch, (synced, free, theirs))
                if record.failures:
                    return record
    if task.test is not None:
        record.accuracy = (_accuracy(task, free), _accuracy(task, theirs))
    return record


def _batches(task: Task, rng: np.random.Generator) -> Iterator[Batch]:
    """The examples in another order each epoch, some at a time."""
    x, wanted = task.train
    size = task.batch or len(x)
    order = rng.permutation(len(x)) if task.batch else np.arange(len(x))
    for start in range(0, len(x), size):
        some = order[start : start + size]
        yield x[some], wanted[some]


def _one_step(record: TrainingRecord, optimizer: str, batch: Batch, sides: tuple[_Ndgrad, _Ndgrad, _Torch]) -> None:
    synced, free, theirs = sides
    synced.sync(theirs)
    before = copy.deepcopy(theirs)
    wanted = theirs.step(batch, synced.names)

    def rerun(noise: Noise | None, wide: bool | None) -> list[Part]:  # noqa: FBT001 - as the verdict asks
        other = copy.deepcopy(before)
        if wide is False:
            other.to(torch.float32)
        return other.step(batch, synced.names, noise)

    record.add(record.steps + 1, optimizer, compare(synced.step(batch), wanted, rerun))
    mine = free.step(batch)
    record.losses.append((float(mine[0].array), float(wanted[0].array)))
    apart = max(float(np.max(np.abs(a.array - b.array))) for a, b in zip(mine, wanted, strict=True)
                if a.name.startswith("parameter"))  # fmt: skip
    record.drift.append(apart)
    if apart and record.first_difference is None:
        record.first_difference = record.steps


def _accuracy(task: Task, side: _Ndgrad | _Torch) -> float:
    x, wanted = task.test or task.train
    scores = side.scores(x)
    guessed = np.sign(scores) if scores.ndim == 1 else scores.argmax(-1)
    return float((guessed == wanted).mean())


def _reached(task: Task, *sides: _Ndgrad | _Torch) -> bool:
    return task.goal is not None and all(_accuracy(task, side) >= task.goal for side in sides)


# The three runs.


def article() -> Task:
    """Four points, 41 parameters, twenty steps: the run that this project's article ends with."""
    x = np.array([[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]])
    wanted = np.array([1.0, -1.0, -1.0, 1.0])
    return Task(
        "article", (3, 4, 4, 1), ("tanh", "tanh"), "sum of squares", (x, wanted), (Stage("by hand", {"lr": 0.5}, 20),)
    )


def moons() -> Task:
    """Two moons in the plane, told apart by a network of two hidden layers."""
    from sklearn.datasets import make_moons  # noqa: PLC0415 - it takes a second, which nothing else here needs

    x, label = make_moons(200, noise=0.1, random_state=0)
    wanted = 2.0 * label - 1.0
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}
    return Task(
        "two moons", (2, 16, 16, 1), ("tanh", "linear"), "hinge", (x[:160], wanted[:160]),
        (Stage("SGD", options, 120),),
        test=(x[160:], wanted[160:]), goal=0.95,
    )  # fmt: skip


def digits() -> Task:
    """Handwritten digits of 8×8 pixels, 1,797 of them: a fifth is held out. SGD with momentum, and then Adam."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - as above

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, wanted = data.data[order] / 16.0, data.target[order].astype(np.int64)
    held_out = len(x) // 5
    stages = (Stage("SGD", {"lr": 0.1, "momentum": 0.9}, 3), Stage("Adam", {"lr": 2e-3}, 25, until_goal=True))
    return Task(
        "digits", (64, 64, 32, 10), ("relu", "linear"), "cross-entropy", (x[held_out:], wanted[held_out:]), stages,
        batch=64, test=(x[:held_out], wanted[:held_out]), goal=0.96, init="kaiming_uniform",
    )  # fmt: skip


TASKS: Mapping[str, Callable[[], Task]] = {"article": article, "two moons": moons, "digits": digits}
