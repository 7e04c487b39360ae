"""Faults of the optimizers: their formulas, states and steps.

The table knows their formulas. With a wrong one training still works, only worse. The table does not know which checks
notice it. A wrong step is mostly the right step with other hyperparameters, another gradient, or another state.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ndgrad.optim import SGD, Adam, AdamW, RMSprop
from reference.mutation.planting import Change, Fault, attribute, method

Right = Callable[..., Any]
State = dict[str, Any]
Moved = tuple[Any, State]


def like(optimizer: Any, **hyperparameters: Any) -> Any:
    """Copy an optimizer with other hyperparameters."""
    other = copy.copy(optimizer)
    other.hyperparameters = {**optimizer.hyperparameters, **hyperparameters}
    return other


def as_if(**changes: Callable[[Any], Any]) -> Change:
    """Make a step with other hyperparameters, each computed from the optimizer."""

    def change(right: Right) -> Right:
        def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
            other = like(optimizer, **{name: worked_out(optimizer) for name, worked_out in changes.items()})
            return right(other, p, g, state)  # type: ignore[no-any-return]

        return moved

    return change


def _from_state(changed: Callable[[Any, Any, State], State]) -> Change:
    """Make a step from another state, `changed(optimizer, p, state)`."""
    return lambda right: lambda optimizer, p, g, state: right(optimizer, p, g, changed(optimizer, p, state))


# SGD.


def _dampened_from_0(optimizer: Any, p: Any, state: State) -> State:
    return {"momentum_buffer": 0.0 * p, **state} if optimizer.momentum else state


def _looking(ahead: Callable[[Any, State, State], Any]) -> Change:
    """With nesterov, step by the gradient plus `ahead(momentum, state before, state after)`."""

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
        plain = like(optimizer, lr=1.0, weight_decay=0.0, maximize=False)
        return right(plain, p, optimizer.lr * optimizer._gradient(p, g), state)  # type: ignore[no-any-return]

    return moved


# Adam and AdamW.


def _counting(steps: Callable[[Any, State], int]) -> Change:
    """Make a step as if `steps(optimizer, state)` steps had been made before."""
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
        return right(like(optimizer, lr=rate), p, g, state)  # type: ignore[no-any-return]

    return adapted


def _largest_corrected(right: Right) -> Right:
    """Keep the maximum of second moments divided by 1 - beta2**t."""

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
        data, new = right(like(optimizer, weight_decay=0.0), p, g, state)
        return data * (1 - optimizer.lr * optimizer.weight_decay), new

    return moved


def _decayed_unrated(right: Right) -> Right:
    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        return right(like(optimizer, weight_decay=0.0), p * (1 - optimizer.weight_decay), g, state)  # type: ignore[no-any-return]

    return moved


# RMSprop.


def _steps_with_rate(right: Right) -> Right:
    """Let momentum accumulate the steps of an optimizer without momentum."""

    def moved(optimizer: Any, p: Any, g: Any, state: State) -> Moved:
        if not optimizer.momentum:
            return right(optimizer, p, g, state)  # type: ignore[no-any-return]
        alone = like(optimizer, momentum=0.0, weight_decay=0.0, maximize=False)
        down, new = right(alone, 0.0 * p, optimizer._gradient(p, g), state)
        b = optimizer.momentum * state.get("momentum_buffer", 0.0) - down
        return p - b, {**new, "momentum_buffer": b}

    return moved


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                        what is wrong                                                                   source                          rows
    #     its plant

    # SGD.
    Fault("b204-sgd",                 "weight decay is lost without momentum",                                        "ml-explore/mlx#440",           (),
          method(SGD, "_moved", as_if(weight_decay=lambda o: o.weight_decay if o.momentum else 0.0))),
    Fault("b205-dampened",            "the first gradient is dampened, too",                                          "ml-explore/mlx#473",           (),
          method(SGD, "_moved", _from_state(_dampened_from_0))),
    Fault("b205-averaged",            "momentum is a running average: gradients are scaled by 1 - momentum",          "ml-explore/mlx#87",            (),
          method(SGD, "_moved", as_if(dampening=lambda o: o.momentum))),
    Fault("b206-old-buffer",          "nesterov looks ahead along the buffer before this step",                       "PaddlePaddle/Paddle#12231",    (),
          method(SGD, "_moved", _looking(lambda momentum, before, after: momentum * before.get("momentum_buffer", 0.0)))),
    Fault("b206-sign",                "nesterov looks back instead of ahead",                                         "oysteijo/simd_neuralnet#17",   (),
          method(SGD, "_moved", _looking(lambda momentum, before, after: -momentum * after["momentum_buffer"]))),
    Fault("b208-sgd",                 "the momentum buffer starts as the first gradient's own array",                 "pytorch/pytorch#194664",       (),
          method(SGD, "_moved", _begun_with_the_gradient)),
    Fault("sgd-dampening-lost",       "dampening has no effect",                                                      "ours",                         (),
          method(SGD, "_moved", as_if(dampening=lambda o: 0.0))),
    Fault("sgd-rate-in-buffer",       "the buffer sums gradients times the rate, which shows when the rate changes",  "ours",                         (),
          method(SGD, "_moved", _summed_with_rate)),

    # Adam and AdamW.
    Fault("b211-late",                "the bias correction counts one step too many",                                 "tensorflow/tensorflow#35444",  (),
          method(Adam, "_adapted", _late)),
    Fault("b211-shared",              "all parameters share one step count: right for the first of them",             "clab/dynet#77",                (),
          method(Adam, "_adapted", _counting(_on_one_counter))),
    Fault("b212-adam",                "a parameter also counts the steps in which it had no gradient",                "InfiniTensor/InfiniTrain#235", (),
          method(Adam, "_adapted", _counting(lambda optimizer, state: max(map(_steps, optimizer.state))))),
    Fault("b213-square",              "the second moment averages the gradients' sizes, not their squares",           "pennylane#1929",               (),
          method(Adam, "_second_moment", lambda right: lambda optimizer, g, state: right(optimizer, np.sqrt(np.abs(g)), state))),
    Fault("b213-sign",                "the step goes uphill",                                                         "pytorch/pytorch#11678",        (),
          method(Adam, "_adapted", _uphill)),
    Fault("b214-adamw",               "AdamW adds weight decay to the gradient, as Adam does",                        "aiqm/torchani#261",            (),
          attribute(AdamW, "_moved", Adam._moved)),
    Fault("b214-adam",                "Adam decouples weight decay, as AdamW does",                                   "folklore",                     (),
          attribute(Adam, "_moved", AdamW._moved)),
    Fault("adam-eps-in-the-root",     "eps is added inside the root",                                                 "ours",                         (),
          attribute(Adam, "_denominator", lambda o, v, t: np.sqrt(v / (1 - o.betas[1] ** t) + o.eps))),
    Fault("adam-eps-corrected",       "eps is added before the bias correction",                                      "ours",                         (),
          attribute(Adam, "_denominator", lambda o, v, t: (np.sqrt(v) + o.eps) / (1 - o.betas[1] ** t) ** 0.5)),
    Fault("adam-first-uncorrected",   "the bias of the first moment is not corrected",                                "ours",                         (),
          method(Adam, "_adapted", _uncorrected)),
    Fault("adam-second-uncorrected",  "the bias of the second moment is not corrected",                               "ours",                         (),
          attribute(Adam, "_denominator", lambda o, v, t: np.sqrt(v) + o.eps)),
    Fault("amsgrad-corrected",        "the maximum is taken of bias-corrected second moments",                        "ours",                         (),
          method(Adam, "_adapted", _largest_corrected)),
    Fault("amsgrad-forgets",          "the maximum is taken of the last two second moments only",                     "ours",                         (),
          method(Adam, "_adapted", _largest_of_two)),
    Fault("adamw-decay-late",         "weight decay is applied after the step, and shrinks the step as well",         "ours",                         (),
          method(AdamW, "_moved", _decayed_late)),
    Fault("adamw-decay-unrated",      "weight decay does not depend on the learning rate",                            "ours",                         (),
          method(AdamW, "_moved", _decayed_unrated)),
    Fault("adamw-always-down",        "maximize has no effect",                                                       "ours",                         (),
          method(AdamW, "_moved", as_if(maximize=lambda o: False))),

    # RMSprop.
    Fault("rmsprop-eps-in-the-root",  "eps is added inside the root",                                                 "ours",                         (),
          attribute(RMSprop, "_denominator", lambda o, s: np.sqrt(s + o.eps))),
    Fault("rmsprop-center-unsquared", "the average gradient is subtracted, not its square",                           "ours",                         (),
          attribute(RMSprop, "_spread", lambda o, s, a: np.maximum(s - np.abs(a), 0.0))),
    Fault("rmsprop-alpha-exchanged",  "alpha and 1 - alpha are swapped",                                              "ours",                         (),
          method(RMSprop, "_moved", as_if(alpha=lambda o: 1 - o.alpha))),
    Fault("rmsprop-begins-at-1",      "the average of squares starts at 1",                                           "folklore",                     (),
          method(RMSprop, "_moved", _from_state(lambda optimizer, p, state: {"square_avg": 1.0, **state}))),
    Fault("rmsprop-rate-in-buffer",   "the buffer sums steps times the rate, which shows when the rate changes",      "ours",                         (),
          method(RMSprop, "_moved", _steps_with_rate)),
)
# fmt: on
