"""HIPS autograd, which differentiates NumPy's functions. It has no abilities beyond values and gradients."""

from reference.engines.autograd.engine import AutogradEngine

__all__ = ["AutogradEngine"]
