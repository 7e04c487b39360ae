"""HIPS autograd: functions of arrays, and functions that compute their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import autograd.numpy as np
from autograd import grad, make_vjp, value_and_grad
from autograd.scipy.special import logsumexp

from benchmarks.formulas import FORMULAS as OPERATORS
from benchmarks.formulas import Formula
from benchmarks.job import Builder, Job
from benchmarks.workloads import Numbers


def _entropy(scores: Any, labels: Any) -> Any:
    return np.mean(logsumexp(scores, axis=1) - scores[np.arange(len(labels)), labels])


def _normalised(_: Numbers, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def _attended(_: Numbers, q: Any, k: Any, v: Any) -> Any:
    scores = q @ np.swapaxes(k, -1, -2) * q.shape[-1] ** -0.5
    return np.exp(scores - logsumexp(scores, axis=-1, keepdims=True)) @ v


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    **OPERATORS,
    "tanh":          lambda _, x, y, z: np.sum(np.tanh(x * y + z)),
    "cross-entropy": lambda n, scores: _entropy(scores, n.labels),
    "layer-norm":    _normalised,
    "attention":     _attended,
    "logsumexp":     lambda _, x: logsumexp(x, axis=1),
    "column-sums":   lambda _, x: np.sum(x, axis=0),
}
# fmt: on


def _differentiated(formula: Formula, n: Numbers) -> Job:
    def step() -> Any:
        pullback, y = make_vjp(lambda leaves: formula(n, *leaves))(n.leaves)
        return y, *pullback(n.cotangent)

    return Job(step, lambda arrays: list(map(np.asarray, arrays)))


def _article(x: Any, params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return np.tanh(np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3)


def _article_loss(n: Numbers, params: Any) -> Any:
    return np.sum((_article(n.x, params) - n.target) ** 2)


def _point_by_point(n: Numbers, params: Any) -> Any:
    predicted = [_article(x, params) for x in n.x]
    return np.sum(sum((p - w) ** 2 for p, w in zip(predicted, n.target, strict=True)))


def _mlp_loss(n: Numbers, params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    hidden = np.maximum(0, np.maximum(0, n.x @ w1 + b1) @ w2 + b2)
    return _entropy(hidden @ w3 + b3, n.target)


def _trained(loss_of: Callable[..., Any], n: Numbers) -> Job:
    loss_and_gradient = value_and_grad(lambda params: loss_of(n, params))

    def step() -> Any:
        loss, grads = loss_and_gradient(n.params)
        for p, g in zip(n.params, grads, strict=True):
            p -= n.lr * g
        return loss

    return Job(step, lambda loss: [np.asarray(loss), *n.params])


def _hessian_vector(n: Numbers) -> Job:
    gradient = grad(lambda params: _article_loss(n, params))

    def along(params: Any) -> Any:
        return sum(np.sum(g * v) for g, v in zip(gradient(params), n.directions, strict=True))

    product = grad(along)
    return Job(lambda: product(n.params), lambda products: products)


BUILDERS: Mapping[str, Builder] = {
    **{name: partial(_differentiated, formula) for name, formula in FORMULAS.items()},
    "article": partial(_trained, _article_loss),
    "article-program": partial(_trained, _point_by_point),
    "mlp": partial(_trained, _mlp_loss),
    "hvp": _hessian_vector,
}
ABSENT = {"article-library": "it has no layers: see article", "adam": "its Adam runs to the end in one call"}
