"""tinygrad on the CPU: the step of each line runs under `TinyJit`, as its manual advises. Compilation is not timed.

Its CPU backend compiles with clang, and does not run without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from tinygrad import Tensor, TinyJit
from tinygrad.device import Device
from tinygrad.helpers import Context
from tinygrad.nn.optim import Adam

from benchmarks.formulas import FORMULAS as OPERATORS
from benchmarks.formulas import Formula
from benchmarks.job import Absence, Builder, Job
from benchmarks.workloads import Numbers

try:
    Device[Device.DEFAULT]
except RuntimeError as error:
    raise ImportError("tinygrad finds no device to compute on: its CPU backend needs clang") from error
TOO_LONG = 1_000  # iterations of a loop: its scheduler is recursive


def _tensors(n: Numbers) -> Numbers:
    """Copy the numbers to tensors."""
    return Numbers(**{name: _tensor(x) for name, x in vars(n).items()})


def _tensor(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_tensor, x))
    return Tensor(x).clone().realize() if isinstance(x, np.ndarray) else x


def _normalised(_: Numbers, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdim=True)
    variance = centred.square().mean(axis=-1, keepdim=True)
    return centred / (variance + 1e-5).sqrt() * gain + bias


def _attended(_: Numbers, q: Any, k: Any, v: Any) -> Any:
    return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax() @ v


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    **OPERATORS,
    "tanh":          lambda _, x, y, z: (x * y + z).tanh().sum(),
    "cross-entropy": lambda n, scores: scores.sparse_categorical_crossentropy(n.labels),
    "layer-norm":    _normalised,
    "attention":     _attended,
    "logsumexp":     lambda _, x: x.logsumexp(axis=1),
    "column-sums":   lambda _, x: x.sum(axis=0),
}
# fmt: on


def _job(run: Callable[..., Any], params: tuple[Any, ...], inputs: tuple[Any, ...]) -> Job:
    """Make a job whose step is a compiled function. The next call of a `TinyJit` overwrites its result."""
    compiled = TinyJit(run)

    def step() -> Any:
        outputs = compiled(*inputs)
        Device[Device.DEFAULT].synchronize()
        return outputs

    return Job(step, lambda outputs: [x.numpy() for x in (*outputs, *params)])


def _differentiated(formula: Formula, n: Numbers) -> Job:
    if getattr(n, "times", 0) > TOO_LONG:
        raise Absence(f"a loop of {n.times} turns is too long for it to compile")
    n = _tensors(n)

    def both(cotangent: Any, *leaves: Any) -> Any:
        y = formula(n, *leaves)
        outputs = (y, *y.gradient(*leaves, gradient=cotangent))
        Tensor.realize(*outputs)
        return outputs

    return _job(both, (), (n.cotangent, *n.leaves))


def _article(x: Any, params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return (((x @ w1 + b1).tanh() @ w2 + b2).tanh() @ w3 + b3).tanh()


def _article_loss(params: Any, x: Any, target: Any) -> Any:
    return (_article(x, params) - target).square().sum()


def _point_by_point(params: Any, x: Any, target: Any) -> Any:
    predicted = [_article(x[i], params) for i in range(len(x))]
    return sum((p - target[i]) ** 2 for i, p in enumerate(predicted)).sum()


def _mlp_loss(params: Any, x: Any, target: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return (((x @ w1 + b1).relu() @ w2 + b2).relu() @ w3 + b3).sparse_categorical_crossentropy(target)


def _trained(loss_of: Callable[..., Any], n: Numbers) -> Job:
    n = _tensors(n)

    def update(x: Any, target: Any) -> Any:
        loss = loss_of(n.params, x, target)
        grads = loss.gradient(*n.params)
        moved = [p.assign(p - n.lr * g) for p, g in zip(n.params, grads, strict=True)]
        Tensor.realize(loss, *moved)
        return (loss,)

    return _job(update, n.params, (n.x, n.target))


def _adam(n: Numbers) -> Job:
    n = _tensors(n)
    optimizer = Adam(list(n.params), lr=n.lr)

    def update(x: Any, target: Any) -> Any:
        with Context(TRAINING=1):
            optimizer.zero_grad()
            loss = _mlp_loss(n.params, x, target).backward()
            Tensor.realize(loss, *optimizer.schedule_step())
        return (loss,)

    return _job(update, n.params, (n.x, n.target))


def _hessian_vector(n: Numbers) -> Job:
    n = _tensors(n)

    def products(x: Any, target: Any, *directions: Any) -> Any:
        slopes = _article_loss(n.params, x, target).gradient(*n.params)
        along = sum((g * v).sum() for g, v in zip(slopes, directions, strict=True))
        outputs = tuple(along.gradient(*n.params))
        Tensor.realize(*outputs)
        return outputs

    return _job(products, (), (n.x, n.target, *n.directions))


BUILDERS: Mapping[str, Builder] = {
    **{name: partial(_differentiated, formula) for name, formula in FORMULAS.items()},
    "article": partial(_trained, _article_loss),
    "article-program": partial(_trained, _point_by_point),
    "mlp": partial(_trained, _mlp_loss),
    "adam": _adam,
    "hvp": _hessian_vector,
}
ABSENT = {"article-library": "it has no layers for float64: see article"}
