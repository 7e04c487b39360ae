"""micrograd, which has scalars only: it runs the article's program, which was written for it, and no line of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from micrograd.engine import Value
from micrograd.nn import MLP

from benchmarks.job import Builder, Job
from benchmarks.workloads import Numbers


def _tanh(x: Any) -> Any:
    """Compute tanh, the op that the article adds to the package, in the package's style."""
    t = math.tanh(x.data)
    out = Value(t, (x,), "tanh")

    def backward() -> None:
        x.grad += (1 - t * t) * out.grad

    out._backward = backward  # noqa: SLF001 - micrograd's own attribute
    return out


def _predicted(model: Any, x: Any) -> Any:
    """Run the network with tanh in each neuron, instead of the package's relu."""
    for layer in model.layers:
        x = [_tanh(sum((w * xi for w, xi in zip(neuron.w, x, strict=True)), neuron.b)) for neuron in layer.neurons]
    return x[0]


def _network(n: Numbers) -> Any:
    model = MLP(3, [4, 4, 1])
    for layer, weight, bias in zip(model.layers, n.params[::2], n.params[1::2], strict=True):
        for neuron, row, b in zip(layer.neurons, weight.T.tolist(), bias.tolist(), strict=True):
            neuron.b.data = b
            for w, number in zip(neuron.w, row, strict=True):
                w.data = number
    return model


def _parameters(model: Any) -> Iterator[np.ndarray]:
    for layer in model.layers:
        yield np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T
        yield np.array([neuron.b.data for neuron in layer.neurons])


def _article_program(n: Numbers) -> Job:
    model = _network(n)
    points, target = n.x.tolist(), n.target[:, 0].tolist()

    def step() -> Any:
        predicted = [_predicted(model, x) for x in points]
        loss = sum((p - w) ** 2 for p, w in zip(predicted, target, strict=True))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= n.lr * p.grad
        return loss

    return Job(step, lambda loss: [np.array(loss.data), *_parameters(model)])


BUILDERS: Mapping[str, Builder] = {"article-program": _article_program}
ABSENT = {"": "it has single numbers, and no arrays"}
