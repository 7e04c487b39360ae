"""The peers, one module each: how its own documentation would have a line written."""

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
    """Import a peer, and with it the engine that it is about."""
    peer: Peer = importlib.import_module(f"benchmarks.peers.{name}")
    return peer
