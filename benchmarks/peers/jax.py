"""JAX on the CPU: the step of each line is a compiled function, and compilation is not timed.

Loops are unrolled when they are traced. Lines whose loop would give the compiler a hundred thousand ops are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.formulas import FORMULAS as OPERATORS
from benchmarks.formulas import Formula
from benchmarks.job import Absence, Builder, Job
from benchmarks.workloads import Numbers

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own call

TOO_LONG = 1_000  # iterations of a loop: longer loops take minutes to compile


def _entropy(scores: Any, labels: Any) -> Any:
    return -jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(len(labels)), labels])


def _normalised(_: Numbers, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt(variance + 1e-5) * gain + bias


def _attended(_: Numbers, q: Any, k: Any, v: Any) -> Any:
    return jax.nn.softmax(q @ k.mT * q.shape[-1] ** -0.5) @ v


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    **OPERATORS,
    "tanh":          lambda _, x, y, z: jnp.tanh(x * y + z).sum(),
    "cross-entropy": lambda n, scores: _entropy(scores, n.labels),
    "layer-norm":    _normalised,
    "attention":     _attended,
    "logsumexp":     lambda _, x: jax.nn.logsumexp(x, axis=1),
    "column-sums":   lambda _, x: x.sum(axis=0),
}
# fmt: on


def _arrays(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(outputs)]


def _differentiated(formula: Formula, n: Numbers) -> Job:
    if getattr(n, "times", 0) > TOO_LONG:
        raise Absence(f"a loop of {n.times} turns takes minutes to compile")

    def both(leaves: Any, cotangent: Any) -> Any:
        y, pullback = jax.vjp(partial(formula, n), *leaves)
        return y, pullback(cotangent)

    compiled, given = jax.jit(both), jax.device_put((n.leaves, n.cotangent))
    return Job(lambda: jax.block_until_ready(compiled(*given)), _arrays)


def _article(x: Any, params: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return jnp.tanh(jnp.tanh(jnp.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3)


def _article_loss(params: Any, x: Any, target: Any) -> Any:
    return jnp.square(_article(x, params) - target).sum()


def _point_by_point(params: Any, x: Any, target: Any) -> Any:
    predicted = [_article(point, params) for point in x]
    return sum((p - w) ** 2 for p, w in zip(predicted, target, strict=True)).sum()


def _mlp_loss(params: Any, x: Any, target: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = params
    return _entropy(jax.nn.relu(jax.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3, target)


def _trained(loss_of: Callable[..., Any], n: Numbers) -> Job:
    def update(params: Any, x: Any, target: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x, target)
        return loss, jax.tree.map(lambda p, g: p - n.lr * g, params, grads)

    compiled = jax.jit(update, donate_argnums=0)  # the parameters before the step are not needed after it
    params, x, target = jax.device_put((n.params, n.x, n.target))

    def step() -> Any:
        nonlocal params
        loss, params = jax.block_until_ready(compiled(params, x, target))
        return loss

    return Job(step, lambda loss: _arrays((loss, params)))


def _hessian_vector(n: Numbers) -> Job:
    def product(params: Any, directions: Any, x: Any, target: Any) -> Any:
        return jax.jvp(jax.grad(partial(_article_loss, x=x, target=target)), (params,), (directions,))[1]

    compiled = jax.jit(product)
    given = jax.device_put((n.params, n.directions, n.x, n.target))
    return Job(lambda: jax.block_until_ready(compiled(*given)), _arrays)


BUILDERS: Mapping[str, Builder] = {
    **{name: partial(_differentiated, formula) for name, formula in FORMULAS.items()},
    "article": partial(_trained, _article_loss),
    "article-program": partial(_trained, _point_by_point),
    "mlp": partial(_trained, _mlp_loss),
    "hvp": _hessian_vector,
}
ABSENT = {"article-library": "it has no layers: see article", "adam": "it has no optimizers"}
