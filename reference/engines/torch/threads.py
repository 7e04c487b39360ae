"""PyTorch's number of threads. On small arrays, several threads would only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def one_thread() -> None:
    """Set PyTorch to one thread."""
    torch.set_num_threads(1)


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Return a context in which PyTorch has one thread."""
    before = torch.get_num_threads()
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)
