"""The peers, one module each: the lines, written as the peer's own documentation recommends."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from benchmarks.job import Peer

# fmt: off
TITLES: Mapping[str, str] = {
    "ndgrad":    "ndgrad",
    "by_hand":   "by hand",  # the limit: the same NumPy calls, no graph
    "torch":     "PyTorch",
    "autograd":  "autograd",
    "mygrad":    "MyGrad",
    "micrograd": "micrograd",
    "jax":       "JAX (jit)",
    "tinygrad":  "tinygrad (jit)",
}
# fmt: on


def load(name: str) -> Peer:
    """Import a peer's module, and thereby its engine."""
    peer: Peer = importlib.import_module(f"benchmarks.peers.{name}")
    return peer
