"""Disturb tensors, and those that PyTorch saves for the backward pass, as `Noise` defines it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reference.engines.protocol import Noise

Tensor = torch.Tensor


class Disturbance:
    """The disturbance of one run. It draws random signs for one tensor after the other.

    Args:
        noise: the size and the seed.
    """

    def __init__(self, noise: Noise) -> None:
        self._size = noise.size
        self._signs = torch.Generator().manual_seed(noise.seed)
        self._logarithms: dict[int, Tensor] = {}  # saved tensors, by the address of their memory

    def on(self, x: Tensor, *, logarithms: bool = False) -> Tensor:
        """Disturb a tensor, and so also its cotangent. With `logarithms`, also add the disturbance."""
        if not x.is_floating_point():
            return x
        moved = x * self._signed(x, 1.0)
        return moved + self._signed(x, 0.0) if logarithms else moved

    def _signed(self, x: Tensor, center: float) -> Tensor:
        """Return `center` plus or minus the size at random. Sizes are powers of 2, so that no digit is lost."""
        signs = torch.randint(0, 2, x.shape, generator=self._signs, dtype=x.dtype)
        return signs.mul_(2 * self._size).add_(center - self._size)

    @contextmanager
    def on_saved(self, *, logarithms: bool = False) -> Iterator[None]:
        """Disturb the tensors that ops within this context save for the backward pass.

        A backward pass that records saves logarithms again for the second derivative. They are recognized by the
        address of their memory.
        """

        def disturbed(x: Tensor) -> Tensor:
            logarithm = logarithms or x.data_ptr() in self._logarithms
            moved = self.on(x.detach(), logarithms=logarithm)
            if logarithm:
                self._logarithms[moved.data_ptr()] = moved
            return moved

        with torch.autograd.graph.saved_tensors_hooks(disturbed, lambda x: x):
            yield
