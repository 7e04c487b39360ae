"""What PyTorch has of a library: losses, and initial weights."""

from __future__ import annotations

import numpy as np
import torch

from reference.engines.torch.training import LOSSES


class TorchLibrary:
    """Losses as training runs have them, and torch.nn.init."""

    def loss(
        self, name: str, predicted: np.ndarray, wanted: np.ndarray, reduction: str, cotangent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Give a loss by its name in `LOSSES`, and the gradient towards what was predicted."""
        x = torch.tensor(predicted, requires_grad=True)
        loss = LOSSES[name](x, torch.tensor(wanted), reduction=reduction)
        torch.autograd.backward(loss, torch.tensor(cotangent))
        return loss.detach().numpy(), None if x.grad is None else x.grad.numpy()

    def weights(self, init: str, nin: int, nout: int, seed: int) -> np.ndarray:
        """Draw weights, outputs first: fan_in is the second axis there. `uniform` is between -1 and 1."""
        weight = torch.empty(nout, nin, dtype=torch.float64)
        options = (-1.0, 1.0) if init == "uniform" else ()
        getattr(torch.nn.init, f"{init}_")(weight, *options, generator=torch.Generator().manual_seed(seed))
        return weight.numpy()
