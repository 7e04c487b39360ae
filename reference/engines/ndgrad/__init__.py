"""ndgrad: the engine, how sessions speak to it, and its training runs."""

from reference.engines.ndgrad.engine import NdgradEngine

__all__ = ["NdgradEngine"]
