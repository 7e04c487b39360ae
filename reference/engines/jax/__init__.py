"""JAX on the CPU in double precision. Programs are not compiled as a whole, but op by op, for each shape once."""

from reference.engines.jax.engine import JaxEngine

__all__ = ["JaxEngine"]
