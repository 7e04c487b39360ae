"""PyTorch in eager mode: leaves that require a gradient, `backward()`, and updates under `no_grad`.

The article's program is written with `torch.nn` and the Adam line with `torch.optim`; the other lines with plain
tensors, which is PyTorch's fastest eager way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from benchmarks.formulas import FORMULAS as OPERATORS
from benchmarks.formulas import Formula
from benchmarks.job import Builder, Job
from benchmarks.workloads import Numbers


def _normalised(_: Numbers, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * gain + bias


def _attended(_: Numbers, q: Any, k: Any, v: Any) -> Any:
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, dim=-1) @ v


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    **OPERATORS,
    "embedding":     lambda n, x: functional.embedding(n.index, x),
    "tanh":          lambda _, x, y, z: torch.tanh(x * y + z).sum(),
    "cross-entropy": lambda n, scores: functional.cross_entropy(scores, n.labels),
    "layer-norm":    _normalised,
    "attention":     _attended,
    "logsumexp":     lambda _, x: torch.logsumexp(x, dim=1),
    "column-sums":   lambda _, x: x.sum(dim=0),
}
# fmt: on


def _tensors(n: Numbers) -> Numbers:
    """Copy the numbers to tensors."""
    return Numbers(**{name: _tensor(x) for name, x in vars(n).items()})


def _tensor(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_tensor, x))
    return torch.tensor(x) if hasattr(x, "dtype") else x


def _array(x: Any) -> Any:
    return x.detach().numpy().copy()


def _differentiated(formula: Formula, n: Numbers) -> Job:
    n = _tensors(n)
    leaves = [x.requires_grad_() for x in n.leaves]

    def step() -> Any:
        for x in leaves:
            x.grad = None
        y = formula(n, *leaves)
        y.backward(n.cotangent)
        return y

    return Job(step, lambda y: [_array(y), *(_array(x.grad) for x in leaves)])


def _article_loss(n: Numbers, *params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    hidden = torch.tanh(torch.addmm(b2, torch.tanh(torch.addmm(b1, n.x, w1)), w2))
    return functional.mse_loss(torch.tanh(torch.addmm(b3, hidden, w3)), n.target, reduction="sum")


def _mlp_loss(n: Numbers, *params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    hidden = torch.relu(torch.addmm(b2, torch.relu(torch.addmm(b1, n.x, w1)), w2))
    return functional.cross_entropy(torch.addmm(b3, hidden, w3), n.target)


def _trained(loss_of: Callable[..., Any], n: Numbers) -> Job:
    n = _tensors(n)
    params = [p.requires_grad_() for p in n.params]

    def step() -> Any:
        for p in params:
            p.grad = None
        loss = loss_of(n, *params)
        loss.backward()
        with torch.no_grad():
            for p in params:
                p.sub_(p.grad, alpha=n.lr)
        return loss

    return Job(step, lambda loss: [_array(loss), *map(_array, params)])


def _network(n: Numbers) -> torch.nn.Module:
    """Build the article's network of modules. The weight of a Linear is transposed."""
    linears = [torch.nn.Linear(*shape, dtype=n.x.dtype) for shape in pairwise((3, 4, 4, 1))]
    model = torch.nn.Sequential(*(module for linear in linears for module in (linear, torch.nn.Tanh())))
    with torch.no_grad():
        for p, numbers in zip(model.parameters(), n.params, strict=True):
            p.copy_(numbers.T if numbers.ndim > 1 else numbers)
    return model


def _parameters(model: torch.nn.Module) -> list[Any]:
    return [_array(p.T if p.ndim > 1 else p) for p in model.parameters()]


def _article_library(n: Numbers) -> Job:
    n = _tensors(n)
    model = _network(n)
    optimizer = torch.optim.SGD(model.parameters(), lr=n.lr)

    def step() -> Any:
        optimizer.zero_grad()
        loss: Any = functional.mse_loss(model(n.x), n.target, reduction="sum")
        loss.backward()
        optimizer.step()
        return loss

    return Job(step, lambda loss: [_array(loss), *_parameters(model)])


def _article_program(n: Numbers) -> Job:
    n = _tensors(n)
    model = _network(n)
    params: list[Any] = list(model.parameters())

    def step() -> Any:
        predicted = [model(x) for x in n.x]
        loss = sum((p - w) ** 2 for p, w in zip(predicted, n.target, strict=True))
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in params:
                p.sub_(p.grad, alpha=n.lr)
        return loss

    return Job(step, lambda loss: [_array(loss)[0], *_parameters(model)])


def _adam(n: Numbers) -> Job:
    n = _tensors(n)
    params = [p.requires_grad_() for p in n.params]
    optimizer = torch.optim.Adam(params, lr=n.lr)

    def step() -> Any:
        optimizer.zero_grad()
        loss = _mlp_loss(n, *params)
        loss.backward()
        optimizer.step()
        return loss

    return Job(step, lambda loss: [_array(loss), *map(_array, params)])


def _hessian_vector(n: Numbers) -> Job:
    n = _tensors(n)
    params = [p.requires_grad_() for p in n.params]

    def step() -> Any:
        slopes = torch.autograd.grad(_article_loss(n, *params), params, create_graph=True)
        return torch.autograd.grad(slopes, params, n.directions)

    return Job(step, lambda products: list(map(_array, products)))


BUILDERS: Mapping[str, Builder] = {
    **{name: partial(_differentiated, formula) for name, formula in FORMULAS.items()},
    "article": partial(_trained, _article_loss),
    "article-library": _article_library,
    "article-program": _article_program,
    "mlp": partial(_trained, _mlp_loss),
    "adam": _adam,
    "hvp": _hessian_vector,
}
ABSENT: Mapping[str, str] = {}
