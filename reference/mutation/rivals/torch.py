"""`torch.autograd.gradcheck` and `gradgradcheck`, slow and fast, on an `autograd.Function` around ndgrad.

They are called as in the note "Extending PyTorch", which uses the second one for functions that are differentiated
twice: on normally distributed numbers in double precision that require a gradient, with all other defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.function import once_differentiable

from reference.mutation.rivals.wrapper import Case

Tensor = torch.Tensor


class _Value(torch.autograd.Function):
    """The case's function for PyTorch."""

    @staticmethod
    def forward(ctx: Any, case: Case, *xs: Tensor) -> Tensor:
        """Compute the function."""
        ctx.case = case
        ctx.save_for_backward(*xs)
        return torch.from_numpy(case.value(*map(_array, xs)))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients by a function that PyTorch can differentiate."""
        pulled: Callable[..., tuple[Tensor, ...]] = _Pullback.apply
        return None, *pulled(ctx.case, g, *ctx.saved_tensors)


class _Pullback(torch.autograd.Function):
    """The pullback of the case's function for PyTorch."""

    @staticmethod
    def forward(ctx: Any, case: Case, *args: Tensor) -> tuple[Tensor, ...]:
        """Compute the gradients of the operands; the first argument is the cotangent."""
        ctx.case = case
        ctx.save_for_backward(*args)
        return tuple(map(torch.from_numpy, case.pullback(*map(_array, args))))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *hs: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the pullback's own gradients."""
        gradients = ctx.case.second_pullback([_array(h) for h in hs], *map(_array, ctx.saved_tensors))
        return None, *map(torch.from_numpy, gradients)


def _array(x: Tensor) -> np.ndarray:
    array: np.ndarray = x.detach().numpy()
    return array


def check(case: Case, *, fast: bool) -> None:
    """Check a case to second order.

    Raises:
        RuntimeError: the derivatives are not close.
    """
    xs = tuple(torch.tensor(a, requires_grad=True) for a in case.arrays)
    with torch.random.fork_rng(devices=()):  # cotangents are drawn from PyTorch's global generator
        torch.manual_seed(0)
        gradcheck(partial(_Value.apply, case), xs, fast_mode=fast)
        gradgradcheck(partial(_Value.apply, case), xs, fast_mode=fast)
