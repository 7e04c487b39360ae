"""`torch.autograd.gradcheck`, slow and fast, on an `autograd.Function` around ndgrad."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from reference.checkers.handed import Case


class _Wrapped(torch.autograd.Function):
    """ndgrad among PyTorch's functions, as the note "Extending PyTorch" describes it for libraries such as NumPy."""

    @staticmethod
    def forward(ctx: Any, case: Case, *tensors: torch.Tensor) -> torch.Tensor:
        """Compute the case's function."""
        ctx.case = case
        ctx.save_for_backward(*tensors)
        return torch.from_numpy(case.value(*(t.numpy() for t in tensors)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Pass back."""
        gradients = ctx.case.pulled(cotangent.numpy(), *(t.detach().numpy() for t in ctx.saved_tensors))
        return None, *map(torch.from_numpy, gradients)


def check(case: Case, *, fast: bool) -> None:
    """Check a case as the same note does: tensors in double precision that require a gradient; all else by default.

    Raises:
        RuntimeError: what PyTorch has against it.
    """
    tensors = tuple(torch.tensor(np.asarray(a), requires_grad=True) for a in case.arrays)
    torch.autograd.gradcheck(partial(_Wrapped.apply, case), tensors, fast_mode=fast)
