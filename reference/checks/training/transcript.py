"""A training run in words: the network, the loss, and each stage with its optimizer and hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.programs.task import BY_HAND, Cleared, ListedAs, Stage, Task

_FEW = 24  # arrays of more numbers are described by shape and dtype


class Begun(NamedTuple):
    """A stage that has begun, and the number of its first step."""

    step: int
    stage: Stage


def transcript(task: Task, begun: Sequence[Begun], last: int) -> str:
    """Describe a run that ends with step number `last`, line by line."""
    ends = [*(b.step - 1 for b in begun[1:]), last]
    return "\n".join([*_network(task), *(_stage(b, end) for b, end in zip(begun, ends, strict=False))])


def _network(task: Task) -> Iterator[str]:
    hidden, output = task.activations
    options = {
        "activation": hidden if task.network == "MLP" else output,
        **({"output_activation": output} if task.network == "MLP" else {}),
        "init": task.init,
        "dtype": task.dtype,
        "rng": task.seed,
    }
    nin, *nouts = task.widths
    sizes = {"Neuron": (nin,), "Layer": task.widths, "MLP": (nin, nouts)}[task.network]
    yield f"network: {task.network}({', '.join([*map(repr, sizes), _arguments(options)])})"
    x, targets = task.train
    yield f"inputs: {_array(x)}; targets: {_array(targets)}; given as {task.given}" + (
        f"; batches of {task.batch}" if task.batch else ""
    )
    reduction = f", {_arguments(task.reduction)}" if task.reduction else ""
    cotangent = "" if task.cotangent is None else f"; cotangent: {_array(task.cotangent)}"
    yield f"loss: {task.loss}{reduction}{cotangent}"


def _stage(begun: Begun, last: int) -> str:
    stage = begun.stage
    steps = f"step {begun.step}" if last <= begun.step else f"steps {begun.step} to {last}"
    return f"{steps}: {'; '.join([optimizer_text(stage), *_events(stage)])}"


def optimizer_text(stage: Stage) -> str:
    """Describe the optimizer of a stage and its hyperparameters."""
    options = _arguments(stage.options)
    if stage.optimizer == BY_HAND:
        return f"by hand: p.data += -{options.removeprefix('lr=')} * p.grad"
    if stage.goes_on:
        return f"the same {stage.optimizer}" + (f" with {options}" if options else "")
    return f"{stage.optimizer}({options})"


def _events(stage: Stage) -> Iterator[str]:
    """Describe what happens beside the optimizer's steps, as far as it is not the usual."""
    if stage.listed != ListedAs.LIST and not stage.goes_on and stage.optimizer != BY_HAND:
        yield f"its parameters are given as {stage.listed}"
    if stage.saved:
        yield "network and optimizer are saved"
    if stage.reloaded:
        yield f"what was saved {'now' if stage.saved else 'before'} is loaded"
    if stage.frozen:
        yield f"no gradient for {', '.join(stage.frozen)}"
    if stage.cleared != Cleared.ZEROS:
        yield f"gradients are cleared {'' if stage.cleared == Cleared.NOT else 'by '}{stage.cleared}"


def _arguments(options: Any) -> str:
    return ", ".join(f"{name}={_number(option)!r}" for name, option in options.items())


def _number(option: Any) -> Any:
    return option.item() if isinstance(option, np.generic) else option


def _array(array: np.ndarray) -> str:
    return str(array.tolist()) if array.size <= _FEW else f"{array.dtype} {array.shape}"
