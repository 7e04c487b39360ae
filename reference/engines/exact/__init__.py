"""The exact witness: an engine that computes with 120 digits, and so decides who is right."""

from reference.engines.exact.engine import ExactEngine, Jitter, Slopes

__all__ = ["ExactEngine", "Jitter", "Slopes"]
