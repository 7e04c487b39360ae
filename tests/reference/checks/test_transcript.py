"""The transcript of a training run has the network, the loss, and each stage with its hyperparameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ndgrad.optim import SGD, Adam
from reference.checks import parse_case
from reference.checks.training import Stage, Task, article, train
from reference.checks.training.transcript import Begun, transcript
from reference.engines.references import References
from reference.mutation.planting import method
from reference.programs.task import BY_HAND, Cleared, Given, ListedAs
from tests.reference.both import BOTH

TASK = replace(
    article(),
    widths=(2, 3, 1),
    train=(np.array([[1.0, 2.0]]), np.array([0.5])),
    given=Given.LISTS,
    loss="mean squared error",
)


def stages(*those: Stage, last: int = 0) -> list[str]:
    """Return the lines of stages of one step each."""
    begun = [Begun(i, stage) for i, stage in enumerate(those, 1)]
    return transcript(TASK, begun, last or len(those)).splitlines()[3:]


def test_the_network_and_the_loss() -> None:
    """The first lines are the network as a user makes it, the batch, and the loss."""
    task = replace(TASK, reduction={"reduction": "sum"}, cotangent=np.array(2.0), seed=7, init="xavier_normal")
    assert transcript(task, [], 1).splitlines() == [
        (
            "network: MLP(2, [3, 1], activation='tanh', output_activation='tanh', init='xavier_normal', "
            "dtype='float64', rng=7)"
        ),
        "inputs: [[1.0, 2.0]]; targets: [0.5]; given as lists of numbers",
        "loss: mean squared error, reduction='sum'; cotangent: 2.0",
    ]
    layer = transcript(replace(TASK, network="Layer", widths=(2, 1), activations=("relu", "tanh")), [], 1)
    assert layer.startswith("network: Layer(2, 1, activation='tanh', init=")


def test_large_arrays_are_named_by_their_shape() -> None:
    """Arrays of many numbers are not printed; minibatches are mentioned."""
    task = replace(TASK, train=(np.ones((40, 2)), np.ones(40)), batch=8)
    line = "inputs: float64 (40, 2); targets: float64 (40,); given as lists of numbers; batches of 8"
    assert transcript(task, [], 1).splitlines()[1] == line


def test_a_stage_has_all_its_hyperparameters() -> None:
    """A stage has its options, numbers of NumPy as numbers; a later one has those that change."""
    assert stages(
        Stage("SGD", {"lr": np.float64(0.1), "momentum": 0.9, "nesterov": True}, 1),
        Stage("SGD", {"lr": 0.3}, 1, goes_on=True),
        Stage("SGD", {}, 1, goes_on=True),
        Stage(BY_HAND, {"lr": 0.5}, 20),
        last=9,
    ) == [
        "step 1: SGD(lr=0.1, momentum=0.9, nesterov=True)",
        "step 2: the same SGD with lr=0.3",
        "step 3: the same SGD",
        "steps 4 to 9: by hand: p.data += -0.5 * p.grad",
    ]


def test_a_stage_has_its_events() -> None:
    """Whatever is not as usual is mentioned."""
    options: dict[str, Any] = {"frozen": ("layers.0.bias",), "cleared": Cleared.BY_NETWORK}
    assert stages(
        Stage("Adam", {"lr": 0.1}, 1, listed=ListedAs.TWICE, **options),
        Stage("Adam", {}, 1, goes_on=True, saved=True, reloaded=True),
        Stage("Adam", {}, 1, goes_on=True, reloaded=True, cleared=Cleared.NOT),
    ) == [
        (
            "step 1: Adam(lr=0.1); its parameters are given as a list in which each comes twice; "
            "no gradient for layers.0.bias; gradients are cleared by network.zero_grad()"
        ),
        "step 2: the same Adam; network and optimizer are saved; what was saved now is loaded",
        (
            "step 3: the same Adam; what was saved before is loaded; "
            "gradients are cleared not at all: the next gradient is added"
        ),
    ]


def off_by_a_hundredth(right: Any) -> Any:
    """Return a step that moves the parameters too far."""

    def wrong(optimizer: Any) -> None:
        right(optimizer)
        for p in optimizer.params:
            p.data = p.data * 1.01

    return wrong


@pytest.mark.parametrize(("kind", "optimizer"), [("SGD", SGD), ("Adam", Adam)])
def test_a_run_tells_once_what_was_done(kind: str, optimizer: type) -> None:
    """The transcript of a wrong run ends with the step that fails, and no line is repeated."""
    task: Task = replace(TASK, stages=(Stage(BY_HAND, {"lr": 0.5}, 3), Stage(kind, {"lr": 0.25}, 20)))
    with method(optimizer, "step", off_by_a_hundredth)():
        record = train(task, *BOTH)
    lines = record.transcript.splitlines()
    assert record.failures[0][0] == 4
    assert lines[3:] == ["steps 1 to 3: by hand: p.data += -0.5 * p.grad", f"step 4: {kind}(lr=0.25)"]
    assert len({*lines}) == len(lines)


def test_a_drawn_run_tells_it_too() -> None:
    """A case of training has the transcript, whatever the number of findings."""
    ndgrad, torch = BOTH
    with method(SGD, "step", off_by_a_hundredth)():
        trials = [parse_case(f"training 0 {i}").run(ndgrad, References([torch])) for i in range(20)]
    wrong = [trial.transcript.splitlines() for trial in trials if trial.verdict.findings]
    assert wrong
    for lines in wrong:
        assert lines[0].startswith("network: ")
        assert "lr=" in "".join(lines)
        assert len({*lines}) == len(lines)
