"""ndgrad: `Value`, `backward()`, and its layers, losses and optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ndgrad as nd
from benchmarks.formulas import FORMULAS as OPERATORS
from benchmarks.formulas import Formula
from benchmarks.job import Builder, Job
from benchmarks.workloads import Numbers
from ndgrad import MLP, Value, cross_entropy, mean_squared_error
from ndgrad.optim import SGD, Adam


def _normalised(_: Numbers, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = nd.square(centred).mean(axis=-1, keepdims=True)
    return centred / nd.sqrt(variance + 1e-5) * gain + bias


def _attended(_: Numbers, q: Any, k: Any, v: Any) -> Any:
    return nd.softmax(q @ k.mT * q.shape[-1] ** -0.5) @ v


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    **OPERATORS,
    "tanh":          lambda _, x, y, z: nd.tanh(x * y + z).sum(),
    "cross-entropy": lambda n, scores: cross_entropy(scores, n.labels),
    "layer-norm":    _normalised,
    "attention":     _attended,
    "logsumexp":     lambda _, x: nd.logsumexp(x, axis=1),
    "column-sums":   lambda _, x: x.sum(axis=0),
}
# fmt: on


def _differentiated(formula: Formula, n: Numbers) -> Job:
    leaves = [Value(x) for x in n.leaves]

    def step() -> Any:
        for x in leaves:
            x.zero_grad()
        y = formula(n, *leaves)
        y.backward(n.cotangent)
        return y

    return Job(step, lambda y: [y.data, *(x.grad for x in leaves)])


def _lean(formula: Formula, n: Numbers) -> Job:
    job = _differentiated(formula, n)
    return Job(nd.lean()(job.step), job.numbers)


def _article(x: Any, *params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return nd.tanh(nd.tanh(nd.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3)


def _article_loss(n: Numbers, *params: Any) -> Any:
    return mean_squared_error(_article(n.x, *params), n.target, reduction="sum")


def _mlp_loss(n: Numbers, *params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return cross_entropy(nd.relu(nd.relu(n.x @ w1 + b1) @ w2 + b2) @ w3 + b3, n.target)


def _trained(loss_of: Callable[..., Any], n: Numbers) -> Job:
    params = [Value(p) for p in n.params]

    def step() -> Any:
        for p in params:
            p.zero_grad()
        loss = loss_of(n, *params)
        loss.backward()
        for p in params:
            p.data -= n.lr * p.grad
        return loss

    return Job(step, lambda loss: [loss.data, *(p.data for p in params)])


def _network(n: Numbers) -> MLP:
    """Build the article's network of the library's layers."""
    model = MLP(3, [4, 4, 1])
    for p, numbers in zip(model.parameters(), n.params, strict=True):
        p.data = numbers
    return model


def _article_library(n: Numbers) -> Job:
    model, target = _network(n), n.target[:, 0]
    optimizer = SGD(model.parameters(), lr=n.lr)

    def step() -> Any:
        optimizer.zero_grad()
        loss = mean_squared_error(model(n.x), target, reduction="sum")
        loss.backward()
        optimizer.step()
        return loss

    return Job(step, lambda loss: [loss.data, *(p.data for p in model.parameters())])


def _article_program(n: Numbers) -> Job:
    model = _network(n)
    params = model.parameters()
    points, target = n.x.tolist(), n.target[:, 0].tolist()

    def step() -> Any:
        predicted = [model(x) for x in points]
        loss = sum((p - w) ** 2 for p, w in zip(predicted, target, strict=True))
        model.zero_grad()
        loss.backward()
        for p in params:
            p.data -= n.lr * p.grad
        return loss

    return Job(step, lambda loss: [loss.data, *(p.data for p in params)])


def _adam(n: Numbers) -> Job:
    params = [Value(p) for p in n.params]
    optimizer = Adam(params, lr=n.lr)

    def step() -> Any:
        optimizer.zero_grad()
        loss = _mlp_loss(n, *params)
        loss.backward()
        optimizer.step()
        return loss

    return Job(step, lambda loss: [loss.data, *(p.data for p in params)])


def _hessian_vector(n: Numbers) -> Job:
    params = [Value(p) for p in n.params]

    def step() -> Any:
        for p in params:
            p.zero_grad()
        _article_loss(n, *params).backward(create_graph=True)
        slopes = [p.grad for p in params]
        for p in params:
            p.zero_grad()
        nd.backward(slopes, n.directions)
        return [p.grad for p in params]

    return Job(step, lambda products: products)


BUILDERS: Mapping[str, Builder] = {
    **{name: partial(_differentiated, formula) for name, formula in FORMULAS.items()},
    "chain-lean": partial(_lean, FORMULAS["chain-lean"]),
    "article": partial(_trained, _article_loss),
    "article-library": _article_library,
    "article-program": _article_program,
    "mlp": partial(_trained, _mlp_loss),
    "adam": _adam,
    "hvp": _hessian_vector,
}
ABSENT: dict[str, str] = {}
