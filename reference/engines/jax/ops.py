"""JAX's functions for the ops. Only those with another name or meaning have a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.nn
import jax.numpy as jnp
import numpy as np


def _label_cross_entropy(x: Any, *, labels: np.ndarray) -> Any:
    if labels.shape != x.shape[:-1] or not ((labels >= 0) & (labels < x.shape[-1])).all():
        raise ValueError(f"labels {labels} do not fit scores of shape {x.shape}")
    return jax.nn.logsumexp(x, axis=-1) - jnp.take_along_axis(x, jnp.asarray(labels)[..., None], -1)[..., 0]


def _getitem(x: Any, *, index: Any) -> Any:
    """Index with NumPy first, for it refuses an index that is out of bounds, and JAX clips it."""
    _ = np.broadcast_to(np.float64(0), x.shape)[index]
    return jnp.asarray(x)[index]


def _scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    _ = np.broadcast_to(np.float64(0), shape)[index]  # as above
    return jnp.zeros(shape, x.dtype).at[index].add(x)


# fmt: off
LINES: Mapping[str, Callable[..., Any]] = {
    # op           JAX's function
    "clip":         lambda x, low, high: jnp.minimum(jnp.maximum(x, low), high),
    "where":        lambda a, b, *, condition: jnp.where(condition, a, b),
    "astype":       lambda x, *, dtype: jnp.asarray(x).astype(dtype),
    "label_cross_entropy": _label_cross_entropy,
    "concatenate":  lambda *xs, axis=0: jnp.concatenate(xs, axis=axis),
    "stack":        lambda *xs, axis=0: jnp.stack(xs, axis=axis),
    "split":        lambda x, *, indices_or_sections, axis=0, piece: jnp.split(x, indices_or_sections, axis)[piece],
    "getitem":      _getitem,
    "scatter":      _scatter,
}
CONVENTIONS = frozenset({"arctan2", "clip", "power", "std"})  # ops at whose kinks it has other conventions
KNOWN: Mapping[str, str] = {
    # op           where it is wrong
    "split":        "it refuses a place beyond the end, where NumPy gives an empty piece",
}
# fmt: on
