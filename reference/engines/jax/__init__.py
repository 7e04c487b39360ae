"""JAX on the CPU, in double precision, not compiled as a whole: op by op, each shape once."""

from reference.engines.jax.engine import JaxEngine

__all__ = ["JaxEngine"]
