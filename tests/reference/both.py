"""ndgrad and PyTorch, as most tests of this package want them."""

from __future__ import annotations

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine

BOTH = NdgradEngine(), TorchEngine()
