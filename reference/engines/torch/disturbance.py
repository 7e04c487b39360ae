"""Disturbs tensors, and what PyTorch keeps of them for the backward pass, as `Noise` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reference.engines.protocol import Noise

Tensor = torch.Tensor


class Disturbance:
    """One run's disturbance: it draws signs, tensor after tensor.

    Args:
        noise: its size and seed.
    """

    def __init__(self, noise: Noise) -> None:
        self._size = noise.size
        self._signs = torch.Generator().manual_seed(noise.seed)
        self._logarithms: dict[int, Tensor] = {}  # that are kept, by the memory that they are in

    def on(self, x: Tensor, *, logarithms: bool = False) -> Tensor:
        """Disturb a tensor, and what comes back to it; logarithms by adding to them as well."""
        if not x.is_floating_point():
            return x
        moved = x * self._signed(x, 1.0)
        return moved + self._signed(x, 0.0) if logarithms else moved

    def _signed(self, x: Tensor, around: float) -> Tensor:
        """A number, more or less the disturbance: either, by chance. With powers of 2 no digit of it is lost."""
        either = torch.randint(0, 2, x.shape, generator=self._signs, dtype=x.dtype)
        return either.mul_(2 * self._size).add_(around - self._size)

    @contextmanager
    def kept(self, *, logarithms: bool = False) -> Iterator[None]:
        """Disturb what is kept for the backward pass by the ops within; logarithms by adding to them as well.

        A backward pass that records keeps them again, for one of its own: there they are known by their memory.
        """

        def disturbed(x: Tensor) -> Tensor:
            logarithm = logarithms or x.data_ptr() in self._logarithms
            moved = self.on(x.detach(), logarithms=logarithm)
            if logarithm:
                self._logarithms[moved.data_ptr()] = moved
            return moved

        with torch.autograd.graph.saved_tensors_hooks(disturbed, lambda x: x):
            yield
