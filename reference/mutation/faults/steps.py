"""Faults common to all optimizers: which parameters move, and how gradients and states are stored, saved and loaded.

The table knows the parts of a step. With a wrong step training still works, only worse. The table does not know which
checks notice it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ndgrad import Module, Value
from ndgrad.optim import SGD, Optimizer
from ndgrad.optim.hyperparameters import Hyperparameter, number
from ndgrad.optim.optimizer import _buffer, _parameters
from reference.mutation.faults.optimizers import Moved, Right, State, like
from reference.mutation.planting import Fault, attribute, function, method, setter, together

# Steps and gradients.


def _dtype_assigned(right: Right) -> Right:
    """Data takes on the dtype of the assigned array."""

    def write(value: Value, data: Any) -> None:
        before = value.data
        right(value, data)
        if data is not before:
            value._array = np.array(data)

    return write


def _of_params(optimizer: Optimizer, params: list[Value], step: Right) -> None:
    """Make a step with these parameters only."""
    whole = optimizer.params
    try:
        optimizer.params = params
        step(optimizer)
    finally:
        optimizer.params = whole


def _up_to_a_missing_one(right: Right) -> Right:
    def step(optimizer: Optimizer) -> None:
        missing = (i for i, p in enumerate(optimizer.params) if not p.has_grad)
        _of_params(optimizer, optimizer.params[: next(missing, None)], right)

    return step


def _one_by_one(right: Right) -> Right:
    """Move the parameters one after the other."""

    def step(optimizer: Optimizer) -> None:
        states = optimizer.state
        for i, p in enumerate(optimizer.params):
            optimizer.state = [states[i]]
            _of_params(optimizer, [p], right)
            states[i] = optimizer.state[0]
        optimizer.state = states

    return step


def _as_listed(right: Right) -> Right:
    def parameters(params: Any) -> list[Value]:
        params = list(params) if isinstance(params, Iterable) and not isinstance(params, Value) else params
        right(params)
        return params  # type: ignore[no-any-return]

    return parameters


def _generator_as_it_is(right: Right) -> Right:
    return lambda params: params if isinstance(params, Iterator) else right(params)


def _zeros_for_missing(right: Right) -> Right:
    def step(optimizer: Optimizer) -> None:
        missing = [p for p in optimizer.params if not p.has_grad]
        for p in missing:
            p.grad = 0.0
        right(optimizer)
        for p in missing:
            p.zero_grad()

    return step


@contextmanager
def writes_unnoticed(parameters: Iterable[Value]) -> Iterator[None]:
    """Hide writes to parameters from the graph."""
    before = [(p, getattr(p, "_written", None)) for p in parameters]
    yield
    for p, written in before:
        if written is not None:
            p._written = written
        elif hasattr(p, "_written"):
            del p._written


def _unnoticed_step(right: Right) -> Right:
    def step(optimizer: Optimizer) -> None:
        with writes_unnoticed(optimizer.params):
            right(optimizer)

    return step


def _decayed_in_place(right: Right) -> Right:
    def gradient(optimizer: Any, p: Any, g: Any) -> Any:
        if not optimizer.weight_decay or optimizer.maximize:
            return right(optimizer, p, g)
        g += optimizer.weight_decay * p
        return g

    return gradient


def _turned_round(right: Right) -> Right:
    def gradient(optimizer: Any, p: Any, g: Any) -> Any:
        return -right(like(optimizer, maximize=False), p, g) if optimizer.maximize else right(optimizer, p, g)

    return gradient


def _first_set(right: Right) -> Right:
    def write(descriptor: Any, optimizer: Any, given: Any) -> None:
        before = dict(optimizer.hyperparameters)
        right(descriptor, optimizer, given)
        optimizer.hyperparameters.update(before)

    return write


def _own_buffers(right: Right) -> Right:
    def state_dict(optimizer: Optimizer) -> dict[str, Any]:
        own = {f"{i}.{name}": x for i, state in enumerate(optimizer.state) for name, x in state.items()}
        return {**right(optimizer), **own}

    return state_dict


def _loaded_uncopied(right: Right) -> Right:
    def buffer(name: str, entries: dict[str, Any], p: Value) -> Any:
        given = entries.get(name)
        loaded = right(name, entries, p)
        return given if given is not None and given.dtype == loaded.dtype else loaded

    return buffer


def _counted_from_0(right: Right) -> Right:
    return lambda name, entries, p: right(name, entries, p) * (0 if name.endswith(".step") else 1)


def _state_alone(right: Right) -> Right:
    def load(optimizer: Optimizer, saved: Any) -> None:
        before = optimizer.hyperparameters
        right(optimizer, saved)
        optimizer.hyperparameters = before

    return load


def _first_zeroed(module: Module) -> None:
    for parameter in module.parameters()[:1]:
        parameter.zero_grad()


def _written_over(right: Right) -> Right:
    """Compute the momentum in place, in its buffer."""

    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        data, new = right(optimizer, p, g, state)
        if "momentum_buffer" in state and "momentum_buffer" in new:
            state["momentum_buffer"][...] = new["momentum_buffer"]
            new["momentum_buffer"] = state["momentum_buffer"]
        return data, new

    return moved


_IN_PLACE = method(SGD, "_moved", _written_over)

# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                        what is wrong                                                                   source                          rows
    #     its plant
    Fault("b176-optimizer",           "a learning rate that is a NumPy number turns single precision into double",    "folklore",                     (),
          together(function(number, lambda right: lambda name, given: np.float64(right(name, given))), setter(Value, "data", _dtype_assigned))),
    Fault("b216-optimizer",           "a step ends at the first parameter without a gradient",                        "oreilly/dezero@1b84c15",       (),
          method(Optimizer, "step", _up_to_a_missing_one)),
    Fault("b218-optimizer",           "parameters from a generator are found only once",                              "folklore",                     (),
          function(_parameters, _generator_as_it_is)),
    Fault("b219-optimizer",           "a parameter that is listed twice moves twice",                                 "folklore",                     (),
          together(function(_parameters, _as_listed), method(Optimizer, "step", _one_by_one))),
    Fault("b222-optimizer",           "zero_grad clears only the first parameter",                                    "torchforge#71",                (),
          attribute(Optimizer, "zero_grad", lambda optimizer: optimizer.params[0].zero_grad())),
    Fault("b222-module",              "a module's zero_grad clears only the first parameter",                         "DAB-DETR#58",                  (),
          attribute(Module, "zero_grad", _first_zeroed)),
    Fault("step-missing-as-0",        "a missing gradient counts as 0: momentum and weight decay go on",              "ours",                         (),
          method(Optimizer, "step", _zeros_for_missing)),
    Fault("step-unnoticed",           "a step's writes go unnoticed: a later backward pass is silently wrong",        "ours",                         (),
          method(Optimizer, "step", _unnoticed_step)),
    Fault("decay-into-gradient",      "weight decay is added to the parameter's own gradient, in place",              "ours",                         (),
          method(Optimizer, "_gradient", _decayed_in_place)),
    Fault("decay-maximized",          "maximize also flips the sign of weight decay",                                 "ours",                         (),
          method(Optimizer, "_gradient", _turned_round)),
    Fault("rate-never-changes",       "hyperparameters keep their first values",                                      "ours",                         (),
          method(Hyperparameter, "__set__", _first_set)),
    Fault("state-given-shared",       "state_dict returns the buffers themselves, and later steps write into them",   "ours",                         (),
          together(method(Optimizer, "state_dict", _own_buffers), _IN_PLACE)),
    Fault("state-loaded-shared",      "a loaded state is not copied, and later steps write into it",                  "ours",                         (),
          together(function(_buffer, _loaded_uncopied), _IN_PLACE)),
    Fault("state-loaded-half",        "hyperparameters are not loaded",                                               "ours",                         (),
          method(Optimizer, "load_state_dict", _state_alone)),
    Fault("state-loaded-at-0",        "loading a state resets the step count",                                        "ours",                         (),
          function(_buffer, _counted_from_0)),
)
# fmt: on
