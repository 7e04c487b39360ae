"""The exact witness: it computes with 120 digits or more, and so decides which side is right."""

from reference.engines.exact.engine import ExactEngine, Jitter, Slopes
from reference.engines.exact.witness import Witness

__all__ = ["ExactEngine", "Jitter", "Slopes", "Witness"]
