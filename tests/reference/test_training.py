"""Training in lock-step: the three runs agree, and a wrong optimizer, loss or network does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ndgrad import optim
from ndgrad.library import Layer
from ndgrad.rules import RULES
from reference.training import TASKS, Stage, Task, article, digits, moons, train
from reference.verdict import Kind


def short(task: Task, steps: int, *stages: Stage) -> Task:
    """A task of few steps: a few examples, and one epoch a step."""
    x, wanted = task.train
    some = slice(None, 40)
    chosen = tuple(replace(stage, epochs=steps, until_goal=False) for stage in stages or task.stages)
    return replace(task, train=(x[some], wanted[some]), batch=None, stages=chosen, test=None, goal=None)


def test_the_article_run_agrees() -> None:
    """Four points, twenty steps at a rate of 0.5: every loss, gradient and parameter agrees, and the loss falls."""
    record = train(article())
    assert record.agrees
    assert record.steps == 20
    assert record.numbers == 20 * (1 + 41 + 41)
    assert record.losses[-1][0] < 0.01 * record.losses[0][0]


def test_the_moons_run_agrees() -> None:
    """Two moons are told apart by both sides alike."""
    record = train(moons())
    assert record.agrees
    assert record.accuracy is not None
    assert min(record.accuracy) >= 0.95


def test_digits_are_learned_from_all_but_a_fifth() -> None:
    """Of 1,797 digits a fifth is held out, in no batch; the network is 64-64-32-10."""
    task = digits()
    assert task.widths == (64, 64, 32, 10)
    assert task.test is not None
    held_out, train_on = task.test[0], task.train[0]
    assert (len(held_out), len(held_out) + len(train_on)) == (359, 1797)
    assert task.goal == 0.96


OPTIMIZERS = [
    Stage("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}, 0),
    Stage("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, 0),
    Stage("Adam", {"lr": 0.01, "weight_decay": 0.01, "amsgrad": True}, 0),
    Stage("AdamW", {"lr": 0.01}, 0),
    Stage("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.01}, 0),
]


@pytest.mark.parametrize("stage", OPTIMIZERS, ids=lambda s: f"{s.optimizer}-{len(s.options)}")
def test_every_optimizer_keeps_step(stage: Stage) -> None:
    """Steps of each optimizer agree, from PyTorch's state each time, and running free to within 1e-9."""
    record = train(short(moons(), 12, stage))
    assert record.agrees
    assert record.steps == 12
    assert max(record.drift) < 1e-9


def without_correction(right: Callable[..., Any]) -> Callable[..., Any]:
    """Adam whose state says that it has made a thousand steps, so that nothing is corrected: wrong, on purpose."""

    def adapted(self: Any, p: Any, g: Any, state: Any) -> Any:
        data, new = right(self, p, g, {**state, "step": 10**6})
        return data, {**new, "step": state.get("step", 0) + 1}

    return adapted


def test_adam_without_bias_correction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step of an Adam without bias correction is wrong in a parameter, and no gradient is blamed."""
    monkeypatch.setattr(optim.Adam, "_adapted", without_correction(optim.Adam._adapted))
    record = train(short(digits(), 5, Stage("Adam", {"lr": 1e-2}, 0)))
    ((step, optimizer, finding),) = record.failures
    assert (step, optimizer) == (1, "Adam")
    assert finding.kind is Kind.FORWARD
    assert finding.part.startswith("parameter[")


def test_a_momentum_that_is_a_little_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Momentum off by a relative 1e-9 is found at the second step, the first on which it counts."""
    right = optim.SGD._moved

    def moved(self: Any, p: Any, g: Any, state: Any) -> Any:
        off = {name: buffer * (1 + 1e-9) for name, buffer in state.items()}
        return right(self, p, g, off)

    monkeypatch.setattr(optim.SGD, "_moved", moved)
    record = train(short(moons(), 5, Stage("SGD", {"lr": 0.1, "momentum": 0.9}, 0)))
    assert record.failures[0][0] == 2


def test_a_wrong_gradient_in_a_network_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relu that passes everything makes gradients wrong, which the first step says."""
    monkeypatch.setattr(RULES["relu"], "pullbacks", (lambda g, y, x: g,))
    record = train(short(digits(), 3))
    (_, _, finding) = record.failures[0]
    assert finding.part.startswith("grad[")


def test_a_wrong_network_is_found_by_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that forgets its bias computes another loss."""
    monkeypatch.setattr(Layer, "outputs", lambda self, x: np.tanh(x @ self.weight))
    record = train(short(moons(), 3))
    assert record.failures[0][2].part == "loss"


def test_a_run_that_does_not_learn_does_not_agree() -> None:
    """Both sides alike, and wrong: a goal that is not reached is a failure of the run."""
    task = moons()
    lazy = replace(task, stages=(Stage("SGD", {"lr": 0.0}, 2),))
    record = train(lazy)
    assert not record.failures
    assert not record.agrees


def test_a_run_of_no_steps_does_not_agree() -> None:
    """Nothing compared is no agreement."""
    assert not train(replace(article(), stages=())).agrees


def test_runs_repeat_themselves() -> None:
    """Two runs of a task give the same losses and the same drift, to the bit."""
    task = short(TASKS["digits"](), 3)
    once, again = train(task), train(task)
    assert (once.losses, once.drift) == (again.losses, again.drift)
