"""How many threads PyTorch computes in: on small arrays, more than one would only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def one_thread() -> None:
    """Let PyTorch compute in one thread."""
    torch.set_num_threads(1)


@contextmanager
def in_one_thread() -> Iterator[None]:
    """The same for a while; whoever called may want their threads again."""
    before = torch.get_num_threads()
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)
