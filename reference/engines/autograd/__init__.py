"""HIPS autograd: NumPy's own functions, differentiated. It can be asked for nothing but values and gradients."""

from reference.engines.autograd.engine import AutogradEngine

__all__ = ["AutogradEngine"]
