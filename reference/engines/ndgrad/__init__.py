"""ndgrad: the engine, its interface for sessions, and its training runs."""

from reference.engines.ndgrad.engine import NdgradEngine

__all__ = ["NdgradEngine"]
