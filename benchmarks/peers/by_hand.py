"""The limit: the forward and the backward pass of each line, written by hand in NumPy, without a graph or an engine.

Arrays are written in place where a person would do so, and the process never returns memory to the system, so that page
faults cost no time. The additional time of an engine is the cost of automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.job import Builder, Job
from benchmarks.workloads import Numbers

Arrays = Sequence[Any]


def _chain(n: Numbers) -> Arrays:
    (x,), g = n.leaves, n.cotangent
    y, grad = x.copy(), np.zeros_like(x)
    for _ in range(n.times):
        y *= 0.999
        y += x
    g = g.copy()
    for _ in range(n.times):
        grad += g
        g *= 0.999
    grad += g
    return y, grad


def _leaf(n: Numbers) -> Arrays:
    (x,), g = n.leaves, n.cotangent
    y, grad = x.copy(), g.copy()
    for _ in range(n.times):
        y += x
    for _ in range(n.times):
        grad += g
    return y, grad


def _windows(n: Numbers) -> Arrays:
    (x,), g = n.leaves, n.cotangent
    y, grad = np.zeros(n.n, x.dtype), np.zeros_like(x)
    for i in range(n.times):
        y += x[i : i + n.n]
    for i in range(n.times):
        grad[i : i + n.n] += g
    return y, grad


def _picked(n: Numbers) -> Arrays:
    (x,), g = n.leaves, n.cotangent
    grad = np.zeros_like(x)
    np.add.at(grad, n.index, g)
    return x[n.index], grad


def _rows(n: Numbers) -> Arrays:
    """Look up rows. In the backward pass the indices are sorted, so that `reduceat` can sum rows of the same index."""
    (x,), g = n.leaves, n.cotangent
    order = np.argsort(n.index, kind="stable")
    index = n.index[order]
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    grad = np.zeros_like(x)
    grad[index[starts]] = np.add.reduceat(g[order], starts)
    return x[n.index], grad


def _bias(n: Numbers) -> Arrays:
    x, b = n.leaves
    return x + b, n.cotangent.copy(), np.add.reduce(n.cotangent, axis=0)


def _products(n: Numbers) -> Arrays:
    (a, b), g = n.leaves, n.cotangent
    return a @ b, g @ b.mT, a.mT @ g


def _column_sums(n: Numbers) -> Arrays:
    (x,), g = n.leaves, n.cotangent
    grad = np.empty_like(x)
    grad[...] = g
    return np.add.reduce(x, axis=0), grad


def _tanh(n: Numbers) -> Arrays:
    (x, y, z), g = n.leaves, n.cotangent
    t = x * y
    t += z
    np.tanh(t, out=t)
    total = np.add.reduce(t)
    t *= t
    np.subtract(1, t, out=t)
    t *= g
    return total, t * y, t * x, t


def _softmax(scores: Any) -> tuple[Any, Any, Any]:
    """Return the probabilities along the last axis, and the largest score and the sum of exponentials of each row."""
    largest = np.maximum.reduce(scores, axis=-1, keepdims=True)
    e = scores - largest
    np.exp(e, out=e)
    total = np.add.reduce(e, axis=-1, keepdims=True)
    e /= total
    return e, largest, total


def _entropy(scores: Any, labels: Any) -> tuple[Any, Any]:
    """Compute softmax cross-entropy, the mean over the batch, and its gradient."""
    rows = np.arange(len(labels))
    p, largest, total = _softmax(scores)
    loss = (np.log(total) + largest)[:, 0] - scores[rows, labels]
    p[rows, labels] -= 1
    p /= len(labels)
    return np.add.reduce(loss) / scores.dtype.type(len(labels)), p


def _cross_entropy(n: Numbers) -> Arrays:
    (scores,) = n.leaves
    loss, grad = _entropy(scores, n.labels)
    grad *= n.cotangent
    return loss, grad


def _logsumexp(n: Numbers) -> Arrays:
    (x,), g = n.leaves, n.cotangent
    p, largest, total = _softmax(x)
    p *= g[:, None]
    return (np.log(total) + largest)[:, 0], p


def _normalised(n: Numbers) -> Arrays:
    (x, gain, bias), g = n.leaves, n.cotangent
    width = x.dtype.type(x.shape[1])
    z = x - np.add.reduce(x, axis=1, keepdims=True) / width
    scale = 1 / np.sqrt(np.einsum("ij,ij->i", z, z)[:, None] / width + x.dtype.type(1e-5))
    z *= scale
    y = z * gain
    y += bias
    t = g * gain
    along = np.einsum("ij,ij->i", t, z)[:, None] / width
    t -= np.add.reduce(t, axis=1, keepdims=True) / width
    t -= z * along
    t *= scale
    return y, t, np.einsum("ij,ij->j", g, z), np.add.reduce(g, axis=0)


def _attended(n: Numbers) -> Arrays:
    (q, k, v), g = n.leaves, n.cotangent
    scale = q.shape[-1] ** -0.5
    scores = q @ k.mT
    scores *= scale
    p, _, _ = _softmax(scores)
    t = g @ v.mT
    t -= np.einsum("bij,bij->bi", t, p)[..., None]
    t *= p
    t *= scale
    return p @ v, t @ k, t.mT @ q, p.mT @ g


# Lines that train: the forward pass, the gradients, and the update.


def _tanh_layers(params: Arrays, x: Any, target: Any) -> tuple[Any, Arrays]:
    """Compute the loss of the article's network, a sum of squares, and the gradient of each parameter."""
    w1, b1, w2, b2, w3, b3 = params
    h1 = np.tanh(x @ w1 + b1)
    h2 = np.tanh(h1 @ w2 + b2)
    y = np.tanh(h2 @ w3 + b3)
    off = y - target
    g3 = 2 * off * (1 - y * y)
    g2 = g3 @ w3.T * (1 - h2 * h2)
    g1 = g2 @ w2.T * (1 - h1 * h1)
    sums = np.add.reduce
    return sums(off * off, axis=None), (x.T @ g1, sums(g1), h1.T @ g2, sums(g2), h2.T @ g3, sums(g3))


def _tanh_layers_moved(params: Arrays, directions: Arrays, x: Any, target: Any) -> Arrays:
    """Compute the Hessian-vector product of that loss, forward over reverse (Pearlmutter 1994).

    A name that starts with d is a derivative along the directions.
    """
    w1, b1, w2, b2, w3, b3 = params
    dw1, db1, dw2, db2, dw3, db3 = directions
    h1 = np.tanh(x @ w1 + b1)
    h2 = np.tanh(h1 @ w2 + b2)
    y = np.tanh(h2 @ w3 + b3)
    slope1, slope2, slope3 = 1 - h1 * h1, 1 - h2 * h2, 1 - y * y
    dh1 = (x @ dw1 + db1) * slope1
    dh2 = (dh1 @ w2 + h1 @ dw2 + db2) * slope2
    dy = (dh2 @ w3 + h2 @ dw3 + db3) * slope3
    off = 2 * (y - target)
    g3, dg3 = off * slope3, 2 * dy * (slope3 - off * y)
    back2 = g3 @ w3.T
    g2, dg2 = back2 * slope2, (dg3 @ w3.T + g3 @ dw3.T) * slope2 - 2 * back2 * h2 * dh2
    back1 = g2 @ w2.T
    dg1 = (dg2 @ w2.T + g2 @ dw2.T) * slope1 - 2 * back1 * h1 * dh1
    sums = np.add.reduce
    return x.T @ dg1, sums(dg1), dh1.T @ g2 + h1.T @ dg2, sums(dg2), dh2.T @ g3 + h2.T @ dg3, sums(dg3)


def _hessian_vector(n: Numbers) -> Arrays:
    return _tanh_layers_moved(n.params, n.directions, n.x, n.target)


def _relu_layers(params: Arrays, x: Any, target: Any) -> tuple[Any, Arrays]:
    """Compute the cross-entropy of the network for images, and the gradient of each parameter."""
    w1, b1, w2, b2, w3, b3 = params
    h1 = x @ w1
    h1 += b1
    np.maximum(h1, 0, out=h1)
    h2 = h1 @ w2
    h2 += b2
    np.maximum(h2, 0, out=h2)
    loss, g3 = _entropy(h2 @ w3 + b3, target)
    g2 = g3 @ w3.T
    g2 *= h2 > 0
    g1 = g2 @ w2.T
    g1 *= h1 > 0
    sums = np.add.reduce
    return loss, (x.T @ g1, sums(g1), h1.T @ g2, sums(g2), h2.T @ g3, sums(g3))


def _trained(layers: Callable[..., tuple[Any, Arrays]], n: Numbers) -> Job:
    def step() -> Any:
        loss, grads = layers(n.params, n.x, n.target)
        for p, g in zip(n.params, grads, strict=True):
            g *= n.lr
            p -= g
        return loss

    return Job(step, lambda loss: [np.asarray(loss), *n.params])


def _article_program(n: Numbers) -> Job:
    """Run the article's program, point by point."""
    points = [(x[None], target[None]) for x, target in zip(n.x, n.target, strict=True)]

    def step() -> Any:
        each = [_tanh_layers(n.params, x, target) for x, target in points]
        for p, grads in zip(n.params, zip(*(grads for _, grads in each), strict=True), strict=True):
            p -= n.lr * sum(grads)
        return sum(loss for loss, _ in each)

    return Job(step, lambda loss: [np.asarray(loss), *n.params])


def _adam(n: Numbers) -> Job:
    """Run PyTorch's Adam with its default options: betas of 0.9 and 0.999, eps of 1e-8."""
    means, squares = ([np.zeros_like(p) for p in n.params] for _ in range(2))
    t = 0

    def step() -> Any:
        nonlocal t
        t += 1
        loss, grads = _relu_layers(n.params, n.x, n.target)
        for p, g, m, v in zip(n.params, grads, means, squares, strict=True):
            m += 0.1 * (g - m)
            v *= 0.999
            g *= g
            g *= 0.001
            v += g
            root = np.sqrt(v)
            root *= (1 - 0.999**t) ** -0.5
            root += 1e-8
            np.divide(m, root, out=root)
            root *= n.lr / (1 - 0.9**t)
            p -= root
        return loss

    return Job(step, lambda loss: [np.asarray(loss), *n.params])


def _computed(arrays: Callable[[Numbers], Arrays], n: Numbers) -> Job:
    return Job(lambda: arrays(n), lambda computed: list(map(np.asarray, computed)))


# fmt: off
BUILDERS: Mapping[str, Builder] = {
    "chain":           partial(_computed, _chain),
    "chain-lean":      partial(_computed, _chain),
    "leaf":            partial(_computed, _leaf),
    "windows":         partial(_computed, _windows),
    "pick":            partial(_computed, _picked),
    "embedding":       partial(_computed, _rows),
    "bias":            partial(_computed, _bias),
    "matmuls":         partial(_computed, _products),
    "column-sums":     partial(_computed, _column_sums),
    "tanh":            partial(_computed, _tanh),
    "cross-entropy":   partial(_computed, _cross_entropy),
    "logsumexp":       partial(_computed, _logsumexp),
    "layer-norm":      partial(_computed, _normalised),
    "attention":       partial(_computed, _attended),
    "article":         partial(_trained, _tanh_layers),
    "article-program": _article_program,
    "mlp":             partial(_trained, _relu_layers),
    "adam":            _adam,
    "hvp":             partial(_computed, _hessian_vector),
}
# fmt: on
ABSENT = {"article-library": "it has no library: see article"}
