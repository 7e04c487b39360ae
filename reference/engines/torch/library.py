"""PyTorch's library: losses and initial weights."""

from __future__ import annotations

import numpy as np
import torch

from reference.engines.torch.training import LOSSES


class TorchLibrary:
    """The losses of training runs, and the initial weights of torch.nn.init."""

    def loss(
        self, name: str, predicted: np.ndarray, wanted: np.ndarray, reduction: str, cotangent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a loss by its name in `LOSSES`, and the gradient of the prediction."""
        x = torch.tensor(predicted, requires_grad=True)
        loss = LOSSES[name](x, torch.tensor(wanted), reduction=reduction)
        torch.autograd.backward(loss, torch.tensor(cotangent))
        return loss.detach().numpy(), None if x.grad is None else x.grad.numpy()

    def weights(self, init: str, nin: int, nout: int, seed: int) -> np.ndarray:
        """Draw weights with outputs on the first axis: PyTorch's fan_in is the second. `uniform` is from -1 to 1."""
        weight = torch.empty(nout, nin, dtype=torch.float64)
        options = (-1.0, 1.0) if init == "uniform" else ()
        getattr(torch.nn.init, f"{init}_")(weight, *options, generator=torch.Generator().manual_seed(seed))
        return weight.numpy()
