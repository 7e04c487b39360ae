"""Compares losses of short numbers with the reference's. Sums are exact and kinks occur: no rounding is allowed."""

from __future__ import annotations

import math

import numpy as np

from reference.checks.networks.check import NetworkCheck
from reference.ops.source import Source, pick
from reference.verdict import Kind, Part


def check_loss(source: Source, check: NetworkCheck) -> None:
    """Check that a loss and its gradient agree with the reference's, at kinks and beside them."""
    name, reduction = pick(source, ["hinge", "mean_squared_error"]), pick(source, ["mean", "sum", "none"])
    shape, dtype = pick(source, [(2,), (3,), (), (2, 2)]), pick(source, ["float64", "float32"])
    predicted, targets = _short(source, shape, dtype), _short(source, shape, dtype)
    targets = np.sign(targets) if name == "hinge" else targets
    cotangent = _short(source, shape if reduction == "none" else (), dtype)
    check.run(f"x = Value(np.array({predicted.tolist()}, {dtype!r}))")
    check.run(f"loss = {name}(x, {targets.tolist()}, reduction={reduction!r})")
    check.run(f"loss.backward(np.array({cotangent.tolist()}, {dtype!r}))")
    loss, gradient = check.reference.loss(name.replace("_", " "), predicted, targets, reduction, cotangent)
    check.judge(
        [
            Part("loss", Kind.FORWARD, check.namespace["loss"].data),
            Part("grad[x]", Kind.GRADIENT, check.namespace["x"].grad),
        ],
        [Part("loss", Kind.FORWARD, loss), Part("grad[x]", Kind.GRADIENT, gradient)],
    )


def _short(source: Source, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    numbers = [pick(source, [1.0, -1.0, 0.5, 2.0, -0.25]) for _ in range(math.prod(shape))]
    return np.array(numbers, dtype).reshape(shape)
