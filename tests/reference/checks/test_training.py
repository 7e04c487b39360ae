"""Training in lock-step: the examples and drawn runs agree, and a wrong optimizer, loss or network does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from ndgrad import library, optim
from ndgrad.library import Layer
from ndgrad.library.initial import sample_parameters
from ndgrad.library.inputs import array_of
from ndgrad.library.losses import _reduced
from ndgrad.library.network import _apply_layer
from ndgrad.optim import SGD, Adam, AdamW, RMSprop
from ndgrad.rules import RULES
from reference.checks.training import TASKS, Stage, Task, TrainingRecord, article, digits, draw_task, moons
from reference.checks.training import draw as drawing
from reference.checks.training import train as train_both
from reference.engines import TapeEngine
from reference.engines.ndgrad import training as ndgrad_side
from reference.engines.torch import training as torch_side
from reference.engines.training import Trainer
from reference.mutation import BY_NAME
from reference.mutation.faults.optimizers import as_if
from reference.mutation.planting import Plant, attribute, function, method, plain
from reference.ops.source import Seeded
from reference.programs.task import BY_HAND, Batch, Cleared, Given, ListedAs, Numbers
from reference.verdict import Finding, Kind
from tests.reference.both import BOTH


def train(task: Task) -> TrainingRecord:
    """Train in ndgrad and in PyTorch."""
    return train_both(task, *BOTH)


def short(task: Task, steps: int, *stages: Stage) -> Task:
    """Shorten a task to a few steps on a few examples, one epoch a step."""
    x, targets = task.train
    some = slice(None, 40)
    chosen = tuple(replace(stage, epochs=steps, until_goal=False) for stage in stages or task.stages)
    return replace(task, train=(x[some], targets[some]), batch=None, stages=chosen, test=None, goal=None)


def test_the_article_run_agrees() -> None:
    """Four points, twenty steps at a rate of 0.5: every loss, gradient and parameter agrees, and the loss falls."""
    record = train(article())
    assert record.agrees
    assert record.steps == 20
    assert record.numbers == 20 * (1 + 41 + 41)
    assert record.losses[-1][0] < 0.01 * record.losses[0][0]


def test_the_moons_run_agrees() -> None:
    """Both sides learn to separate the two moons."""
    record = train(moons())
    assert record.agrees
    assert record.accuracy is not None
    assert min(record.accuracy) >= 0.95


def test_digits_are_learned_from_all_but_a_fifth() -> None:
    """Of 1,797 digits a fifth is held out and in no batch; the network is 64-64-32-10."""
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
    """Synced steps of each optimizer agree, and the free engine drifts by less than 1e-9."""
    record = train(short(moons(), 12, stage))
    assert record.agrees
    assert record.steps == 12
    assert max(record.drift) < 1e-9


def without_correction(right: Callable[..., Any]) -> Callable[..., Any]:
    """Make Adam count from a million steps, so that no bias is corrected: wrong on purpose."""

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
    """Momentum with a relative error of 1e-9 is found at the second step, the first in which it matters."""
    right = optim.SGD._moved

    def moved(self: Any, p: Any, g: Any, state: Any) -> Any:
        off = {name: buffer * (1 + 1e-9) for name, buffer in state.items()}
        return right(self, p, g, off)

    monkeypatch.setattr(optim.SGD, "_moved", moved)
    record = train(short(moons(), 5, Stage("SGD", {"lr": 0.1, "momentum": 0.9}, 0)))
    assert record.failures[0][0] == 2


def test_a_wrong_gradient_in_a_network_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relu that passes every cotangent on is found in a gradient of the first step."""
    monkeypatch.setattr(RULES["relu"], "pullbacks", (lambda g, y, x: g,))
    record = train(short(digits(), 3))
    (_, _, finding) = record.failures[0]
    assert finding.part.startswith("grad[")


def test_a_wrong_network_is_found_by_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that forgets its bias is found by its loss."""
    monkeypatch.setattr(Layer, "outputs", lambda self, x: np.tanh(x @ self.weight))
    record = train(short(moons(), 3))
    assert record.failures[0][2].part == "loss"


def test_a_run_that_does_not_learn_does_not_agree() -> None:
    """A run fails if both sides agree but do not reach the goal."""
    task = moons()
    lazy = replace(task, stages=(Stage("SGD", {"lr": 0.0}, 2),))
    record = train(lazy)
    assert not record.failures
    assert not record.agrees


def test_a_run_of_no_steps_does_not_agree() -> None:
    """A run in which nothing was compared does not agree."""
    assert not train(replace(article(), stages=())).agrees


def test_an_engine_of_another_make_is_trained_by_the_same_protocol() -> None:
    """An engine that offers a trainer has training runs; one that offers none is refused by name."""

    class Side(ndgrad_side.NdgradTrainer):
        """Another library, whose gradients may be off by a factor."""

        factor = 1.0

        def step(self, batch: Batch) -> Numbers:
            return {name: x * self.factor if name[0] == "grad" else x for name, x in super().step(batch).items()}

    class Other(TapeEngine):
        """The engine with this library."""

        def trainer(self, task: Task) -> Trainer:
            return Side(task)

    _, torch = BOTH
    other = Other("Other 1", {})
    assert train_both(short(article(), 2), other, torch).agrees
    Side.factor = 1 + 1e-9
    ((step, _, finding),) = train_both(short(article(), 2), other, torch).failures
    assert (step, finding.kind) == (1, Kind.GRADIENT)
    with pytest.raises(ValueError, match="Bare 1 has no training runs"):
        train_both(article(), TapeEngine("Bare 1", {}), torch)


def test_runs_repeat_themselves() -> None:
    """Two runs of a task give the same losses and the same drift, bit by bit."""
    task = short(TASKS["digits"](), 3)
    once, again = train(task), train(task)
    assert (once.losses, once.drift) == (again.losses, again.drift)


# Drawn runs.


def draw(number: int, seed: str = "tests") -> Task:
    """Draw run `number` of a seed."""
    return draw_task(Seeded(seed, number))


@cache
def many() -> tuple[Task, ...]:
    """Draw four hundred runs, once."""
    return tuple(draw(i) for i in range(400))


def stages() -> Iterator[Stage]:
    """Return all their stages."""
    return (stage for task in many() for stage in task.stages)


@pytest.mark.parametrize("number", range(40))
def test_drawn_runs_agree(number: int) -> None:
    """Every step of each drawn run agrees."""
    record = train(draw(number))
    assert not record.failures
    assert record.agrees


def test_a_source_draws_the_same_run_again() -> None:
    """The same choices give the same run, bit by bit."""
    once, again = draw(7), draw(7)
    assert repr(once) == repr(again)
    assert repr(once) != repr(draw(8))


def test_runs_are_short() -> None:
    """A drawn run has three to six steps on a few numbers, in read-only arrays."""
    for task in many():
        assert 3 <= sum(stage.epochs for stage in task.stages) <= 6
        assert all(array.size <= 20 and not array.flags.writeable for array in task.train)


def test_everything_in_the_library_is_drawn() -> None:
    """Every kind of network, loss, activation, initializer and reduction is drawn, in both precisions."""
    assert {task.network for task in many()} == {"Neuron", "Layer", "MLP"}
    assert {task.loss for task in many()} == set(ndgrad_side.LOSSES) == set(torch_side.LOSSES)
    assert {task.activations[1] for task in many()} == set(library.ACTIVATIONS) == set(torch_side.ACTIVATIONS)
    assert {task.init for task in many()} == set(library.INITIALIZERS)
    assert {task.reduction.get("reduction") for task in many()} == {None, "mean", "sum", "none"}
    assert {task.dtype for task in many()} == {"float64", "float32"}
    assert {len(task.widths) - 1 for task in many()} == {1, 2, 3}
    assert {task.train[0].ndim for task in many()} == {1, 2, 3}


def test_targets_of_every_kind_are_drawn() -> None:
    """Cross-entropy has labels of several integer dtypes, and probabilities that need not add up to 1."""
    targets = [task.train[1] for task in many() if task.loss == "cross-entropy"]
    assert {array.dtype.kind for array in targets} == {"i", "u", "f"}
    assert any(array.dtype.kind == "f" and (array.sum(-1) != 1).any() for array in targets)


def test_losses_are_weighed() -> None:
    """Most losses have a cotangent other than 1: a single number, or one for each example."""
    weighed = [task.cotangent for task in many() if task.cotangent is not None]
    assert len(weighed) > len(many()) / 2
    assert {cotangent.ndim for cotangent in weighed} == {0, 1, 2, 3}
    assert any(np.unique(cotangent).size > 1 for cotangent in weighed)


KINDS = {kind.__name__: kind for kind in (SGD, Adam, AdamW, RMSprop)}


@pytest.mark.parametrize("optimizer", KINDS)
def test_every_option_of_an_optimizer_is_drawn(optimizer: str) -> None:
    """Each hyperparameter is drawn with several values, as a NumPy scalar, and sometimes left out."""
    mine = [stage.options for stage in stages() if stage.optimizer == optimizer and not stage.goes_on]
    known = [name for name in inspect.signature(KINDS[optimizer]).parameters if name != "params"]
    assert set().union(*mine) == set(known)
    for name in known:
        assert len({str(options[name]) for options in mine if name in options}) > 1
        assert name == "lr" or any(name not in options for options in mine)
    assert any(isinstance(options["lr"], np.float64) for options in mine)


def test_everything_happens_between_steps() -> None:
    """Optimizers change, go on with new options, are saved and loaded; gradients are missing or accumulate."""
    assert {stage.cleared for stage in stages()} == set(Cleared)
    assert {stage.listed for stage in stages()} == set(ListedAs)
    assert {stage.optimizer for stage in stages()} == {BY_HAND, *KINDS}
    assert {task.given for task in many()} == set(Given)
    assert any(stage.goes_on and stage.options.keys() == {"weight_decay"} for stage in stages())
    assert any(len({stage.optimizer for stage in task.stages}) > 2 for task in many())
    assert {(stage.saved, stage.reloaded) for stage in stages()} == {
        (a, b) for a in (True, False) for b in (True, False)
    }
    assert any(stage.frozen for stage in stages())


def test_something_always_wants_a_gradient() -> None:
    """A stage never freezes all parameters, since nothing would be left to differentiate."""
    for task in many():
        for stage in task.stages:
            assert len(set(stage.frozen)) < len(drawing.parameters(task.network, len(task.widths) - 1))


# Faults, wrong on purpose. The runs that find them are drawn without knowledge of them.


def one_too_many(right: Callable[..., Any]) -> Callable[..., Any]:
    """Divide a mean by one more than the count."""
    return lambda losses, reduction: right(losses, reduction) * (losses.size / (losses.size + 1))


def frozen_bias(right: Callable[..., Any]) -> Callable[..., Any]:
    """Make a layer whose bias requires no gradient."""

    def init(layer: Layer, *args: Any, **options: Any) -> None:
        right(layer, *args, **options)
        layer.bias.requires_grad = False

    return init


def without_average(right: Callable[..., Any]) -> Callable[..., Any]:
    """Lose Adam's first moment after each step."""

    def adapted(*args: Any) -> tuple[Any, dict[str, Any]]:
        data, state = right(*args)
        return data, {name: x for name, x in state.items() if name != "exp_avg"}

    return adapted


# fmt: off
FAULTS: dict[str, Plant] = {
    "nesterov looks along the old sum":
        BY_NAME["b206-old-buffer"].plant,
    "the first gradient is dampened":
        BY_NAME["b205-dampened"].plant,
    "the sum begins as the gradient's array":
        BY_NAME["b208-sgd"].plant,
    "Adam's count is shared":
        BY_NAME["b212-adam"].plant,
    "Adam's rate is off by 1e-7":
        method(Adam, "_adapted", as_if(lr=lambda adam: (1 + 1e-7) * adam.lr)),
    "AdamW is coupled":
        attribute(AdamW, "_moved", Adam._moved),
    "RMSprop's eps is in the root":
        BY_NAME["rmsprop-eps-in-the-root"].plant,
    "weight decay is written into gradients":
        BY_NAME["decay-into-gradient"].plant,
    "a step ends at a missing gradient":
        BY_NAME["b216-optimizer"].plant,
    "zero_grad forgets all but the first":
        BY_NAME["b222-optimizer"].plant,
    "what is saved is shared":
        BY_NAME["state-given-shared"].plant,
    "hyperparameters are not loaded":
        BY_NAME["state-loaded-half"].plant,
    "the mean is over one number too many":
        function(_reduced, one_too_many),
    "the bias is not trained":
        method(Layer, "__init__", frozen_bias),
    "inputs get no gradient":
        function(_apply_layer, lambda right: lambda layer, x: right(layer, plain(array_of(x, layer.weight.dtype)))),
    "the last layer has the hidden ones' activation":
        BY_NAME["b227-activated"].plant,
    "a batch of one loses its axis":
        BY_NAME["layer-output-squeezed"].plant,
}
# fmt: on


def found(plant: Plant, within: int) -> Finding | None:
    """Plant a fault, and return the finding of the first drawn run that fails."""
    with plant():
        records = (train(draw(i, "faults")) for i in range(within))
        return next((record.failures[0][2] for record in records if record.failures), None)


@pytest.mark.parametrize("fault", FAULTS)
def test_drawn_runs_find_a_fault(fault: str) -> None:
    """Sixty runs are enough to find each of these faults."""
    assert found(FAULTS[fault], 60)


def test_a_shared_array_is_reported() -> None:
    """A buffer that is the gradient's own array is reported as sharing memory, before any number is wrong."""
    finding = found(FAULTS["the sum begins as the gradient's array"], 60)
    assert finding is not None
    assert (finding.kind, finding.part.partition("[")[0]) == (Kind.ALIASED, "momentum_buffer")
    assert finding.says.startswith("shares its memory with grad[")


def test_a_missing_buffer_is_reported() -> None:
    """A buffer that PyTorch's optimizer has and ndgrad's lacks is reported, though the step is right."""
    finding = found(method(Adam, "_adapted", without_average), 60)
    assert finding is not None
    assert (finding.kind, finding.says) == (Kind.MISSING, "is missing")
    assert finding.part.startswith("exp_avg[")


def test_single_precision_is_judged_by_its_own_rounding() -> None:
    """In float32 a run agrees, and a rate that is off by 1e-5 is found."""
    wrong = method(SGD, "_moved", as_if(lr=lambda sgd: (1 + 1e-5) * sgd.lr))
    task = replace(article_by("SGD", {"lr": 0.3, "momentum": 0.9}), dtype="float32")
    assert train(task).agrees
    with wrong():
        assert train(task).failures[0][2].part.startswith("parameter[")


def article_by(optimizer: str, options: dict[str, Any], steps: int = 5) -> Task:
    """Return the article's run with another optimizer."""
    return replace(article(), stages=(Stage(optimizer, options, steps),))


def refusing(*args: Any, **options: Any) -> None:
    """Raise, on purpose."""
    raise ValueError("no")


@pytest.mark.parametrize(
    ("kind", "name", "optimizer"),
    [(library.MLP, "__init__", "the start"), (SGD, "__init__", "SGD"), (SGD, "step", "SGD")],
)
def test_an_error_in_ndgrad_is_a_failure(kind: type, name: str, optimizer: str) -> None:
    """A run in which ndgrad raises ends with a finding that says what was raised and where."""
    with attribute(kind, name, refusing)():
        record = train(article_by("SGD", {"lr": 0.1}))
    assert record.failures == [(1, optimizer, Finding(Kind.RAISED, "the step", "raised ValueError: no"))]
    assert not record.agrees


def test_an_error_in_the_reference_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error on PyTorch's side is raised, and is not counted as a failure of ndgrad."""
    monkeypatch.setattr(torch_side.TorchTrainer, "step", refusing)
    with pytest.raises(ValueError, match="no"):
        train(article())


def test_parameters_of_a_wrong_shape_are_reported() -> None:
    """Shapes of initial parameters are checked first, since PyTorch starts from ndgrad's parameters."""

    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        def weights(*args: Any) -> tuple[Any, Any]:
            weight, bias = right(*args)
            return weight, bias[None]

        return weights

    with function(sample_parameters, change)():
        record = train(article())
    assert record.failures[0][2].kind is Kind.SHAPE
    assert record.steps == 0


def test_a_diverging_run_ends() -> None:
    """A run ends when its loss has grown too large, before only infinities are left to compare."""
    record = train(article_by("SGD", {"lr": 30.0, "maximize": True}, steps=50))
    assert record.agrees
    far = train(replace(article_by("SGD", {"lr": 30.0}, steps=50), activations=("linear", "linear")))
    assert far.agrees
    assert far.steps < 50
    assert np.isfinite(far.losses).all()


def test_saved_and_returned_to() -> None:
    """Loading restores parameters, state and options, at once into new objects and later into the old ones."""
    options = {"lr": 0.1, "betas": (0.5, 0.9)}
    go_on = Stage("Adam", {}, 1, goes_on=True)
    saved, changed = replace(go_on, saved=True), replace(go_on, options={"lr": 0.5})
    returned, renewed = replace(go_on, reloaded=True), replace(go_on, saved=True, reloaded=True)
    first = Stage("Adam", options, 1)
    back = train(replace(article(), stages=(first, saved, changed, changed, returned)))
    assert back.agrees
    assert back.losses[1] == back.losses[4]
    assert train(replace(article(), stages=(first, go_on, renewed, go_on))).agrees


def test_the_record_counts_every_buffer() -> None:
    """Adam's two averages and its step count are compared like parameters and gradients."""
    record = train(article_by("Adam", {"lr": 0.1}, steps=3))
    assert isinstance(record, TrainingRecord)
    assert record.numbers == 3 * (1 + 4 * 41 + 6)
