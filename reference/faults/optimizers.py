"""Faults of the optimizers: a formula, a state, a step.

It knows their formulas, and that training goes on with a wrong one, only worse. Who finds out, it does not know.
A wrong step is mostly the right one of other hyperparameters, of another gradient, or from another state.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ndgrad import Module, Value
from ndgrad.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from ndgrad.optim.hyperparameters import Hyperparameter, number
from ndgrad.optim.optimizer import _buffer, _parameters
from reference.faults.planting import Change, Fault, attribute, function, method, setter, together

Right = Callable[..., Any]
State = dict[str, Any]
Moved = tuple[Any, State]


def _like(optimizer: Any, **hyperparameters: Any) -> Any:
    """The same optimizer with other hyperparameters."""
    other = copy.copy(optimizer)
    other.hyperparameters = {**optimizer.hyperparameters, **hyperparameters}
    return other


def as_if(**changes: Callable[[Any], Any]) -> Change:
    """A step with other hyperparameters, each worked out from the optimizer."""

    def change(right: Right) -> Right:
        def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
            other = _like(optimizer, **{name: worked_out(optimizer) for name, worked_out in changes.items()})
            return right(other, p, g, state)  # type: ignore[no-any-return]

        return moved

    return change


def _from_state(changed: Callable[[Any, Any, State], State]) -> Change:
    """A step from another state: `changed(optimizer, p, state)`."""
    return lambda right: lambda optimizer, p, g, state: right(optimizer, p, g, changed(optimizer, p, state))


# SGD.


def _dampened_from_0(optimizer: Any, p: Any, state: State) -> State:
    return {"momentum_buffer": 0.0 * p, **state} if optimizer.momentum else state


def _looking(ahead: Callable[[Any, State, State], Any]) -> Change:
    """With nesterov, a step by the gradient and `ahead(momentum, state before, state after)`."""

    def change(right: Right) -> Right:
        def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
            data, new = right(optimizer, p, g, state)
            if not optimizer.momentum or not optimizer.nesterov:
                return data, new
            g = optimizer._gradient(p, g)
            return p - optimizer.lr * (g + ahead(optimizer.momentum, state, new)), new

        return moved

    return change


def _begun_with_the_gradient(right: Right) -> Right:
    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        data, new = right(optimizer, p, g, state)
        begins = optimizer.momentum and "momentum_buffer" not in state
        return data, {"momentum_buffer": optimizer._gradient(p, g)} if begins else new

    return moved


def _summed_with_rate(right: Right) -> Right:
    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        plain = _like(optimizer, lr=1.0, weight_decay=0.0, maximize=False)
        return right(plain, p, optimizer.lr * optimizer._gradient(p, g), state)  # type: ignore[no-any-return]

    return moved


def _written_over(right: Right) -> Right:
    """Momentum that is worked out where it is kept."""

    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        data, new = right(optimizer, p, g, state)
        if "momentum_buffer" in state and "momentum_buffer" in new:
            state["momentum_buffer"][...] = new["momentum_buffer"]
            new["momentum_buffer"] = state["momentum_buffer"]
        return data, new

    return moved


_IN_PLACE = method(SGD, "_moved", _written_over)

# Adam and AdamW.


def _counting(steps: Callable[[Any, State], int]) -> Change:
    """A step as if `steps(optimizer, state)` had been made before."""
    return _from_state(lambda optimizer, p, state: {**state, "step": steps(optimizer, state)})


def _on_one_counter(optimizer: Any, state: State) -> int:
    del state
    steps = vars(optimizer).get("_steps", 0)
    optimizer._steps = steps + 1
    return int(steps)


def _steps(state: State) -> int:
    return int(state.get("step", 0))


def _late(right: Right) -> Right:
    def adapted(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        data, new = right(optimizer, p, g, {**state, "step": _steps(state) + 1})
        return data, {**new, "step": new["step"] - 1}

    return adapted


def _uphill(right: Right) -> Right:
    def adapted(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        down, new = right(optimizer, 0.0 * p, g, state)
        return p - down, new

    return adapted


def _uncorrected(right: Right) -> Right:
    def adapted(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        rate = optimizer.lr * (1 - optimizer.betas[0] ** (_steps(state) + 1))
        return right(_like(optimizer, lr=rate), p, g, state)  # type: ignore[no-any-return]

    return adapted


def _largest_corrected(right: Right) -> Right:
    """The largest is kept of second moments over 1 - beta2**t."""

    def adapted(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        bias = 1 - optimizer.betas[1] ** (_steps(state) + 1)
        data, new = right(optimizer, p, g, {**state, "max_exp_avg_sq": bias * state.get("max_exp_avg_sq", 0.0)})
        return data, {**new, "max_exp_avg_sq": new["max_exp_avg_sq"] / bias}

    return lambda optimizer, *given: (adapted if optimizer.amsgrad else right)(optimizer, *given)


def _largest_of_two(right: Right) -> Right:
    def adapted(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        data, new = right(optimizer, p, g, state)
        return data, {**new, "max_exp_avg_sq": new["exp_avg_sq"]} if optimizer.amsgrad else new

    return adapted


def _decayed_late(right: Right) -> Right:
    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        data, new = right(_like(optimizer, weight_decay=0.0), p, g, state)
        return data * (1 - optimizer.lr * optimizer.weight_decay), new

    return moved


def _decayed_unrated(right: Right) -> Right:
    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        return right(_like(optimizer, weight_decay=0.0), p * (1 - optimizer.weight_decay), g, state)  # type: ignore[no-any-return]

    return moved


# RMSprop.


def _steps_with_rate(right: Right) -> Right:
    """Momentum sums up the steps of an optimizer without momentum."""

    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        if not optimizer.momentum:
            return right(optimizer, p, g, state)  # type: ignore[no-any-return]
        alone = _like(optimizer, momentum=0.0, weight_decay=0.0, maximize=False)
        down, new = right(alone, 0.0 * p, optimizer._gradient(p, g), state)
        b = optimizer.momentum * state.get("momentum_buffer", 0.0) - down
        return p - b, {**new, "momentum_buffer": b}

    return moved


# What all optimizers do.


def _dtype_assigned(right: Right) -> Right:
    """Data takes the dtype of what is assigned."""

    def write(value: Value, data: Any) -> None:
        before = value.data
        right(value, data)
        if data is not before:
            value._array = np.array(data)

    return write


def _of_params(optimizer: Optimizer, params: list[Value], step: Right) -> None:
    """A step of some of the first parameters."""
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
    """Each parameter moves when those before it have moved."""

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


def _generator_kept(right: Right) -> Right:
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
def unnoticed(parameters: Iterable[Value]) -> Iterator[None]:
    """Let parameters be written to, and none of them tell when."""
    before = [(p, getattr(p, "_written", None)) for p in parameters]
    yield
    for p, written in before:
        if written is not None:
            p._written = written
        elif hasattr(p, "_written"):
            del p._written


def _unnoticed_step(right: Right) -> Right:
    def step(optimizer: Optimizer) -> None:
        with unnoticed(optimizer.params):
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
        return -right(_like(optimizer, maximize=False), p, g) if optimizer.maximize else right(optimizer, p, g)

    return gradient


def _first_set(right: Right) -> Right:
    def write(descriptor: Any, optimizer: Any, given: Any) -> None:
        before = dict(optimizer.hyperparameters)
        right(descriptor, optimizer, given)
        optimizer.hyperparameters.update(before)

    return write


def _given_themselves(right: Right) -> Right:
    def state_dict(optimizer: Optimizer) -> dict[str, Any]:
        own = {f"{i}.{name}": x for i, state in enumerate(optimizer.state) for name, x in state.items()}
        return {**right(optimizer), **own}

    return state_dict


def _taken_as_they_are(right: Right) -> Right:
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


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                        what is wrong                                                                   source                          rows
    #     how it is planted

    # SGD.
    Fault("b204-sgd",                 "without momentum there is no weight decay",                                    "ml-explore/mlx#440",           (),
          method(SGD, "_moved", as_if(weight_decay=lambda o: o.weight_decay if o.momentum else 0.0))),
    Fault("b205-dampened",            "the first gradient is dampened, too",                                          "ml-explore/mlx#473",           (),
          method(SGD, "_moved", _from_state(_dampened_from_0))),
    Fault("b205-averaged",            "momentum is a running average: gradients count by 1 - momentum",               "ml-explore/mlx#87",            (),
          method(SGD, "_moved", as_if(dampening=lambda o: o.momentum))),
    Fault("b206-old-buffer",          "nesterov looks ahead along the sum before this step",                          "PaddlePaddle/Paddle#12231",    (),
          method(SGD, "_moved", _looking(lambda momentum, before, after: momentum * before.get("momentum_buffer", 0.0)))),
    Fault("b206-sign",                "nesterov looks back",                                                          "oysteijo/simd_neuralnet#17",   (),
          method(SGD, "_moved", _looking(lambda momentum, before, after: -momentum * after["momentum_buffer"]))),
    Fault("b208-sgd",                 "the sum of gradients begins as the very array of the first one",               "pytorch/pytorch#194664",       (),
          method(SGD, "_moved", _begun_with_the_gradient)),
    Fault("sgd-dampening-lost",       "dampening has no effect",                                                      "ours",                         (),
          method(SGD, "_moved", as_if(dampening=lambda o: 0.0))),
    Fault("sgd-rate-in-buffer",       "the sum is of gradients times their rate, which shows when the rate changes",  "ours",                         (),
          method(SGD, "_moved", _summed_with_rate)),

    # Adam and AdamW.
    Fault("b211-late",                "bias is corrected as if one step more had been made",                          "tensorflow/tensorflow#35444",  (),
          method(Adam, "_adapted", _late)),
    Fault("b211-shared",              "all parameters count on one counter: right for the first of them",             "clab/dynet#77",                (),
          method(Adam, "_adapted", _counting(_on_one_counter))),
    Fault("b212-adam",                "a parameter counts the steps of all, those without a gradient of its own too", "InfiniTensor/InfiniTrain#235", (),
          method(Adam, "_adapted", _counting(lambda optimizer, state: max(map(_steps, optimizer.state))))),
    Fault("b213-square",              "the second moment is the average of the gradients' sizes, not their squares",  "pennylane#1929",               (),
          method(Adam, "_second_moment", lambda right: lambda optimizer, g, state: right(optimizer, np.sqrt(np.abs(g)), state))),
    Fault("b213-sign",                "the step goes uphill",                                                         "pytorch/pytorch#11678",        (),
          method(Adam, "_adapted", _uphill)),
    Fault("b214-adamw",               "AdamW's weight decay is added to the gradient, as Adam's is",                  "aiqm/torchani#261",            (),
          attribute(AdamW, "_moved", Adam._moved)),
    Fault("b214-adam",                "Adam's weight decay is decoupled, as AdamW's is",                              "folklore",                     (),
          attribute(Adam, "_moved", AdamW._moved)),
    Fault("adam-eps-in-the-root",     "eps is added inside the root",                                                 "ours",                         (),
          attribute(Adam, "_denominator", lambda o, v, t: np.sqrt(v / (1 - o.betas[1] ** t) + o.eps))),
    Fault("adam-eps-corrected",       "eps is added before the bias is corrected",                                    "ours",                         (),
          attribute(Adam, "_denominator", lambda o, v, t: (np.sqrt(v) + o.eps) / (1 - o.betas[1] ** t) ** 0.5)),
    Fault("adam-first-uncorrected",   "the bias of the first moment is not corrected",                                "ours",                         (),
          method(Adam, "_adapted", _uncorrected)),
    Fault("adam-second-uncorrected",  "the bias of the second moment is not corrected",                               "ours",                         (),
          attribute(Adam, "_denominator", lambda o, v, t: np.sqrt(v) + o.eps)),
    Fault("amsgrad-corrected",        "the largest is taken of second moments whose bias is corrected",               "ours",                         (),
          method(Adam, "_adapted", _largest_corrected)),
    Fault("amsgrad-forgets",          "the largest is taken of the last two second moments only",                     "ours",                         (),
          method(Adam, "_adapted", _largest_of_two)),
    Fault("adamw-decay-late",         "the parameter shrinks after the step, and the step with it",                   "ours",                         (),
          method(AdamW, "_moved", _decayed_late)),
    Fault("adamw-decay-unrated",      "weight decay does not depend on the learning rate",                            "ours",                         (),
          method(AdamW, "_moved", _decayed_unrated)),
    Fault("adamw-always-down",        "maximize has no effect",                                                       "ours",                         (),
          method(AdamW, "_moved", as_if(maximize=lambda o: False))),

    # RMSprop.
    Fault("rmsprop-eps-in-the-root",  "eps is added inside the root",                                                 "ours",                         (),
          attribute(RMSprop, "_denominator", lambda o, s: np.sqrt(s + o.eps))),
    Fault("rmsprop-center-unsquared", "the average gradient is taken off, not its square",                            "ours",                         (),
          attribute(RMSprop, "_spread", lambda o, s, a: np.maximum(s - np.abs(a), 0.0))),
    Fault("rmsprop-alpha-exchanged",  "alpha says how much of a new gradient counts, not how much of the old ones",   "ours",                         (),
          method(RMSprop, "_moved", as_if(alpha=lambda o: 1 - o.alpha))),
    Fault("rmsprop-begins-at-1",      "the average of squares begins as 1",                                           "folklore",                     (),
          method(RMSprop, "_moved", _from_state(lambda optimizer, p, state: {"square_avg": 1.0, **state}))),
    Fault("rmsprop-rate-in-buffer",   "the sum is of steps times their rate, which shows when the rate changes",      "ours",                         (),
          method(RMSprop, "_moved", _steps_with_rate)),

    # What all optimizers do.
    Fault("b176-optimizer",           "the learning rate is a NumPy number, and makes double of single precision",    "folklore",                     (),
          together(function(number, lambda right: lambda name, given: np.float64(right(name, given))), setter(Value, "data", _dtype_assigned))),
    Fault("b216-optimizer",           "a step ends at the first parameter without a gradient",                        "oreilly/dezero@1b84c15",       (),
          method(Optimizer, "step", _up_to_a_missing_one)),
    Fault("b218-optimizer",           "parameters from a generator are found but once",                               "folklore",                     (),
          function(_parameters, _generator_kept)),
    Fault("b219-optimizer",           "a parameter that comes twice moves twice",                                     "folklore",                     (),
          together(function(_parameters, _as_listed), method(Optimizer, "step", _one_by_one))),
    Fault("b222-optimizer",           "zero_grad reaches the first parameter alone",                                  "torchforge#71",                (),
          attribute(Optimizer, "zero_grad", lambda optimizer: optimizer.params[0].zero_grad())),
    Fault("b222-module",              "a module's zero_grad reaches the first parameter alone",                       "DAB-DETR#58",                  (),
          attribute(Module, "zero_grad", _first_zeroed)),
    Fault("step-missing-as-0",        "a missing gradient is taken for 0: momentum and weight decay go on",           "ours",                         (),
          method(Optimizer, "step", _zeros_for_missing)),
    Fault("step-unnoticed",           "a step writes behind the graph's back: a pass back after it is wrong",         "ours",                         (),
          method(Optimizer, "step", _unnoticed_step)),
    Fault("decay-into-gradient",      "weight decay is added to the parameter's own gradient, in place",              "ours",                         (),
          method(Optimizer, "_gradient", _decayed_in_place)),
    Fault("decay-maximized",          "maximize turns the penalty round, too",                                        "ours",                         (),
          method(Optimizer, "_gradient", _turned_round)),
    Fault("rate-never-changes",       "hyperparameters stay as they were first set",                                  "ours",                         (),
          method(Hyperparameter, "__set__", _first_set)),
    Fault("state-given-shared",       "state_dict gives the buffers themselves, and later steps write into them",     "ours",                         (),
          together(method(Optimizer, "state_dict", _given_themselves), _IN_PLACE)),
    Fault("state-loaded-shared",      "what is loaded is not copied, and later steps write into it",                  "ours",                         (),
          together(function(_buffer, _taken_as_they_are), _IN_PLACE)),
    Fault("state-loaded-half",        "hyperparameters are not loaded",                                               "ours",                         (),
          method(Optimizer, "load_state_dict", _state_alone)),
    Fault("state-loaded-at-0",        "the count of steps begins again when state is loaded",                         "ours",                         (),
          function(_buffer, _counted_from_0)),
)
# fmt: on
