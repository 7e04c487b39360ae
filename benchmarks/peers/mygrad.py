"""MyGrad: tensors and `backward()`, with the memory guard off, as its manual advises for speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet import softmax
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.formulas import FORMULAS as OPERATORS
from benchmarks.formulas import Formula
from benchmarks.job import Builder, Job
from benchmarks.workloads import Numbers

mg.turn_memory_guarding_off()


def _normalised(_: Numbers, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = mg.square(centred).mean(axis=-1, keepdims=True)
    return centred / mg.sqrt(variance + x.dtype.type(1e-5)) * gain + bias


def _attended(_: Numbers, q: Any, k: Any, v: Any) -> Any:
    scale = q.dtype.type(q.shape[-1] ** -0.5)  # Python numbers would promote float32 to float64
    return softmax(q @ mg.swapaxes(k, -1, -2) * scale) @ v


def _logsumexp(_: Numbers, x: Any) -> Any:
    largest = x.data.max(axis=1, keepdims=True)
    return mg.log(mg.exp(x - largest).sum(axis=1)) + largest[:, 0]


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    **OPERATORS,
    "tanh":          lambda _, x, y, z: mg.tanh(x * y + z).sum(),
    "cross-entropy": lambda n, scores: softmax_crossentropy(scores, n.labels),
    "layer-norm":    _normalised,
    "attention":     _attended,
    "logsumexp":     _logsumexp,
    "column-sums":   lambda _, x: x.sum(axis=0),
}
# fmt: on


def _differentiated(formula: Formula, n: Numbers) -> Job:
    leaves = [mg.tensor(x) for x in n.leaves]

    def step() -> Any:
        for x in leaves:
            x.null_grad()
        y = formula(n, *leaves)
        y.backward(n.cotangent)
        return y

    return Job(step, lambda y: [y.data, *(np.asarray(x.grad) for x in leaves)])


def _article(x: Any, params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return mg.tanh(mg.tanh(mg.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3)


def _article_loss(n: Numbers, params: Any) -> Any:
    return ((_article(n.x, params) - n.target) ** 2).sum()


def _point_by_point(n: Numbers, params: Any) -> Any:
    predicted = [_article(x, params) for x in n.x]
    return sum((p - w) ** 2 for p, w in zip(predicted, n.target, strict=True)).sum()


def _mlp_loss(n: Numbers, params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return softmax_crossentropy(relu(relu(n.x @ w1 + b1) @ w2 + b2) @ w3 + b3, n.target)


def _trained(loss_of: Callable[..., Any], n: Numbers) -> Job:
    params = [mg.tensor(p) for p in n.params]

    def step() -> Any:
        for p in params:
            p.null_grad()
        loss = loss_of(n, params)
        loss.backward()
        for p in params:
            p.data -= n.lr * p.grad
        return loss

    return Job(step, lambda loss: [loss.data, *(p.data for p in params)])


BUILDERS: Mapping[str, Builder] = {
    **{name: partial(_differentiated, formula) for name, formula in FORMULAS.items()},
    "article": partial(_trained, _article_loss),
    "article-program": partial(_trained, _point_by_point),
    "mlp": partial(_trained, _mlp_loss),
}
ABSENT = {
    "article-library": "it has no layers that hold parameters: see article",
    "adam": "it has no optimizers",
    "hvp": "it does not differentiate twice",
}
