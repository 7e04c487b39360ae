"""The three runs that every report shows: the article's, two moons, and handwritten digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from reference.programs.task import BY_HAND, Given, Stage, Task


def article() -> Task:
    """Four points, 41 parameters, twenty steps: the run at the end of the article behind this project."""
    x = np.array([[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]])
    targets = np.array([1.0, -1.0, -1.0, 1.0])
    return Task(
        "article", (3, 4, 4, 1), ("tanh", "tanh"), "sum of squares", (x, targets), (Stage(BY_HAND, {"lr": 0.5}, 20),),
        given=Given.ROWS,
    )  # fmt: skip


def moons() -> Task:
    """Two moons in the plane, separated by a network with two hidden layers."""
    from sklearn.datasets import make_moons  # noqa: PLC0415 - it takes a second, and nothing else here needs it

    x, label = make_moons(200, noise=0.1, random_state=0)
    targets = 2.0 * label - 1.0
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}
    return Task(
        "two moons", (2, 16, 16, 1), ("tanh", "linear"), "hinge", (x[:160], targets[:160]),
        (Stage("SGD", options, 120),),
        test=(x[160:], targets[160:]), goal=0.95,
    )  # fmt: skip


def digits() -> Task:
    """1,797 handwritten digits of 8×8 pixels, a fifth of them held out. SGD with momentum, and then Adam."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - as above

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, targets = data.data[order] / 16.0, data.target[order].astype(np.int64)
    held_out = len(x) // 5
    stages = (Stage("SGD", {"lr": 0.1, "momentum": 0.9}, 3), Stage("Adam", {"lr": 2e-3}, 25, until_goal=True))
    return Task(
        "digits", (64, 64, 32, 10), ("relu", "linear"), "cross-entropy", (x[held_out:], targets[held_out:]), stages,
        batch=64, test=(x[:held_out], targets[:held_out]), goal=0.96, init="kaiming_uniform",
    )  # fmt: skip


TASKS: Mapping[str, Callable[[], Task]] = {"article": article, "two moons": moons, "digits": digits}
