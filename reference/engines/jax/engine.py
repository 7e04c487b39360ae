"""JAX as an engine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import jax
import jax.nn
import jax.numpy as jnp
import numpy as np

from reference.engines.functional import Function, FunctionalReference
from reference.engines.jax.ops import CONVENTIONS, KNOWN, LINES
from reference.engines.lookup import all_functions
from reference.engines.protocol import Abilities

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own signature
jax.config.update("jax_platforms", "cpu")


class JaxEngine(FunctionalReference):
    """`jax.vjp` of functions of `jax.numpy` and `jax.nn`.

    Each op is compiled for each new shape, so programs of few shapes are faster.
    """

    abilities = Abilities(second_order=True, few_shapes=True, subnormal=False)
    known = KNOWN
    conventions = CONVENTIONS

    def __init__(self) -> None:
        super().__init__(f"JAX {version('jax')}", all_functions(LINES, [jnp, jax.nn]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name."""
        return JaxEngine, ()

    def vjp(self, function: Function, arrays: Sequence[Any], cotangent: Any) -> Sequence[Any]:
        """Differentiate with respect to all arrays at once."""
        result, pull = jax.vjp(function, *map(jnp.asarray, arrays))
        gradients: Sequence[Any] = pull(jnp.asarray(cotangent, result.dtype))
        return gradients

    def array(self, x: Any) -> np.ndarray:
        """Return a NumPy copy: JAX's arrays are read-only, and share its memory."""
        return np.array(x)
