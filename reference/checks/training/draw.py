"""Draws training runs: any network, loss and optimizer, and the events between two steps.

It knows the options of ndgrad's library and optimizers. It knows none of the planted faults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reference.ops.source import Source, chance, pick, picks
from reference.programs.task import BY_HAND, Batch, Cleared, Given, ListedAs, Stage, Task

_NUMBERS = (1.0, -1.0, 0.5, 2.0, -0.5, 0.0, 1.5, -2.0, 0.25, -0.75, 3.0, 0.125)
_PROBABILITIES = (0.0, 1.0, 0.5, 0.25, 0.75)  # those of one example need not add up to 1
_ACTIVATIONS = ("tanh", "linear", "relu", "leaky_relu", "sigmoid", "softplus")
_INITIALIZERS = ("uniform", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal")

# fmt: off
_FLAG     = (False, True)
_RATES    = (0.1, 0.01, 0.001, 0.3)
_MOMENTA  = (0.9, 0.5, 0.0)
_EPS      = (1e-8, 1e-3, 0.1, 1e-12)
_COMMON   = {"lr": _RATES, "weight_decay": (0.01, 0.0, 0.3), "maximize": _FLAG}
_ADAM     = {"betas": ((0.9, 0.999), (0.5, 0.9), (0.0, 0.5), (0.9, 0.0)), "eps": _EPS, "amsgrad": _FLAG}
_OPTIONS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    BY_HAND:     {"lr": _RATES},
    "SGD":       {**_COMMON, "momentum": _MOMENTA, "dampening": (0.0, 0.5, 0.1), "nesterov": _FLAG},
    "Adam":      {**_COMMON, **_ADAM},
    "AdamW":     {**_COMMON, **_ADAM},
    "RMSprop":   {**_COMMON, "alpha": (0.99, 0.9, 0.5), "eps": _EPS, "momentum": _MOMENTA, "centered": _FLAG},
}
# fmt: on
_FREQUENCIES = [BY_HAND, *["SGD"] * 3, *["Adam"] * 2, *["AdamW"] * 2, *["RMSprop"] * 3]  # how often each is drawn


def draw_task(source: Source) -> Task:
    """Draw a run of three to six steps."""
    loss = pick(source, ["mean squared error", "hinge", "cross-entropy", "sum of squares", "cross-entropy"])
    network = pick(source, ["Layer", "MLP", "MLP", "Layer" if loss == "cross-entropy" else "Neuron"])
    widths = _widths(source, network, loss)
    batch = pick(source, [(2,), (3,), (1,), (4,)] + [(), (2, 2), (1, 3)] * (loss != "sum of squares"))
    dtype = np.dtype(pick(source, ["float64", "float64", "float32"]))
    x, targets = _batch(source, loss, batch, widths, dtype)
    reduction = {} if loss == "sum of squares" else _reduction(source)
    each = batch if loss == "cross-entropy" else targets.shape
    return Task(
        name=f"{network} {'-'.join(map(str, widths))}, {loss}, {dtype}",
        widths=widths,
        activations=_activations(source),
        loss=loss,
        train=(x, targets),
        seed=source.integer(0, 999),
        init=pick(source, _INITIALIZERS),
        network=network,
        dtype=str(dtype),
        given=pick(source, list(Given)[: None if batch else 3]),  # a single example has no rows
        reduction=reduction,
        cotangent=_cotangent(source, each if reduction.get("reduction") == "none" else (), dtype),
        stages=_stages(source, parameters(network, len(widths) - 1)),  # drawn last, since each is a block of its own
    )


def _activations(source: Source) -> tuple[str, str]:
    """Draw the hidden and the last activation: often the same (the default), and often linear at the end."""
    hidden = pick(source, _ACTIVATIONS)
    return hidden, pick(source, [hidden, hidden, "linear", "linear", *_ACTIVATIONS])


def parameters(network: str, layers: int) -> list[str]:
    """Return the names of the parameters."""
    places = [f"layers.{i}." for i in range(layers)] if network == "MLP" else [""]
    return [f"{place}{name}" for place in places for name in ("weight", "bias")]


def _widths(source: Source, network: str, loss: str) -> tuple[int, ...]:
    """Draw the widths. A neuron and the article's loss have a single output; classes are two or more."""
    hidden = [source.integer(1, 4) for _ in range(source.integer(0, 2) if network == "MLP" else 0)]
    alone = network == "Neuron" or loss == "sum of squares"
    last = 1 if alone else source.integer(2 if loss == "cross-entropy" else 1, 4)
    return (source.integer(1, 4), *hidden, last)


def _batch(source: Source, loss: str, batch: tuple[int, ...], widths: tuple[int, ...], dtype: np.dtype[Any]) -> Batch:
    """Draw inputs, and targets that suit the loss. The arrays are read-only."""
    x = _array(source, (*batch, widths[0]), _NUMBERS, dtype)
    outputs = batch if widths[-1] == 1 else (*batch, widths[-1])
    if loss == "hinge":
        targets = _array(source, outputs, (1, -1), dtype)
    elif loss != "cross-entropy":
        targets = _array(source, outputs, _NUMBERS, dtype)
    elif chance(source, 40):
        targets = _array(source, outputs, _PROBABILITIES, dtype)
    else:
        integers = np.dtype(pick(source, ["int64", "int32", "uint8"]))
        targets = _array(source, batch, range(widths[-1]), integers)
    return x, targets


def _array(source: Source, shape: tuple[int, ...], numbers: Sequence[float], dtype: np.dtype[Any]) -> np.ndarray:
    array = np.array(picks(source, numbers, math.prod(shape)), dtype).reshape(shape)
    array.flags.writeable = False
    return array


def _reduction(source: Source) -> dict[str, str]:
    reduction = pick(source, ["", "mean", "sum", "none", "none"])
    return {"reduction": reduction} if reduction else {}


def _cotangent(source: Source, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
    """Draw the cotangent of the loss. If the loss is a single number, it may be None, which means 1."""
    return None if not shape and chance(source, 40) else _array(source, shape, _NUMBERS, dtype)


# Stages.


def _stages(source: Source, parameters: Sequence[str]) -> tuple[Stage, ...]:
    """Draw a stage for each step. Mostly the optimizer goes on, with some event before the step."""
    stages: list[Stage] = []
    for _ in source.blocks("step", 3, 6):
        new = not stages or chance(source, 25)
        stages.append(_new_stage(source, parameters) if new else _next_stage(source, stages, parameters))
    return tuple(stages)


def _new_stage(source: Source, parameters: Sequence[str]) -> Stage:
    """Draw a step of a new optimizer."""
    optimizer = pick(source, _FREQUENCIES)
    options = {
        name: _option_value(source, choices)
        for name, choices in _OPTIONS[optimizer].items()
        if name == "lr" or chance(source, 70)  # SGD has no default rate
    }
    if options.get("nesterov"):  # both sides refuse it without momentum, or with dampening
        options["momentum"] = options.get("momentum") or 0.9
        options.pop("dampening", None)
    return Stage(optimizer, options, 1, listed=pick(source, list(ListedAs)), **_events(source, parameters))


def _next_stage(source: Source, stages: Sequence[Stage], parameters: Sequence[str]) -> Stage:
    """Draw a further step of an optimizer. Only options that need no new buffers may change."""
    optimizer = stages[-1].optimizer
    changed = [name for name in ("lr", "weight_decay") if name in _OPTIONS[optimizer] and chance(source, 20)]
    if optimizer == BY_HAND:
        changed = ["lr"]
    options = {name: _option_value(source, _OPTIONS[optimizer][name]) for name in changed}
    saved = chance(source, 20)
    reloaded = (saved or _is_saved(stages)) and chance(source, 50)
    return Stage(optimizer, options, 1, goes_on=True, saved=saved, reloaded=reloaded, **_events(source, parameters))


def _is_saved(stages: Sequence[Stage]) -> bool:
    """Whether the optimizer has been saved since it was made, and not loaded since then."""
    for stage in reversed(stages):
        if stage.reloaded or not stage.goes_on:
            return False
        if stage.saved:
            return True
    return False


def _option_value(source: Source, choices: Sequence[Any]) -> Any:
    """Draw an option's value. A number is sometimes a NumPy scalar, as a schedule written with NumPy gives it."""
    value = pick(source, choices)
    return np.float64(value) if isinstance(value, float) and chance(source, 25) else value


def _events(source: Source, parameters: Sequence[str]) -> dict[str, Any]:
    """Draw the events of a step: which parameters get no gradient, and how gradients are cleared."""
    frozen = tuple(name for name in parameters if chance(source, 40)) if chance(source, 30) else ()
    frozen = frozen if len(frozen) < len(parameters) else frozen[1:]
    return {"frozen": frozen, "cleared": pick(source, list(Cleared))}
